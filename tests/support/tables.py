"""Everything that a shop has written: a fingerprint of every table of every database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from services.rooms import DATABASES
from shared.db.pool import Pool, open_pool
from tests.support.shops import Shop

QUIET_SECONDS: Final = 45.0
AWAY_SECONDS: Final = 20  # nothing runs out in this time, so nothing is swept in it
TABLES: Final = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""
SOON: Final = """
    SELECT count(*) FROM sessions
    WHERE status = 'open' AND expires_at < now() + $1 * interval '1 second'
"""

Written = Mapping[str, tuple[int, int]]  # rows, and a sum over their contents, by table


async def everything_written(shop: Shop) -> Written:
    """Rows and contents of every table there is, those of the bus and of migrations included."""
    found: dict[str, tuple[int, int]] = {}
    for name in DATABASES:
        pool = await open_pool(shop.database_url(name), name="test", size=1)
        try:
            found |= await _tables_of(pool, name)
        finally:
            await pool.close()
    return found


async def quiet(shop: Shop) -> Written:
    """The same, once all that earlier tests set off has settled."""
    deadline = time.monotonic() + QUIET_SECONDS
    before = await everything_written(shop)
    while True:
        await asyncio.sleep(0.3)
        now = await everything_written(shop)
        if now == before and not now["links public.outbox"][0] and not await _runs_out(shop):
            return now
        assert time.monotonic() < deadline, changed(before, now)
        before = now


def changed(before: Written, now: Written) -> dict[str, str]:
    """The tables that differ, and by how many rows."""
    return {
        table: f"{now[table][0] - before[table][0]:+} rows"
        for table in now
        if now[table] != before[table]
    }


async def _tables_of(pool: Pool, name: str) -> dict[str, tuple[int, int]]:
    tables = sorted(row[0] for row in await pool.fetch(TABLES))
    assert tables, f"{name} has no tables: is this the right database?"
    found = {}
    for table in tables:
        # From the database's own list of its tables.
        content = f"SELECT count(*), coalesce(sum(hashtext(t::text)), 0) FROM {table} AS t"
        rows, sums = await pool.fetchrow(content) or (0, 0)
        found[f"{name} {table}"] = (int(rows), int(sums))
    return found


async def _runs_out(shop: Shop) -> bool:
    pool = await open_pool(shop.database_url("sessions"), name="test", size=1)
    try:
        return bool(await pool.fetchval(SOON, AWAY_SECONDS))
    finally:
        await pool.close()
