"""Keeping facts as they are, many at a time: the gateway's event log.

Nobody waits for a fact to be kept, so each waits a moment for company: one statement and one
commit for all of it. Whoever waits for the news itself is told at once, before it is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from shared.bus.fate import Fate
from shared.bus.room import Room
from shared.bus.transport import Settled
from shared.bus.tx import Tx
from shared.clock import utc_now
from shared.contracts.base import Envelope
from shared.db.pool import Pool, is_outage, transaction
from shared.telemetry import scope
from shared.telemetry.scope import Scope

T = TypeVar("T")
BATCH_MAX: Final = 200
LINGER_SECONDS: Final = 0.05
KEEP_SECONDS: Final = 30.0
OUTAGE_RETRIES: Final = 3


@dataclass(slots=True)
class _Record:
    """A fact to be kept; nobody decodes it."""

    envelope: Envelope
    done: asyncio.Future[Settled] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    scope: Scope | None = field(default_factory=scope.current)


class Recording:
    """One room's recorder at work. `failed` turns an error into the fate of its message."""

    def __init__(
        self, room: Room, pool: Pool, *, failed: Callable[[Envelope, Exception], Settled]
    ) -> None:
        self._room = room
        self._pool = pool
        self._failed = failed
        self._waiting: asyncio.Queue[_Record] = asyncio.Queue()  # bounded by the prefetch

    async def keep(self, envelope: Envelope) -> Settled:
        """Tell whoever listens in this process; return once it is durable."""
        if not (envelope.subject and envelope.sequence):  # nobody decodes it to find out more
            return Settled(Fate.BURY, reason="malformed: not a public fact", is_understood=False)
        if self._room.hearer is not None:
            self._room.hearer(envelope)
        record = _Record(envelope)
        self._waiting.put_nowait(record)
        return await record.done

    async def run(self) -> None:
        """Keep what comes, until cancelled."""
        while True:
            first = await self._waiting.get()
            await asyncio.sleep(LINGER_SECONDS)
            records = drain(self._waiting, first, BATCH_MAX)
            try:
                await self._keep_all(records)
            except asyncio.CancelledError:
                for one in records:
                    one.done.cancel()
                raise

    async def _keep_all(self, records: Sequence[_Record]) -> None:
        with scope.within(records[0].scope):  # what all of them share is shown with the first
            error = await self._try([one.envelope for one in records])
        is_bad = error is not None and not is_outage(error)
        for one in records:  # a bad one never takes a good one with it
            if is_bad and len(records) > 1:
                with scope.within(one.scope):
                    error = await self._try([one.envelope])
            settled = Settled(Fate.ACK) if error is None else self._failed(one.envelope, error)
            if not one.done.done():
                one.done.set_result(settled)

    async def _try(self, envelopes: Sequence[Envelope]) -> Exception | None:
        assert self._room.recorder is not None, "a room that records has a recorder"
        for attempt in range(OUTAGE_RETRIES):
            try:
                async with asyncio.timeout(KEEP_SECONDS), transaction(self._pool) as db:
                    tx = Tx(db, utc_now(), envelopes[0].context)
                    await self._room.recorder(envelopes, tx)
            except Exception as error:
                if not is_outage(error) or attempt == OUTAGE_RETRIES - 1:
                    return error
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 jitter
            else:
                return None
        raise AssertionError("unreachable: the last try returns")


def drain(queue: asyncio.Queue[T], first: T, limit: int) -> list[T]:
    """What waits right now, without waiting for more."""
    taken = [first]
    while not queue.empty() and len(taken) < limit:
        taken.append(queue.get_nowait())
    return taken
