"""Who looked at a link, as far as a person can be told from a program: by a gesture.

Fetching a page writes nothing, whoever fetches it. A page counts as seen once somebody moves,
types or touches on it (a script says so) or presses its button (which needs no script). Both name
the page by its nonce, so together they are one view. Noted here in memory and kept many at a time;
a crash loses the views of half a second, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import structlog

from services.gateway.stats import store
from services.gateway.stats.store import View
from shared.db.pool import Pool, is_outage, reason, transaction
from shared.loops import stay_cancelled

log = structlog.get_logger("flint.gateway")
LINGER_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 2.0
BATCH_MAX: Final = 500
WAITING_MAX: Final = 10_000
REMEMBERED_MAX: Final = 20_000


class Visits:
    """The views of one process on their way to the database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: OrderedDict[str, View] = OrderedDict()
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._noted = asyncio.Event()

    def note(self, view: View) -> None:
        """Never waits. One that is known already, or beyond what can wait, is dropped."""
        if view.view_id in self._remembered or len(self._waiting) >= WAITING_MAX:
            return
        self._remembered[view.view_id] = None
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        self._waiting[view.view_id] = view
        self._noted.set()

    async def run(self) -> None:
        """Keep what is noted, until cancelled."""
        while True:
            await self._noted.wait()
            await asyncio.sleep(LINGER_SECONDS)
            if not await self.keep():
                await asyncio.sleep(RETRY_SECONDS)

    async def keep(self) -> bool:
        """Write all that waits; False: the database is away, and they wait on."""
        while self._waiting:
            batch = list(self._waiting.values())[:BATCH_MAX]
            try:
                async with transaction(self._pool) as db:
                    await store.keep_views(db, batch)
            except Exception as error:
                stay_cancelled(error)
                log.warning("views.unkept", views=len(batch), reason=reason(error))
                if is_outage(error):
                    return False
            for view in batch:  # kept; or of no use, and not to stand in the way of others
                del self._waiting[view.view_id]
        self._noted.clear()
        return True
