"""`flint links rebuild-stats`: make the numbers what the log says, a day at a time.

Only days that the log still holds whole: what it has forgotten is known by its counts alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from services.gateway.events import KEPT
from services.gateway.stats import store
from shared.db.pool import Pool, transaction

MARGIN: Final = timedelta(days=1)  # the oldest day may be half forgotten
ONE_DAY: Final = timedelta(days=1)


async def rebuild(pool: Pool, now: datetime) -> AsyncIterator[tuple[date, int]]:
    """Each day, oldest first, and how many of its counts were wrong. `now` is in UTC."""
    day = (now - KEPT + MARGIN).date() + ONE_DAY
    while day <= now.date():
        begin = datetime.combine(day, time.min, UTC)
        async with transaction(pool) as db:
            wrong = await store.rebuild_day(db, begin, begin + ONE_DAY)
        yield day, wrong
        day += ONE_DAY
