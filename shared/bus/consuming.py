"""A room's consumption over RabbitMQ: queues in, fates out.

Never `message.process()`: it dead-letters a good message when a shutdown cancels its handler.
A cancelled handler does nothing here, and the broker hands the message to somebody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from uuid import uuid4

import aiormq
import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from shared.bus.acks import Acks
from shared.bus.caller import WireReply
from shared.bus.fate import Fate, retry_level
from shared.bus.line import BROKER_ERRORS, Line, explain
from shared.bus.rpc import pack
from shared.bus.topology import DEAD, RETRY, queues_of, retry_queue
from shared.bus.transport import Lane, Receiver, Settled
from shared.bus.wire import Malformed, from_message
from shared.contracts.base import Envelope
from shared.errors import Unavailable

log = structlog.get_logger("flint.amqp")

# Bounded so that a crash burns few delivery counts and memory stays small; world handlers wait
# for somebody else, so more of them are held than a database pool would allow.
PREFETCH: Final[dict[Lane, int]] = {"in": 200, "rpc": 200, "world": 100}
DECLARE_SECONDS: Final = 5.0
CANCEL_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 15.0

Send = Callable[[str, str, Message], Awaitable[None]]
Reply = Callable[[bytes, str, str], Awaitable[None]]


class RoomConsumption:
    """The consumers of one room's queues; started anew on every fresh connection."""

    def __init__(self, receiver: Receiver, *, send: Send, reply: Reply, retry_levels: int) -> None:
        self._receiver = receiver
        self._send = send
        self._reply = reply
        self._retry_levels = retry_levels
        self._consumers: list[tuple[AbstractQueue, str]] = []
        self._acks: list[Acks] = []
        self._held = 0
        self._is_stopping = False

    async def start(self, line: Line) -> None:
        """Passive declarations only: a service never changes the topology."""
        if self._is_stopping:
            return
        self._consumers, self._acks = [], []
        for name, lane in self._queues().items():
            channel = await line.channel(confirms=False, prefetch=PREFETCH[lane])
            queue = await channel.declare_queue(name, passive=True, timeout=DECLARE_SECONDS)
            acks = Acks(await channel.get_underlay_channel())
            self._acks.append(acks)
            callback = partial(self._on_message, name, lane, acks)
            tag = await queue.consume(callback, timeout=DECLARE_SECONDS)
            self._consumers.append((queue, tag))

    async def stop(self) -> None:
        """Cancel the consumers, then wait for the handlers that still run, within a bound."""
        self._is_stopping = True
        for queue, tag in self._consumers:
            try:
                await queue.cancel(tag, timeout=CANCEL_SECONDS)
            except (*BROKER_ERRORS, aiormq.exceptions.AMQPError) as error:
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
        self, queue: str, lane: Lane, acks: Acks, message: AbstractIncomingMessage
    ) -> None:
        tag = message.delivery_tag
        assert tag is not None, "only messages that want an acknowledgement come here"
        self._held += 1
        acks.taken(tag)
        try:
            await self._handle(queue, lane, message)
            acks.settled(tag)
        except Exception as error:
            # Not acknowledged: the broker delivers it again, and the inbox drops a repeat. Even
            # a bug of ours must not keep a message and its prefetch slot for ever.
            log.warning("message.unsettled", queue=queue, reason=explain(error))
            await self._give_back(message)
            acks.given_back(tag)
        finally:
            self._held -= 1

    async def _handle(self, queue: str, lane: Lane, message: AbstractIncomingMessage) -> None:
        try:
            envelope = from_message(message)
        except Malformed as error:
            log.warning("message.malformed", queue=queue, reason=str(error))
            if lane != "rpc":  # a question has no parking place: nobody waits that long
                await self._bury_raw(queue, message, f"malformed: {error}")
            return
        is_redelivered = bool(message.redelivered)
        settled = await self._receiver.receive(envelope, lane=lane, is_redelivered=is_redelivered)
        if message.reply_to and settled.reply is not None:
            await self._answer(message, envelope, settled.reply)
        if settled.fate is Fate.RETRY and lane != "rpc":
            await self._retry(queue, envelope, message, settled)
        elif settled.fate is Fate.BURY and lane != "rpc":
            await self._bury(queue, envelope, message, settled)

    async def _answer(
        self, message: AbstractIncomingMessage, envelope: Envelope, reply: WireReply
    ) -> None:
        assert message.reply_to is not None, "checked by the caller"
        try:
            await self._reply(pack(reply), message.reply_to, message.correlation_id or "")
        except Unavailable as error:  # the work is committed; the caller asks again
            log.warning("reply.lost", topic=envelope.topic, reason=str(error))

    async def _retry(self, queue: str, envelope: Envelope, message: Any, settled: Settled) -> None:
        level = retry_level(envelope.attempt, self._retry_levels)
        attempt = envelope.attempt + settled.is_counted
        headers = {**(message.headers or {}), "x-attempt": attempt}
        await self._send(RETRY, retry_queue(queue, level), _copy(message, headers))

    async def _bury(self, queue: str, envelope: Envelope, message: Any, settled: Settled) -> None:
        headers = {
            **(message.headers or {}),
            "x-reason": settled.reason,
            "x-handler": settled.handler,
            "x-attempt": envelope.attempt,
        }
        await self._send(DEAD, queue, _copy(message, headers))

    async def _bury_raw(self, queue: str, message: AbstractIncomingMessage, reason: str) -> None:
        headers: dict[str, Any] = {**(message.headers or {}), "x-reason": reason, "x-attempt": 1}
        await self._send(DEAD, queue, _copy(message, headers))

    async def _give_back(self, message: AbstractIncomingMessage) -> None:
        # `reject` counts against the delivery limit, so even this has an end: the parking queue.
        try:
            await asyncio.sleep(0.5)
            await message.reject(requeue=True)
        except (*BROKER_ERRORS, aiormq.exceptions.AMQPError) as error:
            log.debug("message.not_given_back", reason=explain(error))


def _copy(message: AbstractIncomingMessage, headers: dict[str, Any]) -> Message:
    """The same message under a fresh publish id; `x-death` is the broker's, not ours to send."""
    headers.pop("x-death", None)
    return Message(
        message.body,
        headers=headers,
        content_type=message.content_type,
        type=message.type,
        message_id=uuid4().hex,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
