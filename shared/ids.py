"""Identifiers: a prefix that says the kind, and a ULID (time-ordered, 80 random bits).

Domain code never mints: it takes ids as arguments. Handlers take them from `Tx.new_id`.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Final

from ulid import ULID

from shared.clock import unix_seconds

# fmt: off
PREFIXES: Final = frozenset({
    "pl", "cs", "ord", "li", "pi", "pm", "ref", "cpn", "cus", "plan", "sub", "mer", "key", "whep",
    "whev", "evt", "item", "req", "act", "tip", "ad", "set", "tkt",
})
# fmt: on
ULID_PATTERN: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_YEAR_9999: Final = 253_402_300_799_000
_ID = re.compile(rf"^([a-z]+)_({ULID_PATTERN})$")


def new_ulid() -> str:
    """A fresh ULID: 26 Crockford characters, 80 of its bits from the system's randomness.

    Not `ULID()`: within a millisecond that one counts up by one, and a buyer who knows one
    session's id would know the next.
    """
    milliseconds = int(unix_seconds() * 1000)
    return str(ULID(milliseconds.to_bytes(6, "big") + os.urandom(10)))


def new_id(prefix: str) -> str:
    """A fresh id such as `cs_01J…`; the prefix has to be one of the contract's."""
    assert prefix in PREFIXES, f"unknown id prefix {prefix!r}"
    return f"{prefix}_{new_ulid()}"


def ulid_of(identifier: str) -> str:
    """The ULID part of an id: `cs_X` and `ord_X` of one checkout share it."""
    return identifier.partition("_")[2]


def is_id(identifier: str, prefix: str) -> bool:
    """Whether the text has the shape of an id of that kind."""
    match = _ID.match(identifier)
    return match is not None and match[1] == prefix


def minted_at(identifier: str) -> datetime:
    """When the id was minted, by its own clock part (millisecond precision).

    Anybody may write an id of the year 10889: it counts as minted at the end of time.
    """
    milliseconds = ULID.from_str(ulid_of(identifier)).milliseconds
    return datetime.fromtimestamp(min(milliseconds, _YEAR_9999) / 1000, tz=UTC)
