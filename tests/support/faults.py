"""What the fault tests break things with: strangers' messages, cut lines, frozen processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aio_pika
import orjson
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.bus.declare import apply
from shared.bus.rabbitmq import RabbitTransport
from shared.bus.room import Room
from shared.bus.service import Service
from shared.bus.topology import queues_of, topology
from shared.contracts.base import Envelope, Event
from tests.support.postgres import Databases
from tests.support.rabbit import Vhosts
from tests.support.rigs import CONTEXT, DELAYS, Kind, Rig, Running, open_rig
from tests.support.toys import PaintToy, ToyMade, Toys

BUS_TABLES: Final = "outbox, inbox, dead_letters, subject_sequences, toys"


class ToyLost(Event, topic="toy.lost", subject="toy_id"):
    """A fact that no room hears."""

    toy_id: str


@contextlib.asynccontextmanager
async def shared_rig(
    kind: Kind, databases: Databases, vhosts: Vhosts | None = None, api_url: str = ""
) -> AsyncIterator[Rig]:
    """One database and one virtual host for a module of tests; `lent` to each of them."""
    room = Toys().room()
    dsn = await databases.create(room.migrations)
    with contextlib.ExitStack() as stack:
        amqp_url = await stack.enter_context(vhosts.lend())() if vhosts else ""
        async with open_rig(kind, room, dsn, amqp_url, api_url) as rig:
            yield rig
    await databases.drop(dsn)


@contextlib.asynccontextmanager
async def lent(rig: Rig) -> AsyncIterator[Rig]:
    """A shared rig for one test, which may give it another pool or broker; emptied after it."""
    pool, amqp_url = rig.pool, rig.amqp_url
    yield rig
    rig.pool, rig.amqp_url = pool, amqp_url
    await _reset(rig)


async def _reset(rig: Rig) -> None:
    """Everything stopped, every table and every queue empty."""
    async with asyncio.timeout(20):  # what cannot be stopped must not stop the tests
        await rig.close()
    rig._running.clear()
    await rig.pool.execute(f"TRUNCATE {BUS_TABLES}")
    if rig.kind == "rabbitmq":
        async with broker_channel(rig) as channel:
            for spec in queues_of(Toys().room(), DELAYS):
                queue = await channel.declare_queue(spec.name, passive=True, timeout=5)
                await queue.purge(timeout=5)


def start_at_once(rig: Rig, room: Room, *, name: str) -> Running:
    """A service whose broker need not be there, as a container that was started first."""
    transport = rig.transport(name)
    service = Service(room, rig.pool, transport, public_url="http://localhost", retry_delays=DELAYS)
    running = Running(service, transport)
    if isinstance(transport, RabbitTransport):
        running.tasks.append(asyncio.create_task(transport.run()))
    running.tasks.append(asyncio.create_task(service.run(asyncio.Event())))
    rig._running.append(running)
    return running


async def redeclare(rig: Rig, api_url: str, room: Room | None = None) -> None:
    specs = topology([room or Toys().room()], DELAYS)
    await apply(specs, amqp_url=rig.amqp_url, management_url=api_url)


@contextlib.asynccontextmanager
async def broker_channel(rig: Rig) -> AsyncIterator[AbstractChannel]:
    """An operator's own connection."""
    connection = await aio_pika.connect(rig.amqp_url, timeout=10)
    async with connection:
        yield await connection.channel(on_return_raises=True)


async def send_raw(rig: Rig, body: bytes, *, queue: str = "toys.in", **properties: Any) -> None:
    """A message that did not go through our own publisher."""
    async with broker_channel(rig) as channel:
        message = aio_pika.Message(body, **properties)
        await channel.default_exchange.publish(message, queue, timeout=5)


async def waiting_in(rig: Rig, queue: str) -> int:
    """Messages in a queue that nobody holds."""
    async with broker_channel(rig) as channel:
        declared = await channel.declare_queue(queue, passive=True, timeout=5)
        return declared.declaration_result.message_count or 0


