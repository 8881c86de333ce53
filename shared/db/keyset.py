"""Keyset pages: one SQL text per order, written once with marks instead of four times by hand.

A page begins beyond the last row of the one before it, so rows that are inserted meanwhile never
shift it, and the deepest page costs what the first one does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from shared.bus.tx import Tx
from shared.contracts.lists import Cursor, ListQuery, Page
from shared.db.pool import Record

R = TypeVar("R")
Statements = dict[tuple[str, str], str]

_LAST_ID: Final = "~"  # after every id
_MARKS: Final = {
    "desc": {":beyond": "<", ":direction": "DESC", ":start": "infinity"},
    "asc": {":beyond": ">", ":direction": "ASC", ":start": "-infinity"},
}


# What every list asks of its rows; the parameters are those of `common`.
_NEAREST: Final = "merchant_id = $1 AND mode_environment = $2 AND :from"
_TIMES: Final = """created_at > coalesce($5::timestamptz, '-infinity')
      AND created_at < coalesce($6::timestamptz, 'infinity')
      AND updated_at > coalesce($7::timestamptz, '-infinity')
      AND updated_at < coalesce($8::timestamptz, 'infinity')"""
_PARTS: Final = {":common": f"{_NEAREST} AND {_TIMES}", ":nearest": _NEAREST, ":within": _TIMES}
# Of texts there is no last one to begin before.
_TIME_START: Final = "(:sort, :id) :beyond (coalesce($3::timestamptz, ':start'), $4)"
_TEXT_START: Final = "($3::text IS NULL OR (:sort, :id) :beyond ($3, $4))"
_ORDER: Final = "ORDER BY :sort :direction, :id :direction"


def statements(
    template: str, sort_fields: Iterable[str], *, id_name: str, texts: Container[str] = ()
) -> Statements:
    """The SQL for each (sort field, direction). Those of `texts` are no times.

    Marks: `:common` (which rows, as of $1 to $8), apart `:nearest` (whose, and beyond which one)
    and `:within` (when), and `:order`.
    """
    made: Statements = {}
    whole = template
    for mark, words in (_PARTS | {":order": _ORDER}).items():
        whole = whole.replace(mark, words)
    for sort_field in sort_fields:
        start = _TEXT_START if sort_field in texts else _TIME_START
        for direction, marks in _MARKS.items():
            sql = whole.replace(":from", start).replace(":sort", sort_field).replace(":id", id_name)
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


def common(tx: Tx, msg: ListQuery[Any]) -> tuple[Any, ...]:
    """The first eight parameters: whose rows, beyond which one (none: from the start), and when."""
    times = (msg.created_after, msg.created_before, msg.updated_after, msg.updated_before)
    return (tx.merchant_id, tx.mode, *_begin(msg), *times)


def _begin(msg: ListQuery[Any]) -> tuple[datetime | str | None, str]:
    """Where the page begins: beyond the cursor, and inside the range of the column sorted by.

    Said as one bound: of two, PostgreSQL would start at the one and walk over to the other.
    """
    if msg.sort_field not in msg.ranges():
        return msg.after or (None, "")
    after, before = msg.ranges()[msg.sort_field]
    is_falling = msg.sort_direction == "desc"
    edge = (before, "") if is_falling else (after, _LAST_ID)
    bounds = [(edge[0], edge[1])] if edge[0] is not None else []
    if msg.after is not None:
        bounds.append((datetime.fromisoformat(msg.after[0]), msg.after[1]))
    if not bounds:
        return None, ""
    return min(bounds) if is_falling else max(bounds)


def page(
    rows: Sequence[Record], msg: ListQuery[Page[R]], *, make: Callable[[Record], R], id_name: str
) -> Page[R]:
    """The page of `page_size` + 1 fetched rows: the one too many says that there is a next."""
    kept = rows[: msg.page_size]
    following: Cursor | None = None
    if len(rows) > msg.page_size:
        value = kept[-1][msg.sort_field]
        following = (value if isinstance(value, str) else value.isoformat(), kept[-1][id_name])
    return Page[R].model_construct(rows=[make(row) for row in kept], next=following)
