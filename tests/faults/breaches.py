"""What can be wrong in a shop's books, each written into them by hand.

A breach names the rule, the id that the audit has to find, and the SQL by database. `{names}` are
those of `histories`; constraints that would have refused it are dropped first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Breach:
    rule: str
    found: str
    plant: Mapping[str, str]


ULID: Final = "01JAAAAAAAAAAAAAAAAAAAAAAA"


def another(table: str, where: str, changes: str) -> str:
    """A row like the one there, but for some columns."""
    return f"""
        CREATE TEMP TABLE another AS SELECT * FROM {table} WHERE {where};
        UPDATE another SET {changes};
        INSERT INTO {table} SELECT * FROM another;
    """


def another_fact(where: str, changes: str) -> str:
    """A fact in the event log like the one there, but for some columns."""
    return another("events", where, f"event_id = 'evt_{ULID}', {changes}")