async def parked(rig: Rig, queue: str = "toys.in") -> list[AbstractIncomingMessage]:
    """All dead letters of a queue; they are taken out."""
    found: list[AbstractIncomingMessage] = []
    async with broker_channel(rig) as channel:
        parking = await channel.declare_queue(f"{queue}.parking", passive=True, timeout=5)
        while (message := await parking.get(fail=False, timeout=5)) is not None:
            await message.ack()
            found.append(message)
    return found


async def rows(rig: Rig, sql: str, *arguments: Any) -> list[Any]:
    return list(await rig.pool.fetch(sql, *arguments))


async def toy_ids(rig: Rig) -> list[str]:
    return [row["toy_id"] for row in await rows(rig, "SELECT toy_id FROM toys ORDER BY 1")]


def heard(names: Sequence[str]) -> list[str]:
    """What the toys table holds once each of these facts took effect once."""
    return sorted(f"heard-{name}" for name in names)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A PostgreSQL backend that hangs; only a server on this machine can be frozen."""
    if not _is_local_postgres(pid):
        pytest.skip("this PostgreSQL runs elsewhere: its processes cannot be frozen")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _is_local_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "postgres" in Path(f"/proc/{pid}/comm").read_text()
    return False


class CuttingProxy:
    """Between us and PostgreSQL: cuts the line at the next COMMIT, before or after it happened."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self._pipes: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self.cut: str = ""
        self.cuts = 0

    @property
    def dsn(self) -> str:
        """The same database, through the proxy."""
        host, port = self._server.sockets[0].getsockname()
        login = self._parts.netloc.rpartition("@")[0]
        return self._parts._replace(
            netloc=f"{login}@{host}:{port}", query="sslmode=disable"
        ).geturl()

    def drop(self) -> None:
        """Cut every line now."""
        while self._clients:
            self._clients.pop().transport.abort()

    async def __aenter__(self) -> CuttingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        upstream_reader, upstream = await self._connect()
        for pipe in (
            self._forward(reader, upstream, writer),
            self._back(upstream_reader, writer),
        ):
            task = asyncio.create_task(pipe)
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        query = parse_qs(self._parts.query)
        if folder := query.get("host"):
            port = query.get("port", ["5432"])[0]
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while sent := await reader.read(65_536):
                if self.cut and b"COMMIT;" in sent:
                    when, self.cut = self.cut, ""
                    self.cuts += 1
                    client.transport.abort()  # the answer can never arrive
                    if when == "before":
                        break
                upstream.write(sent)
                await upstream.drain()
        upstream.close()

    async def _back(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while received := await reader.read(65_536):
                client.write(received)
                await client.drain()
        client.close()


async def effects_are(rig: Rig, expected: Sequence[str]) -> bool:
    """Whether the toys table holds exactly these."""
    return await toy_ids(rig) == sorted(expected)


async def nothing_left(rig: Rig) -> bool:
    """Whether the outbox is empty."""
    return not await rows(rig, "SELECT 1 FROM outbox")


def a_paint(toy_id: str) -> Envelope:
    """A request to a world handler."""
    message = PaintToy(toy_id=toy_id, colour="red")
    return Envelope(f"evt_{toy_id}", message.topic, message.to_json(), CONTEXT)


def a_fact(message_id: str, toy_id: str, topic: str = "toy.made") -> Envelope:
    """A toy that was made, as a publisher hands it over."""
    body = orjson.dumps({"toy_id": toy_id})
    return Envelope(message_id, topic, body, CONTEXT, source="toys", subject=toy_id, sequence=1)


async def receive(running: Running, event: ToyMade) -> None:
    """Deliver without waiting for what becomes of it."""
    envelope = Envelope(f"evt_{event.toy_id}", event.topic, event.to_json(), CONTEXT)

    async def deliver() -> None:
        await running.service.consumer.receive(envelope, lane="in", is_redelivered=False)

    running.tasks.insert(0, asyncio.create_task(deliver()))
