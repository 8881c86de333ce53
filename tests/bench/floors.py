"""Floors: what this machine can do at best with each ingredient alone."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from typing import Any, Final

import aio_pika
import asyncpg
import orjson
from aiohttp import web

from shared.db.pool import open_pool
from tests.bench.client import connect

WRITERS: Final = 8
BODY: Final = orjson.dumps({"filler": "x" * 1_400})
TABLES: Final = """
    CREATE TABLE {name} (merchant_id text, id text, body jsonb, at timestamptz DEFAULT now(),
                         PRIMARY KEY (merchant_id, id));
    CREATE TABLE {name}_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea);
    CREATE TABLE {name}_inbox (id text PRIMARY KEY);
"""


async def durable_transactions(dsn: str, count: int) -> float:
    """Resolves a second if they were only their rows: three transactions of a row, an inbox
    row and an outbox row each, by `WRITERS` connections, committed one by one."""
    pool = await open_pool(dsn, name="floor", size=WRITERS)
    for name in ("a", "b", "c"):
        await pool.execute(TABLES.format(name=name))
    left = iter(range(count))

    async def writer() -> None:
        for number in left:
            for name in ("a", "b", "c"):
                await _write(pool, name, number)

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    rate = count / (time.perf_counter() - began)
    await pool.close()
    return rate


async def _write(pool: asyncpg.Pool, name: str, number: int) -> None:
    async with pool.acquire() as db, db.transaction():
        body = {"filler": "x" * 1_400}
        sql = f"INSERT INTO {name} (merchant_id, id, body) VALUES ('m', $1, $2)"
        await db.execute(sql, str(number), body)
        await db.execute(f"INSERT INTO {name}_inbox VALUES ($1)", str(number))
        await db.execute(f"INSERT INTO {name}_outbox (body) VALUES ($1)", BODY)


async def confirmed_publishes(amqp_url: str, count: int) -> float:
    """Durable, confirmed messages a second: one channel, 100 in flight, one quorum queue."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        queue = await channel.declare_queue(
            "floor", durable=True, arguments={"x-queue-type": "quorum"}
        )
        left = iter(range(count))

        async def publisher() -> None:
            for _ in left:
                message = aio_pika.Message(BODY, delivery_mode=2)
                await channel.default_exchange.publish(message, queue.name, timeout=10)

        began = time.perf_counter()
        await asyncio.gather(*(publisher() for _ in range(100)))
        rate = count / (time.perf_counter() - began)
        await queue.delete(if_unused=False, if_empty=False)
    return rate


async def bare_requests(port: int, count: int, clients: int) -> float:
    """Requests a second of an aiohttp handler that does nothing, by the same client."""
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(port,))
    server.start()
    try:
        await _until_listening(port)
        left = iter(range(count))

        async def client() -> None:
            async with connect(port) as line:
                for _ in left:
                    answer = await line.post_form("/", {"a": "b"})
                    assert answer.status == 200

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        return count / (time.perf_counter() - began)
    finally:
        server.terminate()
        server.join()


def _serve(port: int) -> None:
    import uvloop

    async def nothing(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/", nothing)
    options: dict[str, Any] = {"access_log": None, "print": None, "loop": uvloop.new_event_loop()}
    web.run_app(app, host="127.0.0.1", port=port, **options)


async def _until_listening(port: int) -> None:
    for _ in range(500):
        try:
            async with connect(port):
                return
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError("the bare server did not start")
