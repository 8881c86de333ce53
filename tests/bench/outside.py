"""An outside consumer of `order.paid`: when did the world hear of it?"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import aio_pika
import orjson
from aio_pika.abc import AbstractIncomingMessage

from shared.bus.topology import EVENTS


class Outside:
    """Binds its own queue, as an internal system would; `paid` waits for one session's order."""

    def __init__(self, amqp_url: str) -> None:
        self._amqp_url = amqp_url
        self._heard: dict[str, asyncio.Future[float]] = {}
        self._connection: Any = None

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._amqp_url)
        channel = await self._connection.channel()
        queue = await channel.declare_queue("outside", exclusive=True)
        await queue.bind(EVENTS, "order.paid")
        await queue.consume(self._on_paid, no_ack=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection.close()

    async def paid(self, session_id: str) -> float:
        """The moment (perf_counter) at which it was heard."""
        return await asyncio.wait_for(self._future(session_id), 30)

    def _future(self, session_id: str) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        return self._heard.setdefault(session_id, loop.create_future())

    async def _on_paid(self, message: AbstractIncomingMessage) -> None:
        moment = time.perf_counter()
        session_id = orjson.loads(message.body)["data"].get("paid_session_id")
        if session_id and not (future := self._future(session_id)).done():
            future.set_result(moment)
