"""Keyset pages: one SQL text per order, written once with marks instead of four times by hand.

A page begins beyond the last row of the one before it, so rows that are inserted meanwhile never
shift it, and the deepest page costs what the first one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from shared.contracts.lists import Cursor, ListQuery, Page
from shared.db.pool import Record

R = TypeVar("R")
Statements = dict[tuple[str, str], str]

_MARKS: Final = {
    "desc": {":beyond": "<", ":direction": "DESC", ":start": "infinity"},
    "asc": {":beyond": ">", ":direction": "ASC", ":start": "-infinity"},
}


def statements(template: str, sort_fields: Iterable[str]) -> Statements:
    """The SQL for each (sort field, direction).

    Marks: `:sort`, `:beyond` (< or >), `:direction`, `:start` (a time before every row).
    """
    made: Statements = {}
    for sort_field in sort_fields:
        for direction, marks in _MARKS.items():
            sql = template.replace(":sort", sort_field)
            for mark, words in marks.items():
                sql = sql.replace(mark, words)
            made[sort_field, direction] = sql
    return made


def like(query: str | None) -> str | None:
    """A pattern for ILIKE that finds the text itself anywhere: `%` and `_` are only characters."""
    if query is None:
        return None
    escaped = query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def beyond(after: Cursor | None) -> tuple[datetime | None, str]:
    """The cursor of a list sorted by time as two parameters; none: before every row."""
    return (None, "") if after is None else (datetime.fromisoformat(after[0]), after[1])


def page(
    rows: Sequence[Record], msg: ListQuery[Page[R]], *, make: Callable[[Record], R], id_name: str
) -> Page[R]:
    """The page of `page_size` + 1 fetched rows: the one too many says that there is a next."""
    kept = rows[: msg.page_size]
    following: Cursor | None = None
    if len(rows) > msg.page_size:
        following = (kept[-1][msg.sort_field].isoformat(), kept[-1][id_name])
    return Page[R].model_construct(rows=[make(row) for row in kept], next=following)
