"""The consumer: decode, open the transaction, run the handler, write what it said, commit.

Deliveries that wait together are handled together, in one transaction, each as if it were
alone: under load a commit costs many messages one fsync. Facts a room calls unhurried wait a
moment for company, apart from all others. Any error rolls the batch back and
runs each message by itself, so a bad one never takes a good one with it. Redelivered messages
and those under a client's key always run alone, after a look into the inbox.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

import structlog
from pydantic import ValidationError

from shared.bus import inbox, outbox
from shared.bus.caller import WireReply, reply_adapter
from shared.bus.fate import ATTEMPTS_MAX, Fate, fate
from shared.bus.noting import handling
from shared.bus.outbox import Handled, OutboxRow
from shared.bus.recording import Recording, drain
from shared.bus.room import Handler, Room
from shared.bus.settling import is_silence, wire_failure
from shared.bus.transport import Lane, Settled
from shared.bus.tx import Said, Tx
from shared.clock import unix_seconds, utc_now
from shared.contracts.base import TOPICS, Command, Effect, Envelope, Message, Query
from shared.db.pool import (
    Connection,
    Pool,
    UniqueViolation,
    answers,
    connection,
    is_outage,
    transaction,
)
from shared.errors import Refusal
from shared.failures import describe
from shared.loops import endless
from shared.telemetry import scope, tracing
from shared.telemetry.scope import Scope

log = structlog.get_logger("flint.bus")

BATCH_MAX: Final = 32
WORKERS: Final = 4
TURN_SECONDS: Final = 0.1
LINGER_SECONDS: Final = 0.1
ALONE_MAX: Final = 8
HANDLER_SECONDS: Final = 30.0
OUTAGE_RETRIES: Final = 3
REPEATS_MAX: Final = 5
DATABASE_WAIT_SECONDS: Final = 30.0
SAY_EVERY_SECONDS: Final = 5.0


# How long a delivery may wait for others to share its transaction.
_Pace = Literal["event", "rpc", "unhurried"]


@dataclass(slots=True)
class _Job:
    """One decoded delivery waiting for its transaction."""

    envelope: Envelope
    message: Message
    handler: Handler
    name: str
    is_alone: bool
    done: asyncio.Future[Settled] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    scope: Scope | None = field(default_factory=scope.current)


@dataclass(frozen=True, slots=True)
class _Result:
    """What a handler returned, and what the bus has to keep of it."""

    reply: bytes | None
    handled: Handled


class Consumer:
    """The receiving side of one room. `on_written` gets the outbox rows after the commit."""

    def __init__(
        self,
        room: Room,
        pool: Pool,
        *,
        source: str,
        instance: str,
        on_written: Callable[[Sequence[OutboxRow]], None],
        publish_answer: Callable[[Envelope], Any],
        public_url: str = "http://localhost:8080",
        workers: int = WORKERS,
        attempts_max: int = ATTEMPTS_MAX,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.room = room
        self._pool = pool
        self._source = source
        self._instance = instance
        self._on_written = on_written
        self._publish_answer = publish_answer
        self._public_url = public_url
        self._workers = workers
        self._attempts_max = attempts_max
        self._clock = clock
        # Bounded by the transport's prefetch.
        self._queues: dict[_Pace, asyncio.Queue[_Job]] = {
            "event": asyncio.Queue(),
            "rpc": asyncio.Queue(),
            "unhurried": asyncio.Queue(),
        }
        self._handlers = {kind.topic: handler for kind, handler in room.handlers.items()}
        self._unhurried = {kind.topic for kind in room.unhurried}
        self._recorded = {kind.topic for kind in room.recorded}
        self._recording = Recording(room, pool, failed=self._failed)
        self._alone: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(ALONE_MAX)
        self._silent_until = 0.0
        self._effects = {kind.topic: handler for kind, handler in room.effects.items()}

    async def run(self) -> None:
        """Work the queues until cancelled. An ended worker ends the service."""
        try:
            await self._run_loops()
        finally:
            for task in self._alone:
                task.cancel()

    async def _run_loops(self) -> None:
        async with asyncio.TaskGroup() as group:
            for pace in self._queues:
                turn = asyncio.Lock()
                for _ in range(self._workers):
                    group.create_task(endless(f"consumer.{pace}", self._work(pace, turn)))
            group.create_task(endless("consumer.records", self._recording.run()))

    async def receive(self, envelope: Envelope, *, lane: Lane, is_redelivered: bool) -> Settled:
        """Handle one delivery completely; the transport acts on the returned fate."""
        with handling(self.room.name, envelope) as noted:
            try:
                settled = await self._dispatch(envelope, lane, is_redelivered)
            except Exception as error:  # the one place where any failure becomes a fate
                settled = self._failed(envelope, error)
            if lane != "rpc" and is_silence(settled) and not await answers(self._pool):
                # Our own database is away, for minutes or days: that is no try of this message.
                settled = replace(settled, fate=Fate.RETRY, is_counted=False)
            noted(settled)
        return settled

    async def bury(self, envelope: Envelope, queue: str, reason: str) -> None:
        """Dead-letter into the room's own database (local transport)."""
        async with connection(self._pool) as db:
            await db.execute(
                "INSERT INTO dead_letters (message_id, queue, topic, envelope, reason)"
                " VALUES ($1, $2, $3, $4, $5)",
                envelope.id,
                queue,
                envelope.topic,
                outbox.as_record(envelope),
                reason,
            )

    async def _dispatch(self, envelope: Envelope, lane: Lane, is_redelivered: bool) -> Settled:
        if envelope.deadline and unix_seconds() > envelope.deadline:
            return Settled(Fate.ACK, reason="deadline passed before it was started")
        if envelope.topic in self._recorded:
            return await self._recording.keep(envelope)
        kind = TOPICS.get(envelope.topic)
        if kind is None:
            return Settled(Fate.BURY, reason="unknown topic", is_understood=False)
        message = kind.model_validate_json(envelope.body)
        if isinstance(message, Effect):
            return await self._touch_world(envelope, message)
        handler = self._handlers[envelope.topic]
        if isinstance(message, Query):
            return await self._read(envelope, message, handler)
        is_alone = is_redelivered or envelope.keyed or envelope.attempt > 1
        job = _Job(envelope, message, handler, _name(handler), is_alone)
        self._queues[self._pace(envelope, lane)].put_nowait(job)
        return await job.done

    def _pace(self, envelope: Envelope, lane: Lane) -> _Pace:
        if lane == "rpc":
            return "rpc"
        return "unhurried" if envelope.topic in self._unhurried else "event"

    async def _touch_world(self, envelope: Envelope, effect: Effect) -> Settled:
        handler = self._effects[envelope.topic]
        async with asyncio.timeout(HANDLER_SECONDS):
            event = await handler(effect)
        if event is not None:
            said = Said(event, scope.onward(envelope.context))
            await self._publish_answer(outbox.envelope_of(said, self._source, self._clock()))
        return Settled(Fate.ACK, handler=_name(handler))

    async def _read(self, envelope: Envelope, query: Query[Any], handler: Handler) -> Settled:
        async with connection(self._pool) as db, asyncio.timeout(HANDLER_SECONDS):
            value = await handler(query, self._tx(db, envelope))
        return Settled(Fate.ACK, WireReply(_encode(query, value)), handler=_name(handler))

    async def _work(self, pace: _Pace, turn: asyncio.Lock) -> None:
        """One batch at a time, so that the next one grows meanwhile: that is what makes a commit
        cheap. A batch that takes longer (a lock, a slow disk) gives its turn to another worker.
        """
        queue = self._queues[pace]
        while True:
            async with turn:
                first = await queue.get()
                if pace == "unhurried" and queue.qsize() < BATCH_MAX - 1:
                    await asyncio.sleep(LINGER_SECONDS)
                jobs = drain(queue, first, BATCH_MAX)
                handling = asyncio.create_task(self._handle_or_let_go(jobs))
                try:
                    await asyncio.wait({handling}, timeout=TURN_SECONDS)
                except asyncio.CancelledError:
                    handling.cancel()
                    raise
            await handling

    async def _handle_or_let_go(self, jobs: Sequence[_Job]) -> None:
        try:
            await self._handle_all(jobs)
        except asyncio.CancelledError:
            for job in jobs:  # the broker redelivers what was never answered
                job.done.cancel()
            raise

    async def _handle_all(self, jobs: Sequence[_Job]) -> None:
        together = [job for job in jobs if not job.is_alone]
        alone = [job for job in jobs if job.is_alone]
        if together and not await self._handle_together(together):
            alone = together + alone
        for job in alone:
            # Beside the lane: one that waits for a lock or a database holds up nobody else.
            await self._slots.acquire()
            task = asyncio.create_task(self._settle_alone(job))
            self._alone.add(task)
            task.add_done_callback(self._alone_ended)

    async def _settle_alone(self, job: _Job) -> None:
        try:
            with scope.within(job.scope):
                settled = await self._handle_alone(job)
        except asyncio.CancelledError:
            job.done.cancel()
            raise
        except Exception as error:  # even keeping a refusal may fail: nothing is left unsettled
            settled = self._failed(job.envelope, error, job.name)
        if not job.done.done():
            job.done.set_result(settled)

    def _alone_ended(self, task: asyncio.Task[None]) -> None:
        self._alone.discard(task)
        self._slots.release()

    async def _handle_together(self, jobs: Sequence[_Job]) -> bool:
        """All in one transaction; False (nothing happened) if any of them failed.

        Even a lone refusal is looked at again by itself: it may be a repeat whose first
        delivery was accepted, and then the answer is that acceptance.
        """
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                results = await self._transact(jobs)
        except Exception as error:
            for job in jobs:
                with scope.within(job.scope):
                    log.debug("batch.split", size=len(jobs), reason=describe(error))
            return False
        for job, result in zip(jobs, results, strict=True):
            _settle(job, result)
        return True

    async def _transact(self, jobs: Sequence[_Job]) -> list[_Result]:
        now = self._clock()
        said: list[Said] = []
        # What all of them share is shown with the first.
        with scope.within(jobs[0].scope), tracing.span("transaction", flint__messages=len(jobs)):
            return await self._commit_all(jobs, now, said)

    async def _commit_all(
        self, jobs: Sequence[_Job], now: datetime, said: list[Said]
    ) -> list[_Result]:
        async with transaction(self._pool) as db:
            results = [await self._run(job, db, now, said) for job in jobs]
            handled = [result.handled for result in results]
            rows = await self._write(db, said, handled, now)
        self._on_written(rows)
        return results

    async def _run(self, job: _Job, db: Connection, now: datetime, said: list[Said]) -> _Result:
        with scope.within(job.scope):
            tx = self._tx(db, job.envelope, now)
            value = await job.handler(job.message, tx)
        said += tx.said
        reply = _encode(job.message, value) if isinstance(job.message, Command) else None
        handled = Handled(job.envelope.id, job.name, job.envelope.body_hash, reply)
        return _Result(reply, handled)

    async def _write(
        self, db: Connection, said: list[Said], handled: list[Handled], now: datetime
    ) -> list[OutboxRow]:
        return await outbox.write(
            db, said, handled, source=self._source, now=now, lease_by=self._instance
        )

    async def _handle_alone(self, job: _Job) -> Settled:
        """With a look into the inbox first, and patience while the database is away."""
        began = time.monotonic()
        for attempt in range(1, 10_000):
            try:
                async with asyncio.timeout(HANDLER_SECONDS):
                    return await self._once(job)
            except Exception as error:
                # Another copy or another message won: look again. A bug violates it for ever.
                is_repeat = isinstance(error, UniqueViolation) and attempt < REPEATS_MAX
                if not (is_repeat or is_outage(error)) or self._is_hopeless(job, began, attempt):
                    return await self._refused_or_failed(job, error)
                if not is_repeat:
                    self._say_waiting(error)
                await asyncio.sleep(random.uniform(0.05, 0.15) * min(attempt, 10))  # noqa: S311 jitter
        raise AssertionError("unreachable: every outage ends by its time")

    def _say_waiting(self, error: Exception) -> None:
        """Messages are held: one line for all of them, again after a while."""
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + SAY_EVERY_SECONDS
            log.warning("database.waiting", room=self.room.name, reason=describe(error))

    def _is_hopeless(self, job: _Job, began: float, attempt: int) -> bool:
        if job.envelope.deadline:
            return unix_seconds() > job.envelope.deadline or attempt > OUTAGE_RETRIES
        # A message without a waiting caller is held while the database is away: handing it to
        # the retry queue would only burn its attempts.
        return time.monotonic() - began > DATABASE_WAIT_SECONDS

    async def _once(self, job: _Job) -> Settled:
        now = self._clock()
        said: list[Said] = []
        async with transaction(self._pool) as db:
            known = await inbox.look(db, job.envelope, job.name)
            if known is not None:
                return Settled(Fate.ACK, known, "handled before", job.name)
            result = await self._run(job, db, now, said)
            rows = await self._write(db, said, [result.handled], now)
        self._on_written(rows)
        return Settled(Fate.ACK, WireReply(result.reply or b"null"), handler=job.name)

    async def _refused_or_failed(self, job: _Job, error: Exception) -> Settled:
        keep = job.envelope.keyed and isinstance(error, Refusal) and inbox.is_kept(error)
        if keep and isinstance(error, Refusal):
            async with connection(self._pool) as db:
                await inbox.keep_refusal(db, job.envelope, job.name, error, self._clock())
        return self._failed(job.envelope, error, job.name)

    def _failed(self, envelope: Envelope, error: Exception, handler: str = "") -> Settled:
        what = fate(error, attempt=envelope.attempt, attempts_max=self._attempts_max)
        return Settled(
            what,
            wire_failure(error),
            describe(error),
            handler,
            is_understood=not isinstance(error, ValidationError),
        )

    def _tx(self, db: Connection, envelope: Envelope, now: datetime | None = None) -> Tx:
        moment = now or self._clock()
        context = scope.onward(envelope.context)
        return Tx(db, moment, context, envelope.id, self._public_url)


def _settle(job: _Job, result: _Result) -> None:
    if not job.done.done():
        reply = WireReply(result.reply or b"null")
        job.done.set_result(Settled(Fate.ACK, reply, handler=job.name))


def _encode(message: Message, value: Any) -> bytes:
    assert isinstance(message, Command), "only commands and queries are answered"
    return reply_adapter(type(message)).dump_json(value, exclude_none=True)


def _name(handler: Handler | Any) -> str:
    return f"{handler.__module__}.{getattr(handler, '__qualname__', 'effect')}"
