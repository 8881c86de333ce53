"""The relay: takes what was written to the outbox to the transport, and only then deletes it.

Rows of this process arrive in memory right after their commit, already leased to it; the poll
picks up what a crash, a full queue or a failed publish left behind. Order is not promised.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

import structlog

from shared.bus import outbox
from shared.bus.fate import retry_delay
from shared.bus.noting import publishing
from shared.bus.outbox import LEASE_SECONDS, OutboxRow
from shared.bus.transport import NotConfirmed, RetryLater, Transport, Unroutable
from shared.contracts.base import Envelope
from shared.db.pool import Pool, connection, is_outage
from shared.db.pool import reason as database_reason
from shared.errors import Unavailable
from shared.loops import endless
from shared.telemetry import metrics

log = structlog.get_logger("flint.relay")

QUEUE_MAX: Final = 5_000
IN_FLIGHT_MAX: Final = 500
POLL_SECONDS: Final = 1.0
DELETE_EVERY_SECONDS: Final = 0.2
PARK_AFTER_TRIES: Final = 20
BACKOFF_MAX_SECONDS: Final = 60.0
UNREACHABLE_SECONDS: Final = 1.0
TELL_SECONDS: Final = 5.0
TELL_SECONDS_MAX: Final = 300.0


class Postponed:
    """Rows that could not be published, as one line for many: an outage has a line for each pause,
    not one for each of its thousands of tries. The pause grows while it lasts.
    """

    def __init__(self) -> None:
        self._rows = self._tries_max = 0
        self._topics: set[str] = set()
        self._reason = ""
        self._next_at = 0.0
        self._pause = TELL_SECONDS

    def add(self, topic: str, tries: int, reason: str) -> None:
        """One more; the latest reason is the one that is told."""
        self._rows += 1
        self._tries_max = max(self._tries_max, tries)
        self._topics.add(topic)
        self._reason = reason

    def tell(self, now: float) -> None:
        """Write the line if there is something to tell and its time has come (`now`: monotonic)."""
        if now < self._next_at:
            return
        if not self._rows:
            self._pause = TELL_SECONDS
            return
        log.warning(
            "outbox.postponed",
            rows=self._rows,
            topics=sorted(self._topics),
            tries_max=self._tries_max,
            reason=self._reason,
        )
        self._rows = self._tries_max = 0
        self._topics.clear()
        self._next_at = now + self._pause
        self._pause = min(self._pause * 2, TELL_SECONDS_MAX)


class Relay:
    """One per process and room. `offer` is called after a commit and never blocks."""

    def __init__(
        self,
        pool: Pool,
        transport: Transport,
        *,
        source: str,
        instance: str,
        retry_delays: Sequence[float] = (5.0, 30.0, 300.0),
    ) -> None:
        self._pool = pool
        self._transport = transport
        self._source = source
        self._instance = instance
        self._retry_delays = retry_delays
        self._fresh: asyncio.Queue[tuple[OutboxRow, float]] = asyncio.Queue(QUEUE_MAX)
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._publishing: set[asyncio.Task[None]] = set()
        self._sent: list[int] = []
        self._kept: list[int] = []  # sent, and not deleted while a backup is being taken
        self._something_sent = asyncio.Event()
        self._postponed = Postponed()
        self.last_poll_at = time.monotonic()

    def offer(self, rows: Sequence[OutboxRow]) -> None:
        """Rows just committed. When the queue is full the poll finds them after their lease."""
        expires_at = time.monotonic() + LEASE_SECONDS * 0.8
        for row in rows:
            if self._fresh.full():
                return
            self._fresh.put_nowait((row, expires_at))

    async def run(self) -> None:
        """Until cancelled. Any loop that ends takes the service with it, loudly."""
        async with asyncio.TaskGroup() as group:
            group.create_task(endless("relay.publish", self._publish_fresh()))
            group.create_task(endless("relay.poll", self._poll()))
            group.create_task(endless("relay.delete", self._delete_sent()))

    async def drain(self, seconds: float = 5.0) -> None:
        """Publish what is held and delete what was confirmed, within the bound."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (self._publishing or not self._fresh.empty()):
            await asyncio.sleep(0.01)
        await self._delete_now()

    async def _publish_fresh(self) -> None:
        while True:
            row, expires_at = await self._fresh.get()
            if time.monotonic() < expires_at:  # else the poll of any replica may have it by now
                await self._start(row)

    async def _start(self, row: OutboxRow) -> None:
        await self._slots.acquire()
        task = asyncio.create_task(self._publish(row))
        self._publishing.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._publishing.discard(task)
        self._slots.release()

    async def _publish(self, row: OutboxRow) -> None:
        with publishing(self._source, row.envelope) as envelope:
            try:
                await self._deliver(row, envelope)
            except Exception:  # the lease ends, and it is tried again
                log.exception("relay.failed")

    async def _deliver(self, row: OutboxRow, envelope: Envelope) -> None:
        outcome = "confirmed"
        try:
            await self._transport.publish(row.kind, envelope)
        except Unroutable as error:
            outcome = "unroutable"
            await self._give_back(row, str(error), is_permanent=True)
        except NotConfirmed as error:
            outcome = "unconfirmed"
            await self._give_back(row, str(error), wants_retry=isinstance(error, RetryLater))
        except Unavailable as error:  # nobody to ask, so it was no try: ready when there is
            outcome = "unavailable"
            await self._give_back(row, str(error), was_tried=False)
        else:
            self._sent.append(row.id)
            self._something_sent.set()
        finally:
            metrics.published(self._source, outcome)

    async def _give_back(
        self,
        row: OutboxRow,
        reason: str,
        *,
        is_permanent: bool = False,
        wants_retry: bool = False,
        was_tried: bool = True,
    ) -> None:
        tries = max(row.tries, 1)
        try:
            async with connection(self._pool) as db:
                if is_permanent and tries >= PARK_AFTER_TRIES:
                    await outbox.park(db, row, "outbox", reason)
                    return
                delay = retry_delay(tries, self._retry_delays) if wants_retry else _backoff(tries)
                if not was_tried:
                    delay = UNREACHABLE_SECONDS
                await outbox.postpone(db, row.id, delay, reason, was_tried=was_tried)
        except Exception as error:
            if not is_outage(error):
                raise
            reason = f"{reason}; {database_reason(error)}"  # the lease ends by itself
        self._postponed.add(row.envelope.topic, tries, reason)

    async def _poll(self) -> None:
        pause = POLL_SECONDS
        while True:
            await asyncio.sleep(pause)
            self.last_poll_at = time.monotonic()
            self._postponed.tell(self.last_poll_at)
            try:
                async with connection(self._pool) as db:
                    rows = await outbox.claim(db, self._instance, self._source)
            except Exception as error:
                if not is_outage(error):
                    raise
                pause = min(pause * 2, 5.0)
                log.warning("outbox.unreachable", reason=database_reason(error))
                continue
            for row in rows:
                await self._start(row)
            pause = POLL_SECONDS if len(rows) < outbox.CLAIM_LIMIT else 0.0

    async def _delete_sent(self) -> None:
        while True:
            await self._something_sent.wait()
            await asyncio.sleep(DELETE_EVERY_SECONDS)  # one statement for all of the moment
            self._something_sent.clear()
            await self._delete_now()
            if self._kept:
                await asyncio.sleep(POLL_SECONDS)
                self._something_sent.set()

    async def _delete_now(self) -> None:
        fresh, self._sent = self._sent, []
        kept, self._kept = self._kept, []
        ids = kept + fresh
        if not ids:
            return
        try:
            async with connection(self._pool) as db:
                if not await outbox.delete_sent(db, ids):
                    await outbox.keep_sent(db, fresh, self._instance)
                    self._kept = ids
        except Exception as error:
            if not is_outage(error):
                raise
            # They stay and are published once more after their lease: the inbox drops them.
            log.warning("outbox.undeleted", rows=len(ids), reason=database_reason(error))


def _backoff(tries: int) -> float:
    return min(0.1 * 2.0 ** min(tries, 16), BACKOFF_MAX_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311 jitter
