"""A rig: one room's database and one transport, with services that start, stop and crash."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from shared.bus import outbox
from shared.bus.declare import apply
from shared.bus.local import LocalTransport
from shared.bus.rabbitmq import RabbitTransport
from shared.bus.room import Room
from shared.bus.service import Service
from shared.bus.topology import topology
from shared.bus.transport import Transport
from shared.bus.tx import Said
from shared.contracts.base import Command, Context, Event
from shared.db.pool import Pool, open_pool, transaction

Kind = Literal["local", "rabbitmq"]
DELAYS = (0.3, 0.6)
CONTEXT = Context(
    "mer_1", "test", "req_1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

UNLEASE: Final = "UPDATE outbox SET lease_until = NULL, lease_by = NULL WHERE lease_by = 'nobody'"


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    """Wait for a fact; the last value it had is in the message when it never comes."""
    deadline = time.monotonic() + seconds
    while not (value := await check()):
        assert time.monotonic() < deadline, f"it never came true: {check.__name__} → {value!r}"
        await asyncio.sleep(0.02)
    return value


class Running:
    """One started service (a replica)."""

    def __init__(self, service: Service, transport: Transport) -> None:
        self.service = service
        self.transport = transport
        self._stop = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if isinstance(self.transport, RabbitTransport):
            self.tasks.append(asyncio.create_task(self.transport.run()))
            await self.transport.ready(10)
        self.tasks.append(asyncio.create_task(self.service.run(self._stop)))
        while self.service._subscription is None:
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """A drain, as on SIGTERM."""
        self._stop.set()
        await asyncio.wait_for(self.tasks[-1], 20)
        await self._end()

    async def crash(self) -> None:
        """Everything stops where it is; nothing is acknowledged, nothing is said goodbye to."""
        if isinstance(self.transport, LocalTransport):
            for members in self.transport._members.values():
                members.clear()
        await self._end()

    async def _end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if isinstance(self.transport, RabbitTransport):
            await self.transport.close()


class Rig:
    """Makes services of one room over one kind of transport, on one database."""

    def __init__(self, kind: Kind, room: Room, dsn: str, amqp_url: str, pool: Pool) -> None:
        self.kind = kind
        self.dsn = dsn
        self.amqp_url = amqp_url
        self.pool = pool
        self._local = LocalTransport([room])
        self._running: list[Running] = []

    async def start(self, room: Room, *, name: str = "toys") -> Running:
        service = Service(
            room,
            self.pool,
            transport := self.transport(name),
            public_url="http://localhost",
            retry_delays=DELAYS,
        )
        running = Running(service, transport)
        await running.start()
        self._running.append(running)
        return running

    def transport(self, name: str) -> Transport:
        if self.kind == "local":
            return self._local
        return RabbitTransport(self.amqp_url, name=name, retry_delays=DELAYS)

    async def emit(self, *events: Event) -> None:
        """As a handler would: in a transaction, unleased, for a relay to find."""
        async with transaction(self.pool) as db:
            said = [Said(event, CONTEXT) for event in events]
            now = datetime.now(UTC)
            await outbox.write(db, said, [], source="toys", now=now, lease_by="nobody")
            await db.execute(UNLEASE)  # its own alone: a relay may hold others, in any order

    async def close(self) -> None:
        for running in self._running:
            await running.crash()


@contextlib.asynccontextmanager
async def open_rig(
    kind: Kind, room: Room, dsn: str, amqp_url: str, api_url: str
) -> AsyncIterator[Rig]:
    """A rig with its topology applied; everything it started ends with it."""
    if kind == "rabbitmq":
        await apply(topology([room], DELAYS), amqp_url=amqp_url, management_url=api_url)
    pool = await open_pool(dsn, name="toys", size=8)
    rig = Rig(kind, room, dsn, amqp_url, pool)
    try:
        yield rig
    finally:
        await rig.close()
        await asyncio.wait_for(pool.close(), 10)


async def call(rig_or_running: Running, command: Command[Any], **options: Any) -> Any:
    """Ask through a running service's own transport; the value alone."""
    answer = await rig_or_running.transport.call(command, context=CONTEXT, **options)
    return answer.value


__all__: Sequence[str] = ("CONTEXT", "Rig", "Running", "call", "eventually", "open_rig")
