"""Made-up secrets that nobody may find again, each numbered: a find says where it came in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

CVC: Final = "7391"
KINDS: Final = ("card", "spaced", "dashed", "email", "key", "webhook", "password", "phone")
# Each gives the number back, whatever stands around it.
SHAPES: Final = (
    re.compile(r"4009(?:[ -]?\d){12}"),
    re.compile(r"canary(\d+)@leak"),
    re.compile(r"flint_test_c0ffee([0-9a-f]{8})"),
    re.compile(r"whsec_C0FFEE(\d{8})"),
    re.compile(r"pw-(\d+)-secret"),
    re.compile(r"\+1[ -]?500[ -]?(\d{3})[ -]?(\d{4})"),
)


def card(number: int) -> str:
    """A Luhn-valid one of 16 digits that no issuer ever gave out."""
    body = f"4009{number:011d}"
    doubled = [int(digit) * 2 for digit in body[-1::-2]]
    total = sum(d - 9 * (d > 9) for d in doubled) + sum(int(digit) for digit in body[-2::-2])
    return f"{body}{-total % 10}"


def canary(kind: str, number: int) -> str:
    plain = card(number)
    groups = [plain[at : at + 4] for at in range(0, 16, 4)]
    return {
        "card": plain,
        "spaced": " ".join(groups),
        "dashed": "-".join(groups),
        "email": f"canary{number}@leak.example",
        "key": f"flint_test_c0ffee{number:08x}{'0' * 18}",
        "webhook": f"whsec_C0FFEE{number:08d}AAAA",
        "password": f"postgresql://flint:pw-{number}-secret@db.example/flint",
        "phone": f"+1 500 {number // 10_000:03d} {number % 10_000:04d}",
    }[kind]


def everything(number: int) -> str:
    return " ".join(canary(kind, number) for kind in KINDS[1:])


def found_in(text: str) -> set[int]:
    """The numbers of all canaries in a text."""
    cards, emails, keys, hooks, words, phones = SHAPES
    found = {int(re.sub(r"[ -]", "", match[0])[4:15]) for match in cards.finditer(text)}
    found |= {int(match[1]) for shape in (emails, hooks, words) for match in shape.finditer(text)}
    found |= {int(match[1], 16) for match in keys.finditer(text)}
    return found | {int(match[1] + match[2]) for match in phones.finditer(text)}


@dataclass
class Aviary:
    """Which canary was put where, and which of them the contract took in."""

    places: dict[int, str] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def hatch(self, place: str) -> int:
        number = next(self._numbers)
        self.places[number] = place
        return number

    def named(self, numbers: set[int]) -> list[str]:
        return sorted(self.places.get(number, f"unknown {number}") for number in numbers)


Path = tuple[str | int, ...]


def paths(schema: dict[str, Any], root: dict[str, Any], depth: int = 4) -> Iterator[Path]:
    """Every field of a JSON schema, those of what it contains included."""
    for shape in _shapes(schema, root):
        if shape.get("type") == "array":
            yield from ((0, *rest) for rest in paths(shape.get("items", {}), root, depth))
            yield (0,)
        for name, inner in shape.get("properties", {}).items() if depth else ():
            yield (name,)
            yield from ((name, *rest) for rest in paths(inner, root, depth - 1))
        if shape.get("type") == "object" and "properties" not in shape:
            yield ("key",)


def _shapes(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _shapes(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    variants = schema.get("anyOf", schema.get("oneOf"))
    if variants:
        return [shape for one in variants for shape in _shapes(one, root)]
    return [schema]


def put(value: Any, path: Path, leaf: Any) -> Any:
    """A copy of a JSON value with something else at a path; the way there is made."""
    if not path:
        return leaf
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) and value else [None]
        return [put(items[0], rest, leaf), *items[1:]]
    inside = dict(value) if isinstance(value, dict) else {}
    return {**inside, step: put(inside.get(step), rest, leaf)}
