"""The RabbitMQ transport: confirmed, mandatory publishes; competing consumers; RPC.

Two connections per process, because an alarm that blocks publishers would stall the acks of
consumers on the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import structlog
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from shared.bus.caller import CALL_SECONDS, Answer
from shared.bus.consuming import RoomConsumption
from shared.bus.fate import RETRY_DELAYS_SECONDS
from shared.bus.line import BROKER_ERRORS, Line, explain
from shared.bus.noting import asking
from shared.bus.outbox import MessageKind
from shared.bus.room import Room
from shared.bus.rpc import PUBLISH_SECONDS, RpcCaller
from shared.bus.topology import EVENTS, EXCHANGES, REQUESTS, queues_of
from shared.bus.transport import NotConfirmed, Receiver, Subscription, Unroutable
from shared.bus.wire import Content, to_content
from shared.contracts.base import Command, Context, Envelope
from shared.errors import Unavailable
from shared.loops import endless, is_cancelled, stay_cancelled
from shared.telemetry import scope

log = structlog.get_logger("flint.amqp")
R = TypeVar("R")

READY_SECONDS: Final = 2.0


class RabbitTransport:
    """`run` supervises both connections; start order of broker and services does not matter."""

    def __init__(
        self, url: str, *, name: str, retry_delays: Sequence[float] = RETRY_DELAYS_SECONDS
    ) -> None:
        self._publishing = Line(url, f"{name}-publish", self._set_up_publishing)
        self._consuming = Line(url, f"{name}-consume", self._set_up_consuming)
        self._facts: AbstractChannel | None = None
        self._replies: AbstractChannel | None = None
        self._rooms: list[RoomConsumption] = []
        self._retry_levels = len(retry_delays)
        self._rpc = RpcCaller()

    async def run(self) -> None:
        """Keep both connections up until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(endless("broker.publish", self._publishing.run()))
            group.create_task(endless("broker.consume", self._consuming.run()))

    async def publish(self, kind: MessageKind, envelope: Envelope) -> None:
        """Confirmed by the broker, or an exception that says what is known."""
        exchange = EVENTS if kind == "event" else REQUESTS
        await self.send(exchange, envelope.topic, to_content(kind, envelope))

    async def send(self, exchange: str, key: str, content: Content) -> None:
        """The one publish of the product: every way it can end is decided here."""
        await self._publishing.ready(READY_SECONDS)
        assert self._facts is not None, "the line is ready"
        try:
            confirmation = await self._facts.basic_publish(
                content.body,
                exchange=exchange,
                routing_key=key,
                properties=content.properties,
                mandatory=True,
                timeout=PUBLISH_SECONDS,
            )
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # A frozen connection cancels its publishers, though nobody cancelled this task.
            raise NotConfirmed("the connection froze while publishing") from None
        except PublishError as error:
            raise Unroutable(f"no queue is bound to {key} on {exchange}") from error
        except DeliveryError as error:
            raise NotConfirmed(f"{key} was refused: a queue is full") from error
        except BROKER_ERRORS as error:
            raise NotConfirmed(f"{key}: {explain(error)}") from error
        if not isinstance(confirmation, Basic.Ack):
            raise Unroutable(f"no queue is bound to {key} on {exchange}")

    async def subscribe(self, receiver: Receiver) -> Subscription:
        """Consume the room's queues, now if the broker is there, else when it comes."""
        consumption = RoomConsumption(
            receiver, send=self.send, reply=self._reply, retry_levels=self._retry_levels
        )
        self._rooms.append(consumption)
        if self._consuming.is_up:
            await self._start(consumption)
        return consumption

    async def _start(self, consumption: RoomConsumption) -> None:
        """A queue that is missing now closes the line, which starts the room when it is there."""
        try:
            await consumption.start(self._consuming)
        except (*BROKER_ERRORS, asyncio.CancelledError) as error:
            stay_cancelled(error)
            log.warning("consumer.not_started", reason=explain(error))
            self._consuming.lose()

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
        """Ask over direct reply-to; see `Caller.call`."""
        await self._publishing.ready(READY_SECONDS)
        with asking(command.topic):
            envelope = self._rpc.envelope(
                command,
                scope.onward(context),
                message_id=message_id,
                body_hash=body_hash,
                is_keyed=is_keyed,
                timeout_seconds=timeout_seconds,
            )
            reply = await self._rpc.ask(envelope, timeout_seconds)
        return reply.open(command)

    def is_healthy(self) -> bool:
        """Both connections up, which includes every consumer."""
        return self._publishing.is_up and self._consuming.is_up

    def lines(self) -> Mapping[str, bool]:
        """The two connections."""
        return {"publish": self._publishing.is_up, "consume": self._consuming.is_up}

    def consumers(self, room: str) -> int:
        """The room's consumers, as long as their connection is up."""
        if not self._consuming.is_up:
            return 0
        return sum(one.consumers for one in self._rooms if one.room_name == room)

    async def depths(self, room: Room) -> Mapping[str, int]:
        """As the broker counts them, over a channel of its own."""
        await self._publishing.ready(READY_SECONDS)
        return await self._publishing.depths([spec.name for spec in queues_of(room)])

    async def replicas(self, queue: str) -> int:
        """How many processes take from a queue now; raises Unavailable when nobody can tell."""
        await self._publishing.ready(READY_SECONDS)
        channel = self._replies
        if channel is None or channel.is_closed:
            raise Unavailable("the broker cannot be asked")
        try:
            found = await channel.queue_declare(queue, passive=True, timeout=PUBLISH_SECONDS)
        except BROKER_ERRORS as error:
            raise Unavailable(f"{queue}: {explain(error)}") from error
        return found.consumer_count or 0

    async def ready(self, timeout_seconds: float) -> None:
        """Wait until messages can flow; raises Unavailable after the time."""
        await self._publishing.ready(timeout_seconds)
        await self._consuming.ready(timeout_seconds)

    async def close(self) -> None:
        """End both connections; subscriptions have to be stopped before."""
        await self._consuming.close()
        await self._publishing.close()

    async def _set_up_publishing(self, line: Line) -> None:
        channel = await line.channel(confirms=True)
        for name in EXCHANGES:  # one missing exchange would fail every publish in flight
            await channel.exchange_declare(name, passive=True, timeout=PUBLISH_SECONDS)
        self._facts = channel
        self._replies = await line.channel(confirms=False)
        await self._rpc.set_up(await line.channel(confirms=True))

    async def _set_up_consuming(self, line: Line) -> None:
        await self._publishing.ready(READY_SECONDS)  # who takes a question has to answer it
        for room in self._rooms:
            await room.start(line)

    async def _reply(self, body: bytes, reply_to: str, correlation_id: str) -> None:
        """At most once and unconfirmed: a caller that is gone asks again by the same id."""
        await self._publishing.ready(READY_SECONDS)
        channel = self._replies
        if channel is None or channel.is_closed:
            raise Unavailable("the reply channel is down")
        properties = Basic.Properties(
            correlation_id=correlation_id, content_type="application/json"
        )
        try:
            await channel.basic_publish(
                body, routing_key=reply_to, properties=properties, timeout=PUBLISH_SECONDS
            )
        except BROKER_ERRORS as error:
            raise Unavailable(f"the reply could not be sent: {explain(error)}") from error
