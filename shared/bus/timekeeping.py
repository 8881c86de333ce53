"""Asking the service's database for the time, again and again; see `shared.clock`."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from shared import clock
from shared.db.pool import Connection, Pool, connection, is_outage

log = structlog.get_logger("flint.clock")

ASK_EVERY_SECONDS: Final = 15.0
ASK_SECONDS: Final = 5.0
DATABASE_TIME: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"


async def keep_time(pool: Pool) -> None:
    """Until cancelled; says so while this machine's clock is wrong, and once when it is right."""
    was_wrong = False
    while True:
        is_wrong = await ask(pool)
        if was_wrong and not is_wrong:
            log.info("clock.right")
        was_wrong = is_wrong
        await asyncio.sleep(ASK_EVERY_SECONDS)


async def ask(pool: Pool) -> bool:
    """One look; whether this machine's clock is wrong. Without the database nothing changes."""
    try:
        async with asyncio.timeout(ASK_SECONDS), connection(pool) as db:
            await learn(db)
    except Exception as error:
        if not is_outage(error):
            raise
        return bool(clock.warning())
    if words := clock.warning():
        log.warning("clock.wrong", reason=words)
    return bool(words)


async def learn(db: Connection) -> None:
    """Take the time from one connection's server."""
    asked_at = clock.CLOCK.steady()
    clock.CLOCK.learn(await db.fetchval(DATABASE_TIME), asked_at)
