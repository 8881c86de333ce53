"""`flint links rebuild-stats`: make every link's numbers what the event log says."""

from __future__ import annotations

import sys
from typing import Final

from services.gateway.stats.rebuild import rebuild
from services.installed import databases
from shared.clock import utc_now
from shared.config import Settings
from shared.db.pool import open_pool

STATEMENT_SECONDS: Final = 600.0  # a busy day is read whole


async def rebuild_link_stats(settings: Settings) -> None:
    """Say of each day what was wrong. May run at any time: facts that come in meanwhile count."""
    days = mended = 0
    async with databases(settings, partly=True) as dsns:
        pool = await open_pool(
            dsns["gateway"], name="rebuild-stats", size=1, command_seconds=STATEMENT_SECONDS
        )
        try:
            async for day, wrong in rebuild(pool, utc_now()):
                days, mended = days + 1, mended + wrong
                if wrong:
                    _say(f"{day}: {wrong} counts mended")
        finally:
            await pool.close()
    _say(f"{days} days compared with the log, {mended} counts mended")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
