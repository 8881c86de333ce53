"""RPC over direct reply-to: ask, and wait for one answer until a deadline.

Own code rather than `aio_pika.patterns.RPC`, which speaks pickle (reliability notes P19).
Timeout means unknown: the caller asks again with the same message id, or reads.
"""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar
from uuid import uuid4

import orjson
import structlog
from aio_pika.exceptions import PublishError
from aiormq.abc import AbstractChannel, DeliveredMessage

from shared.bus.caller import WireReply
from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.topology import REQUESTS
from shared.bus.wire import TRANSIENT, remaining_ms, to_content
from shared.clock import unix_seconds
from shared.contracts.base import Command, Context, Envelope
from shared.errors import DeadlineExceeded, Unavailable
from shared.ids import new_id
from shared.loops import is_cancelled

log = structlog.get_logger("flint.rpc")
R = TypeVar("R")
REPLY_TO: Final = "amq.rabbitmq.reply-to"
WAITING_MAX: Final = 5_000
DECLARE_SECONDS: Final = 5.0
PUBLISH_SECONDS: Final = 5.0


class RpcCaller:
    """Pending questions by correlation id; unknown answers are dropped."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[WireReply]] = {}
        self._channel: AbstractChannel | None = None

    async def set_up(self, channel: AbstractChannel) -> None:
        """On a fresh channel: listen first; asking has to happen on the same channel."""
        self._give_up()  # what was asked on the one before is answered to nobody
        await channel.queue_declare(REPLY_TO, passive=True, timeout=DECLARE_SECONDS)
        await channel.basic_consume(REPLY_TO, self._on_reply, no_ack=True, timeout=DECLARE_SECONDS)
        self._channel = channel

    @staticmethod
    def envelope(
        command: Command[R],
        context: Context,
        *,
        message_id: str | None,
        body_hash: str,
        is_keyed: bool,
        timeout_seconds: float,
    ) -> Envelope:
        """The question, with the moment after which nobody waits for it any more."""
        return Envelope(
            id=message_id or new_id("req"),
            topic=command.topic,
            body=command.to_json(),
            context=context,
            keyed=is_keyed,
            body_hash=body_hash,
            deadline=unix_seconds() + timeout_seconds,
        )

    async def ask(self, envelope: Envelope, timeout_seconds: float) -> WireReply:
        """Publish and wait; raises DeadlineExceeded or Unavailable."""
        if len(self._waiting) >= WAITING_MAX:
            raise Unavailable("too many requests are waiting for an answer")
        correlation_id = uuid4().hex
        future: asyncio.Future[WireReply] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._publish(envelope, correlation_id)
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"{envelope.topic} did not answer in {timeout_seconds:g} s"
            ) from None
        finally:
            self._waiting.pop(correlation_id, None)

    async def _publish(self, envelope: Envelope, correlation_id: str) -> None:
        assert self._channel is not None, "ask comes after set_up"
        content = to_content(
            "command",
            envelope,
            delivery_mode=TRANSIENT,
            reply_to=REPLY_TO,
            correlation_id=correlation_id,
            expiration=str(remaining_ms(envelope.deadline)),
        )
        try:
            await self._channel.basic_publish(
                content.body,
                exchange=REQUESTS,
                routing_key=f"rpc.{envelope.topic}",
                properties=content.properties,
                mandatory=True,
                timeout=PUBLISH_SECONDS,
            )
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise Unavailable("the connection froze while asking") from None
        except PublishError:
            raise Unavailable(f"nobody answers {envelope.topic}") from None
        except BROKER_ERRORS as error:
            raise Unavailable(f"{envelope.topic}: {explain(error)}") from error

    def _give_up(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_result(WireReply(failure="outage"))

    async def _on_reply(self, message: DeliveredMessage) -> None:
        correlation_id = message.header.properties.correlation_id or ""
        future = self._waiting.get(correlation_id)
        if future is None or future.done():
            log.debug("rpc.late_answer", correlation_id=correlation_id)
            return
        future.set_result(unpack(message.body))


# An answer's value is JSON already: it is spliced in and sliced out, never parsed on the way.
_OK: Final = b'{"ok":'
_KEPT: Final = b'{"replayed":true,"ok":'


def pack(reply: WireReply) -> bytes:
    """`{"ok": …}`, `{"refusal": …}` or `{"failure": …}`, and whether it is a kept answer."""
    if reply.refusal is not None:
        return orjson.dumps({"replayed": reply.is_replayed, "refusal": reply.refusal})
    if reply.failure:
        return orjson.dumps({"failure": reply.failure})
    return (_KEPT if reply.is_replayed else _OK) + reply.value + b"}"


def unpack(body: bytes) -> WireReply:
    """The inverse of `pack`; an answer nobody understands is a failure there."""
    for head in (_OK, _KEPT):
        if body.startswith(head):
            return WireReply(body[len(head) : -1], is_replayed=head is _KEPT)
    try:
        wire = orjson.loads(body)
        if "refusal" in wire:
            return WireReply(refusal=wire["refusal"], is_replayed=bool(wire.get("replayed")))
        return WireReply(failure="outage" if wire.get("failure") == "outage" else "bug")
    except (ValueError, AttributeError, TypeError):
        return WireReply(failure="bug")
