"""What must not be seen: card numbers, keys, passwords, and what belongs to a person.

By shape in any text, by name in anything structured. Used by the logs, by reasons that are kept
with dead letters, and on messages from outside before they are parked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Final

import orjson

MASK: Final = "[redacted]"
_SECRET_KEYS: Final = re.compile(
    r"card|cvc|pan$|token|secret|password|authorization|cookie|api_key|email|phone|address|dsn|_url$",
    re.IGNORECASE,
)
# `trace_id` is 32 hexadecimal digits of ours: one in three hundred looks like a card by chance.
_SAFE_KEYS: Final = frozenset({"public_url", "token_bucket", "trace_id"})
_KEYS: Final = (
    r"flint_(?:test|live)_[0-9a-f]{8,}|whsec_[A-Za-z0-9+/=]+"
    r"|://[^/\s:@]{1,128}:[^@\s]{1,256}@"
)
# Every part is bounded: on a megabyte of one letter an unbounded one would take minutes.
_OTHERS: Final = (
    r"(?:Bearer|Basic) [A-Za-z0-9._~+/=-]+"
    r"|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"
    r"|\+\d[\d ().-]{7,17}\d"  # a telephone number as E.164 writes it
    r"|DETAIL: [^\n]*"  # where PostgreSQL echoes a row's values
)
_NEVER_NAMED: Final = re.compile(
    r"""("(?:cvc|cvv|pan|card_number|password|secret)"\s*:\s*)(?:"[^"]*"|\d+)""", re.IGNORECASE
)
_NEVER_NEEDED: Final = re.compile(_KEYS)
_SECRETS: Final = re.compile(f"{_KEYS}|{_OTHERS}")
_CARD_LIKE: Final = 10**12  # the shortest card number has 13 digits
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d){12,60}")
_GROUP: Final = re.compile(r"\d+")


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: by key and by shape, at any depth."""
    event.update(_pairs(event))
    return event


def clean(text: str) -> str:
    """A text without secrets and without escapes that a terminal would obey."""
    return _without_cards(_SECRETS.sub(MASK, text)).replace("\x1b", "\\x1b")


def without_keys(body: bytes) -> bytes:
    """A message that may be sent again one day: only what no handler can need is masked."""
    text = body.decode(errors="replace")
    try:
        orjson.loads(body)
    except ValueError:  # no version of any handler will ever read it
        return clean(text).encode()
    text = _NEVER_NAMED.sub(rf'\1"{MASK}"', text)
    return _without_cards(_NEVER_NEEDED.sub(MASK, text)).encode()


def unreadable(body: bytes, bytes_max: int) -> bytes:
    """What nobody can read, kept for a person to look at: all of it masked, and not too long."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return clean(body[:bytes_max].decode(errors="replace")).encode()
    masked = _deep(value)
    return body[:bytes_max] if masked == value else orjson.dumps(masked)[:bytes_max]


def _without_cards(text: str) -> str:
    return _DIGITS.sub(lambda run: _without_card(run[0]), text) if _DIGITS.search(text) else text


def _without_card(run: str) -> str:
    """A card number may stand beside other digits: it begins and ends where a group does."""
    groups = list(_GROUP.finditer(run))
    kept, at, done = "", 0, 0
    while at < len(groups):
        end = _end_of_card(groups, at)
        if end is None:
            at += 1
            continue
        kept += run[done : groups[at].start()] + MASK
        at, done = end + 1, groups[end].end()
    return kept + run[done:]


def _end_of_card(groups: list[re.Match[str]], first: int) -> int | None:
    digits = ""
    for at in range(first, len(groups)):
        digits += groups[at][0]
        if len(digits) > 19:
            return None
        if len(digits) >= 13 and _is_luhn(digits):
            return at
    return None


def _deep(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return dict(_pairs(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [_deep(one) for one in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < _CARD_LIKE:
        return value
    text = clean(str(value))  # bytes, errors, models: whatever they would be rendered as
    return value if isinstance(value, int) and text == str(value) else text


def _pairs(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, inner in list(value.items()):
        name = str(key)
        is_secret = name not in _SAFE_KEYS and _SECRET_KEYS.search(name)
        is_plain = name in _SAFE_KEYS and isinstance(inner, str)
        yield name, MASK if is_secret else inner if is_plain else _deep(inner)


def _is_luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
