"""A room's consumption over RabbitMQ: queues in, fates out.

Never `message.process()`: it dead-letters a good message when a shutdown cancels its handler.
A cancelled handler does nothing here, and the broker hands the message to somebody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.bus.acks import Acks
from shared.bus.caller import WireReply
from shared.bus.fate import Fate, retry_level
from shared.bus.line import BROKER_ERRORS, Line, explain
from shared.bus.noting import stranger
from shared.bus.rpc import pack
from shared.bus.topology import DEAD, RETRY, queues_of, retry_queue
from shared.bus.transport import Lane, Receiver, Settled
from shared.bus.wire import Content, Malformed, content_of, from_content, sent_again
from shared.contracts.base import Envelope
from shared.errors import Unavailable
from shared.redaction import clean, unreadable, without_keys
from shared.telemetry import scope

log = structlog.get_logger("flint.amqp")

# Bounded so that a crash burns few delivery counts and memory stays small; world handlers wait
# for somebody else, so more of them are held than a database pool would allow.
PREFETCH: Final[dict[Lane, int]] = {"in": 200, "rpc": 200, "world": 100}
DECLARE_SECONDS: Final = 5.0
CONSUME_SECONDS: Final = 10.0  # an election may be under way; giving up would only begin it anew
CANCEL_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 15.0
UNREADABLE_BYTES_MAX: Final = 65_536

Send = Callable[[str, str, Content], Awaitable[None]]
Reply = Callable[[bytes, str, str], Awaitable[None]]


class RoomConsumption:
    """The consumers of one room's queues; started anew on every fresh connection."""

    def __init__(self, receiver: Receiver, *, send: Send, reply: Reply, retry_levels: int) -> None:
        self._receiver = receiver
        self._send = send
        self._reply = reply
        self._retry_levels = retry_levels
        self._consumers: list[tuple[AbstractChannel, str]] = []
        self._acks: list[Acks] = []
        self._held = 0
        self._is_stopping = False

    @property
    def room_name(self) -> str:
        """Whose queues these are."""
        return self._receiver.room.name

    @property
    def consumers(self) -> int:
        """How many of its queues are consumed."""
        return 0 if self._is_stopping else len(self._consumers)

    async def start(self, line: Line) -> None:
        """Passive declarations only: a service never changes the topology."""
        if self._is_stopping:
            return
        self._consumers, self._acks = [], []
        # Side by side: a queue whose leader died keeps whoever asks for it waiting for the next.
        started = (self._take(line, name, lane) for name, lane in self._queues().items())
        self._consumers = await asyncio.gather(*started)

    async def _take(self, line: Line, name: str, lane: Lane) -> tuple[AbstractChannel, str]:
        channel = await line.channel(confirms=False, prefetch=PREFETCH[lane])
        await channel.queue_declare(name, passive=True, timeout=DECLARE_SECONDS)
        acks = Acks(channel)
        self._acks.append(acks)
        callback = partial(self._on_message, name, lane, acks)
        consumed = await channel.basic_consume(name, callback, timeout=CONSUME_SECONDS)
        return channel, consumed.consumer_tag or ""

    async def stop(self) -> None:
        """Cancel the consumers, then wait for the handlers that still run, within a bound."""
        self._is_stopping = True
        for channel, tag in self._consumers:
            try:
                await channel.basic_cancel(tag, timeout=CANCEL_SECONDS)
            except BROKER_ERRORS as error:
                log.debug("consumer.cancel_failed", reason=explain(error))
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._held and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for acks in self._acks:
            await acks.written()

    def _queues(self) -> dict[str, Lane]:
        room = self._receiver.room
        lanes: tuple[Lane, ...] = ("in", "rpc", "world")
        declared = {spec.name for spec in queues_of(room)}
        return {f"{room.name}.{lane}": lane for lane in lanes if f"{room.name}.{lane}" in declared}

    async def _on_message(
        self, queue: str, lane: Lane, acks: Acks, message: DeliveredMessage
    ) -> None:
        tag = message.delivery_tag
        assert tag is not None, "only messages that want an acknowledgement come here"
        self._held += 1
        acks.taken(tag)
        try:
            await self._handle(queue, lane, content_of(message), bool(message.redelivered))
            acks.settled(tag)
        except Exception as error:
            # Not acknowledged: the broker delivers it again, and the inbox drops a repeat. Even
            # a bug of ours must not keep a message and its prefetch slot for ever.
            log.warning("message.unsettled", queue=queue, reason=explain(error))
            await self._give_back(message.channel, tag)
            acks.given_back(tag)
        finally:
            self._held -= 1

    async def _handle(self, queue: str, lane: Lane, content: Content, is_redelivered: bool) -> None:
        try:
            envelope = from_content(content)
        except Malformed as error:
            with stranger(self._receiver.room.name, queue, str(error)):
                if lane != "rpc":  # a question has no parking place: nobody waits that long
                    await self._bury_raw(queue, content, f"malformed: {error}")
            return
        settled = await self._receiver.receive(envelope, lane=lane, is_redelivered=is_redelivered)
        with scope.within(scope.of_message(self._receiver.room.name, envelope)):
            await self._act(queue, lane, content, envelope, settled)

    async def _act(
        self, queue: str, lane: Lane, content: Content, envelope: Envelope, settled: Settled
    ) -> None:
        """What the fate asks for; the acknowledgement comes after it."""
        if settled.reply is not None and content.properties.reply_to:
            await self._answer(content, envelope, settled.reply)
        if settled.fate is Fate.RETRY and lane != "rpc":
            await self._retry(queue, envelope, content, settled)
        elif settled.fate is Fate.BURY and lane != "rpc":
            await self._bury(queue, envelope, content, settled)

    async def _answer(self, content: Content, envelope: Envelope, reply: WireReply) -> None:
        asked = content.properties
        assert asked.reply_to is not None, "checked by the caller"
        try:
            await self._reply(pack(reply), asked.reply_to, asked.correlation_id or "")
        except Unavailable as error:  # the work is committed; the caller asks again
            log.warning("reply.lost", topic=envelope.topic, reason=str(error))

    async def _retry(
        self, queue: str, envelope: Envelope, content: Content, settled: Settled
    ) -> None:
        level = retry_level(envelope.attempt, self._retry_levels)
        headers = {"x-attempt": envelope.attempt + settled.is_counted}
        await self._send_again(RETRY, retry_queue(queue, level), content, headers)

    async def _bury(
        self, queue: str, envelope: Envelope, content: Content, settled: Settled
    ) -> None:
        headers = {
            "x-reason": settled.reason,
            "x-handler": settled.handler,
            "x-attempt": envelope.attempt,
        }
        if not settled.is_understood:  # a stranger's may hold anything; ours stay whole
            content = _masked(content, without_keys(content.body))
        await self._send_again(DEAD, queue, content, headers)

    async def _bury_raw(self, queue: str, content: Content, reason: str) -> None:
        """Nobody can handle it, now or later: what is kept of it is for a person to look at."""
        masked = _masked(content, unreadable(content.body, UNREADABLE_BYTES_MAX))
        await self._send_again(DEAD, queue, masked, {"x-reason": reason, "x-attempt": 1})

    async def _send_again(
        self, exchange: str, key: str, content: Content, headers: Mapping[str, Any]
    ) -> None:
        known = content.properties.headers or {}
        await self._send(exchange, key, sent_again(content, {**known, **headers}))

    async def _give_back(self, channel: AbstractChannel, tag: int) -> None:
        # `reject` counts against the delivery limit, so even this has an end: the parking queue.
        try:
            await asyncio.sleep(0.5)
            await channel.basic_reject(tag, requeue=True)
        except BROKER_ERRORS as error:
            log.debug("message.not_given_back", reason=explain(error))


def _masked(content: Content, body: bytes) -> Content:
    """With that body, and its properties without secrets."""
    known = content.properties
    known.headers = {
        name: clean(value) if isinstance(value, str) else value
        for name, value in (known.headers or {}).items()
    }
    known.message_type = clean(known.message_type) if known.message_type else None
    return Content(body, known)
