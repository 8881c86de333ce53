"""One running room: its consumer, relay and sweeps, under one roof, and a drain at the end.

Every loop is supervised: one that ends takes the process with it, so that nothing looks
healthy and does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog

from shared.bus import inbox, outbox, timekeeping
from shared.bus.consumer import Consumer
from shared.bus.fate import RETRY_DELAYS_SECONDS
from shared.bus.noting import sweeping
from shared.bus.outbox import OutboxRow
from shared.bus.relay import Relay
from shared.bus.room import SWEEP_BATCH, Room, Sweep
from shared.bus.transport import Subscription, Transport
from shared.bus.tx import Tx
from shared.clock import utc_now
from shared.contracts.base import Context, Envelope
from shared.db.pool import Pool, answers, is_outage, transaction
from shared.errors import Unavailable
from shared.failures import describe
from shared.ids import new_ulid
from shared.loops import endless
from shared.telemetry import metrics

log = structlog.get_logger("flint.service")

SWEEP_SECONDS: Final = 10.0
INBOX_CLEAN_SECONDS: Final = 60.0
RELAY_STALE_SECONDS: Final = 15.0


async def _clean_inbox(tx: Tx) -> int:
    tag = await tx.db.execute(inbox.CLEAN)
    return SWEEP_BATCH if int(tag.split()[-1]) >= inbox.CLEAN_LIMIT else 0


CLEAN_INBOX: Final = Sweep("inbox.clean", INBOX_CLEAN_SECONDS, _clean_inbox)


class Service:
    """Owns nothing outside: the pool and the transport are given and closed by the caller."""

    def __init__(
        self,
        room: Room,
        pool: Pool,
        transport: Transport,
        *,
        public_url: str,
        retry_delays: Sequence[float] = RETRY_DELAYS_SECONDS,
    ) -> None:
        instance = f"{room.name}-{new_ulid()}"
        self.room = room
        self.pool = pool
        self.transport = transport
        self._public_url = public_url
        self._instance = instance
        self.relay = Relay(
            pool, transport, source=room.name, instance=instance, retry_delays=retry_delays
        )
        self.consumer = Consumer(
            room,
            pool,
            source=room.name,
            instance=instance,
            on_written=self._written,
            publish_answer=self._publish_answer,
            public_url=public_url,
        )
        self._subscription: Subscription | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then take nothing more, finish what is held, publish it, return."""
        await timekeeping.ask(self.pool)  # before the first message is given a time
        async with asyncio.TaskGroup() as group:
            sweeping = [endless(one.name, self._sweep_forever(one)) for one in self._sweeps()]
            loops = [
                group.create_task(self.consumer.run()),
                group.create_task(self.relay.run()),
                group.create_task(endless("clock", timekeeping.keep_time(self.pool))),
                *(group.create_task(one) for one in sweeping),
            ]
            self._subscription = await self.transport.subscribe(self.consumer)
            await stop.wait()
            await self._subscription.stop()
            await self.relay.drain()
            for loop in loops:
                loop.cancel()
        log.info("service.drained")

    async def health(self) -> dict[str, Any]:
        """What `/readyz` says of this room: every value true when it can work."""
        relay_age = time.monotonic() - self.relay.last_poll_at
        return {
            "database": await answers(self.pool),
            "broker": self._subscription is not None and self.transport.is_healthy(),
            "relay": relay_age < RELAY_STALE_SECONDS,
        }

    def _sweeps(self) -> tuple[Sweep, ...]:
        return (*self.room.sweeps, CLEAN_INBOX)

    async def _sweep_forever(self, sweep: Sweep) -> None:
        while True:
            await asyncio.sleep(sweep.every_seconds)
            while await self._sweep_seen(sweep) >= SWEEP_BATCH:
                await asyncio.sleep(0)

    async def _sweep_seen(self, sweep: Sweep) -> int:
        """One batch and what is seen of it; an outage only postpones it."""
        with sweeping(self.room.name, sweep.name) as noted:
            try:
                taken = await self.sweep_once(sweep)
            except Exception as error:
                if not (isinstance(error, Unavailable) or is_outage(error)):
                    raise
                log.warning("sweep.postponed", sweep=sweep.name, reason=describe(error))
                return 0
            noted(taken)
            return taken

    async def sweep_once(self, sweep: Sweep) -> int:
        """One batch in one transaction; its facts leave after the commit like any other's."""
        now = utc_now()
        context = Context(request_id=f"sweep:{sweep.name}")
        async with asyncio.timeout(SWEEP_SECONDS), transaction(self.pool) as db:
            tx = Tx(db, now, context, public_url=self._public_url)
            taken = await sweep.run(tx)
            rows = []
            if tx.said:
                rows = await outbox.write(
                    db, tx.said, [], source=self.room.name, now=now, lease_by=self._instance
                )
        self._written(rows)
        return taken

    def _written(self, rows: Sequence[OutboxRow]) -> None:
        """Committed: it is true now, and on its way."""
        metrics.said(self.room.name, [r.envelope.topic for r in rows if r.kind == "event"])
        self.relay.offer(rows)

    async def _publish_answer(self, envelope: Envelope) -> None:
        await self.transport.publish("event", envelope)
