"""The gauges of one room, looked at every second, or every ten where a database has to be asked.

A scrape only reads what was found last, so that many scrapers cost no more than one. What cannot
be asked in time keeps its old value, and `flint_measured_timestamp_seconds` says how old it is.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from shared.bus import outbox
from shared.bus.service import Service
from shared.clock import CLOCK
from shared.db.pool import answers, connection, is_outage, usage
from shared.errors import Unavailable
from shared.failures import describe
from shared.telemetry import metrics

log = structlog.get_logger("flint.meter")

LOOK_SECONDS: Final = 1.0
ASK_SECONDS: Final = 10.0
TIMEOUT_SECONDS: Final = 5.0
DEAD: Final = "SELECT count(*) FROM dead_letters"


class Meter:
    """One per running service."""

    def __init__(self, service: Service, *, ask_seconds: float = ASK_SECONDS) -> None:
        self._service = service
        self._name = service.room.name
        self._ask_seconds = ask_seconds

    async def run(self) -> None:
        """Until cancelled."""
        asked_at = float("-inf")
        while True:
            self._look()
            if time.monotonic() - asked_at >= self._ask_seconds:
                asked_at = time.monotonic()
                await self._ask_patiently()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        """What is in memory."""
        room, service = self._name, self._service
        used = usage(service.pool)
        metrics.POOL_MAX.labels(room).set(used.connections_max)
        metrics.POOL.labels(room, "idle").set(used.idle)
        metrics.POOL.labels(room, "used").set(used.used)
        metrics.POOL_WAITING.labels(room).set(used.waiting)
        metrics.RELAY_AGE.labels(room).set(time.monotonic() - service.relay.last_poll_at)
        metrics.CONSUMERS.labels(room).set(service.transport.consumers(room))
        for line, is_up in service.transport.lines().items():
            metrics.BROKER_UP.labels(room, line).set(is_up)
        metrics.CLOCK_AHEAD.set(CLOCK.ahead_seconds())

    async def _ask_patiently(self) -> None:
        is_database_up = await answers(self._service.pool)
        metrics.DATABASE_UP.labels(self._name).set(is_database_up)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._ask_the_database()
                await self._ask_the_broker()
        except Exception as error:  # a gauge that cannot be read never takes a service with it
            if isinstance(error, Unavailable) or is_outage(error):
                log.warning("gauges.postponed", reason=describe(error))
            else:
                log.exception("gauges.failed")
        else:
            metrics.MEASURED_AT.labels(self._name).set_to_current_time()

    async def _ask_the_database(self) -> None:
        async with connection(self._service.pool) as db:
            row = await db.fetchrow(outbox.OLDEST_SECONDS)
            assert row is not None, "an aggregate gives one row"
            metrics.OUTBOX_OLDEST.labels(self._name).set(row["age"])
            metrics.OUTBOX_DEPTH.labels(self._name).set(row["depth"])
            metrics.DEAD_LETTERS.labels(self._name, "database").set(await db.fetchval(DEAD))
            for measure in self._service.room.measures:
                await measure(db)

    async def _ask_the_broker(self) -> None:
        depths = await self._service.transport.depths(self._service.room)
        for queue, messages in depths.items():
            metrics.QUEUE_MESSAGES.labels(queue).set(messages)
        parked = sum(n for queue, n in depths.items() if queue.endswith(".parking"))
        metrics.DEAD_LETTERS.labels(self._name, "broker").set(parked)
