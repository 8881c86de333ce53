"""One supervised AMQP connection: connect, set up, watch, and again.

Plain `aio_pika.connect` with our own loop instead of `connect_robust`: the robust one re-declares
with arguments and loops on a mismatch (406), restores a direct reply-to consumer wrongly, keeps a
fixed interval without jitter, and hides failed restores at DEBUG (reliability notes P10–P12,
P17, P18). Here losing anything (connection, channel, consumer) rebuilds everything, from passive
declarations, and `is_up` tells the truth.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aio_pika
import aiormq
import structlog
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from yarl import URL

from shared.bus.addresses import CONNECT_ERRORS, addresses, patience_seconds
from shared.errors import Unavailable
from shared.loops import stay_cancelled

log = structlog.get_logger("flint.amqp")

HEARTBEAT_SECONDS: Final = 10
CONNECT_SECONDS: Final = 10.0
SETUP_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 5.0
BACKOFF_MAX_SECONDS: Final = 5.0
BROKER_ERRORS: Final = CONNECT_ERRORS


class Line:
    """`set_up` opens channels on a fresh connection; it runs again after every loss."""

    def __init__(self, url: str, name: str, set_up: Callable[[Line], Awaitable[None]]) -> None:
        self._addresses = [_with_heartbeat(address) for address in addresses(url)]
        random.shuffle(self._addresses)  # clients spread over a cluster's nodes
        self._tries = 0
        self._name = name
        self._set_up = set_up
        self._connection: AbstractConnection | None = None
        self._lost = asyncio.Event()
        self._up = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether connection, channels and consumers are all there."""
        return self._up.is_set() and not self._lost.is_set()

    async def ready(self, timeout_seconds: float) -> None:
        """Wait until the line is up; raises Unavailable after the time."""
        if self.is_up:
            return
        try:
            await asyncio.wait_for(self._up.wait(), timeout_seconds)
        except TimeoutError:
            raise Unavailable("the broker cannot be reached") from None

    async def run(self) -> None:
        """Keep the line up until cancelled."""
        pause = 0.1
        try:
            while True:
                if await self._once():
                    pause = 0.1
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 jitter
                pause = min(pause * 2, BACKOFF_MAX_SECONDS)
        finally:
            self._up.clear()

    async def _once(self) -> bool:
        """One life of the connection; whether it was ever up."""
        self._lost.clear()
        try:
            self._connection = await self._connect()
            self._connection.close_callbacks.add(self._on_loss)
            async with asyncio.timeout(SETUP_SECONDS):
                await self._set_up(self)
            stay_cancelled()
        except (*BROKER_ERRORS, Unavailable, asyncio.CancelledError) as error:
            stay_cancelled(error)
            # A connection that dies in the middle of a set-up may also say "cancelled".
            log.warning("broker.unreachable", line=self._name, reason=explain(error))
            await self.close()
            return False
        self._up.set()
        log.info("broker.connected", line=self._name)
        await self._lost.wait()
        self._up.clear()
        log.warning("broker.lost", line=self._name)
        await self.close()
        return True

    async def _connect(self) -> AbstractConnection:
        """To the next host of the address: one that was lost is asked again last."""
        address = self._addresses[self._tries % len(self._addresses)]
        self._tries += 1
        return await asyncio.wait_for(
            aio_pika.connect(address, client_properties={"connection_name": self._name}),
            patience_seconds(len(self._addresses), CONNECT_SECONDS),
        )

    async def channel(self, *, confirms: bool, prefetch: int = 0) -> AbstractChannel:
        """A long-lived channel whose loss is the line's loss.

        The protocol's own (aiormq): what goes through it goes through no object of the client's.
        """
        assert self._connection is not None, "channels are opened during set-up"
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize(timeout=CONNECT_SECONDS)
        if prefetch:
            await channel.set_qos(prefetch_count=prefetch, timeout=CONNECT_SECONDS)
        channel.close_callbacks.add(self._on_loss)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_loss)  # the queue was deleted
        return underlay

    async def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Messages in each queue. Its channel is of this moment: losing it loses nothing else."""
        assert self._connection is not None, "asked while the line is up"
        channel = self._connection.channel(publisher_confirms=False)
        try:
            await channel.initialize(timeout=CONNECT_SECONDS)
            found = [
                await channel.declare_queue(name, passive=True, timeout=CONNECT_SECONDS)
                for name in queues
            ]
            await channel.close()
        except BROKER_ERRORS as error:
            raise Unavailable(f"the queues cannot be counted: {explain(error)}") from error
        return {queue.name: queue.declaration_result.message_count or 0 for queue in found}

    async def close(self) -> None:
        """End the connection; a broken one is only forgotten."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await asyncio.wait_for(connection.close(), CLOSE_SECONDS)
        except (*BROKER_ERRORS, asyncio.CancelledError) as error:
            stay_cancelled(error)
            log.debug("broker.close_failed", line=self._name, reason=explain(error))

    def lose(self) -> None:
        """Give the connection up: everything is set up again on a new one."""
        self._lost.set()

    def _on_loss(self, *_: Any) -> None:
        self.lose()


def _with_heartbeat(address: URL) -> URL:
    return address.with_query({"heartbeat": str(HEARTBEAT_SECONDS)} | dict(address.query))


def explain(error: BaseException) -> str:
    """One line for a person who has to mend it."""
    text = f"{type(error).__name__}: {error}"[:300]
    if isinstance(error, aio_pika.exceptions.ChannelNotFoundEntity):
        return f"{text}; the topology is missing: run `flint topology apply`"
    if isinstance(error, _REFUSED) or "got <Connection.Close" in text:
        text = "" if "got <" in text else f" ({text})"
        return f"the broker refuses the user, its password or the virtual host{text}"
    return text


# A missing virtual host comes as a frame that the driver did not expect.
_REFUSED: Final = (
    aio_pika.exceptions.AuthenticationError,
    aio_pika.exceptions.ProbableAuthenticationError,
    aiormq.exceptions.ConnectionNotAllowed,
    aiormq.exceptions.ChannelAccessRefused,
)
