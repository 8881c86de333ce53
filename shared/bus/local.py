"""The local transport: every room in one process, no broker.

A publish hands the envelope to each listener and returns only after all of their transactions
committed, so an outbox row is deleted exactly when its effects are durable. A listener that
asks for a retry keeps the row in the outbox: the outbox is the retry queue.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

from shared.bus.caller import CALL_SECONDS, Answer, WireReply
from shared.bus.fate import Fate
from shared.bus.noting import asking
from shared.bus.outbox import MessageKind
from shared.bus.room import Room, topics_of
from shared.bus.transport import Lane, Receiver, RetryLater, Settled, Subscription, Unroutable
from shared.clock import unix_seconds
from shared.contracts.base import Command, Context, Envelope
from shared.errors import DeadlineExceeded, Unavailable
from shared.failures import describe
from shared.ids import new_id
from shared.telemetry import scope

R = TypeVar("R")
DRAIN_SECONDS = 10.0


class LocalTransport:
    """All rooms are named at the start, so that a message for one that is down waits for it."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self._members: dict[str, list[_LocalSubscription]] = {room.name: [] for room in rooms}
        self._listeners: dict[str, list[str]] = defaultdict(list)
        for room in rooms:
            for topic in topics_of(room):
                self._listeners[topic].append(room.name)
        self._turn = itertools.count()

    async def subscribe(self, receiver: Receiver) -> Subscription:
        """Join: from now on messages for the room may come here."""
        members = self._members[receiver.room.name]
        subscription = _LocalSubscription(receiver, members)
        members.append(subscription)
        return subscription

    async def publish(self, kind: MessageKind, envelope: Envelope) -> None:
        """Deliver to every listening room and wait until each has committed."""
        lane: Lane = "world" if kind == "effect" else "in"
        targets = self._listeners.get(envelope.topic)
        if not targets:
            raise Unroutable(f"nobody in this process listens to {envelope.topic}")
        outcomes = await asyncio.gather(
            *(self._deliver(name, envelope, lane) for name in targets), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise RetryLater(f"{envelope.topic}: {describe(outcome)}") from None

    async def call(
        self,
        command: Command[R],
        *,
        context: Context,
        message_id: str | None = None,
        body_hash: str = "",
        is_keyed: bool = False,
        timeout_seconds: float = CALL_SECONDS,
    ) -> Answer[R]:
        """Ask the room that answers this topic; see `Caller.call`."""
        with asking(command.topic):
            envelope = Envelope(
                id=message_id or new_id("req"),
                topic=command.topic,
                body=command.to_json(),
                context=scope.onward(context),
                keyed=is_keyed,
                body_hash=body_hash,
                deadline=unix_seconds() + timeout_seconds,
            )
            reply = await self._ask(envelope, timeout_seconds)
        return reply.open(command)

    async def _ask(self, envelope: Envelope, timeout_seconds: float) -> WireReply:
        receiver = self._receiver_of(envelope.topic)
        task = asyncio.ensure_future(receiver.deliver(envelope, "rpc"))
        done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
        if not done:  # it may still happen: an unknown outcome, as over a broker
            raise DeadlineExceeded(f"{envelope.topic} did not answer in {timeout_seconds:g} s")
        reply = _result(task).reply
        if reply is None:
            raise DeadlineExceeded(f"{envelope.topic} was too late to be started")
        return reply

    def is_healthy(self) -> bool:
        """A function call is always there."""
        return True

    def lines(self) -> Mapping[str, bool]:
        """There is no broker."""
        return {}

    def consumers(self, room: str) -> int:
        """Who has joined for the room."""
        return len(self._members[room])

    async def depths(self, room: Room) -> Mapping[str, int]:
        """The outbox is the only queue."""
        del room
        return {}

    async def close(self) -> None:
        """Nothing to close: subscriptions end by themselves."""

    def _receiver_of(self, topic: str) -> _LocalSubscription:
        names = self._listeners.get(topic)
        if not names:
            raise Unavailable(f"nobody in this process answers {topic}")
        return self._next_member(names[0])

    def _next_member(self, name: str) -> _LocalSubscription:
        members = self._members[name]
        if not members:
            raise Unavailable(f"{name} is not running")
        return members[next(self._turn) % len(members)]

    async def _deliver(self, name: str, envelope: Envelope, lane: Lane) -> None:
        subscription = self._next_member(name)
        settled = await subscription.deliver(envelope, lane)
        if settled.fate is Fate.RETRY:
            raise RetryLater(settled.reason)
        if settled.fate is Fate.BURY:
            await subscription.receiver.bury(envelope, f"{name}.{lane}", settled.reason)


class _LocalSubscription:
    """One receiver's membership; counts what it holds so that stopping can wait for it."""

    def __init__(self, receiver: Receiver, members: list[_LocalSubscription]) -> None:
        self.receiver = receiver
        self._members = members
        self._held = 0

    async def deliver(self, envelope: Envelope, lane: Lane) -> Settled:
        self._held += 1
        try:
            is_repeat = envelope.attempt > 1
            return await self.receiver.receive(envelope, lane=lane, is_redelivered=is_repeat)
        finally:
            self._held -= 1

    async def stop(self) -> None:
        """Take nothing more; wait for what is held, at most `DRAIN_SECONDS`."""
        if self in self._members:
            self._members.remove(self)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._held and time.monotonic() < deadline:
            await asyncio.sleep(0.01)


def _result(task: asyncio.Future[Settled]) -> Settled:
    if task.cancelled():
        raise Unavailable("the service stopped before it answered")
    return task.result()
