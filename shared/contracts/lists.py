"""Lists: keyset pages. The gateway signs the cursor; the owner turns it into a WHERE clause."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from shared.contracts.base import Query, Reply
from shared.contracts.types import Resource, Time, text

T = TypeVar("T")
SortDirection = Literal["asc", "desc"]
Cursor = tuple[str, str]  # the last row's sort value as text, and its id


class ListQuery(Query[Reply], Generic[Reply]):
    """What every list understands: page, order, time ranges (exclusive) and text."""

    page_size: Annotated[int, Field(ge=1, le=100)] = 20
    after: Cursor | None = None
    sort_field: str = "created_at"
    sort_direction: SortDirection = "desc"
    created_after: Time | None = None
    created_before: Time | None = None
    updated_after: Time | None = None
    updated_before: Time | None = None
    query: Annotated[str, text(250)] | None = None

    def ranges(self) -> dict[str, tuple[datetime | None, datetime | None]]:
        """Column → (after, before), both exclusive."""
        return {
            "created_at": (self.created_after, self.created_before),
            "updated_at": (self.updated_after, self.updated_before),
        }


class Page(Resource, Generic[T]):
    """Rows of one page, and where the next begins (None: this was the last)."""

    rows: list[T]
    next: Cursor | None = None
