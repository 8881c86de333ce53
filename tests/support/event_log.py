"""The gateway's event log, as tests read it: what was said about something, in order."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from shared.db.pool import open_pool
from tests.support.shops import Shop

SECONDS: Final = 15.0
ABOUT: Final = """
    SELECT type, data::text AS data FROM events WHERE subject = $1 ORDER BY source, sequence
"""


async def facts_about(shop: Shop, subject: str, count: int) -> list[dict[str, Any]]:
    """The facts about a resource (`type`, `data`), once there are at least so many."""
    pool = await open_pool(shop.database_url("gateway"), name="test", size=1)
    deadline = time.monotonic() + SECONDS
    try:
        while len(rows := await pool.fetch(ABOUT, subject)) < count:
            assert time.monotonic() < deadline, [row["type"] for row in rows]
            await asyncio.sleep(0.05)
    finally:
        await pool.close()
    return [{"type": row["type"], "data": json.loads(row["data"])} for row in rows]
