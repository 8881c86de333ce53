"""One line of a diagnosis: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Level = Literal["ok", "warn", "fail"]
MARKS: Final[dict[Level, str]] = {"ok": "  ok ", "warn": "WARN ", "fail": "FAIL "}


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`: as it should be. `warn`: it works, and should not stay so. `fail`: it cannot work."""

    level: Level
    subject: str
    words: str
    cure: str = ""

    def line(self) -> str:
        """For a person; the cure is always on the same line as what it cures."""
        arrow = f" → {self.cure}" if self.cure else ""
        return f"{MARKS[self.level]} {self.subject}: {self.words}{arrow}"

    def to_json(self) -> dict[str, Any]:
        """For a program; the keys stay as they are."""
        return asdict(self)


def ok(subject: str, words: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", subject, words)


def warn(subject: str, words: str, cure: str) -> Finding:
    """It works; somebody should mend it before it matters."""
    return Finding("warn", subject, words, cure)


def fail(subject: str, words: str, cure: str) -> Finding:
    """It does not work, or not safely."""
    return Finding("fail", subject, words, cure)


def verdict(findings: Sequence[Finding]) -> str:
    """The last line."""
    failed = sum(one.level == "fail" for one in findings)
    warned = sum(one.level == "warn" for one in findings)
    if not failed and not warned:
        return f"doctor: all {len(findings)} checks are well"
    return f"doctor: {failed} failed, {warned} to be looked after, of {len(findings)} checks"
