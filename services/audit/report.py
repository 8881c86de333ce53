"""What an audit found: how much it looked at, and what is wrong with which ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

IDS_SHOWN_MAX: Final = 20


@dataclass
class Report:
    """`breaches` maps a rule's name to the ids that break it."""

    counted: Counter[str] = field(default_factory=Counter)
    breaches: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def count(self, what: str, number: int) -> None:
        """Add to how much was looked at."""
        self.counted[what] += number

    def breach(self, rule: str, ids: Iterable[str]) -> None:
        """These ids break the rule (none: nothing happens)."""
        found = set(ids)
        if found:
            self.breaches[rule] |= found

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.breaches

    def still_in(self, later: Report) -> Report:
        """The later report, with only what this one had found as well: the rest was on its way."""
        lasting = Report(later.counted)
        for rule, ids in later.breaches.items():
            lasting.breach(rule, ids & self.breaches.get(rule, set()))
        return lasting

    def lines(self) -> list[str]:
        """For people: a line per count, a line per breach with its ids."""
        counts = [f"{number:>10}  {what}" for what, number in sorted(self.counted.items())]
        return counts + [_line(rule, sorted(ids)) for rule, ids in sorted(self.breaches.items())]


def _line(rule: str, ids: list[str]) -> str:
    more = f" and {len(ids) - IDS_SHOWN_MAX} more" if len(ids) > IDS_SHOWN_MAX else ""
    return f"BREACH  {rule}: {', '.join(ids[:IDS_SHOWN_MAX])}{more}"
