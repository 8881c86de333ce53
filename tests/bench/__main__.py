"""Measures both transports and prints one table each.

python -m tests.bench [--quick] [--only local|rabbitmq|catalogue]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from shared.db.embedded import EmbeddedPostgres
from shared.db.pool import open_pool
from tests.bench import buyers, catalogue, floors
from tests.bench.buyers import Stall, Tables, rate_of, times_of
from tests.bench.client import Connection, connect
from tests.bench.outside import Outside
from tests.support.postgres import Databases, PostgresServer
from tests.support.rabbit import Vhosts, running_rabbit
from tests.support.servers import short_folder
from tests.support.shops import Shop, free_port, open_local_shop, open_rabbit_shop

CLIENTS: Final = 32
BUYERS: Final = 16


@dataclass(frozen=True)
class Size:
    """How much of each."""

    alone: int
    resolves: int
    links: int
    purchases: int
    floor: int


FULL: Final = Size(alone=300, resolves=4_000, purchases=800, floor=3_000, links=1_000_000)
QUICK: Final = Size(alone=60, resolves=800, purchases=160, floor=1_000, links=100_000)


def say(text: str) -> None:
    print(text, flush=True)


def latency(name: str, times: list[float]) -> None:
    """One line: half of them, and all but one of a hundred."""
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    say(f"  {name:<44} p50 {statistics.median(ordered):7.1f} ms   p99 {p99:7.1f} ms")


def rate(name: str, value: float, floor: dict[str, float] | None = None) -> None:
    """One line: a rate, and what part of each floor it is."""
    ratios = "   ".join(f"{value / each:6.1%} of {name}" for name, each in (floor or {}).items())
    say(f"  {name:<44} {value:9.0f} /s   {ratios}")


async def measure(shop: Shop, size: Size, floor: dict[str, float]) -> None:
    """Everything about one running shop."""
    async with AsyncExitStack() as stack:
        tables = await open_tables(stack, shop)
        stall = buyers.stall_of(shop)
        line = await stack.enter_async_context(connect(stall.port))
        await latencies(stack, shop, stall, line, size)
        await rates(stall, tables, size, floor)
    began = time.perf_counter()
    await shop.audit()
    say(f"  audit: all is well ({time.perf_counter() - began:.1f} s)")


async def latencies(
    stack: AsyncExitStack, shop: Shop, stall: Stall, line: Connection, size: Size
) -> None:
    """One buyer at a time."""

    async def look() -> None:
        answer = await line.get(f"/l/{stall.slug}")
        assert answer.status == 200

    async def arrive() -> None:
        await buyers.open_checkout(line, await buyers.resolve(line, stall))

    await times_of(30, look)
    latency("link page", await times_of(size.alone, look))
    latency("resolve → checkout page", await times_of(size.alone, arrive))
    sessions = [await buyers.resolve(line, stall) for _ in range(size.alone // 2)]
    for session in sessions:
        await buyers.open_checkout(line, session)
    if shop.kind == "local":
        left = iter(sessions)
        latency(
            "pay click → answer (order paid)",
            await times_of(len(sessions), lambda: buyers.pay(line, stall, next(left))),
        )
        return
    outside = await stack.enter_async_context(Outside(shop.amqp_url))
    answered, heard = [], []
    for session in sessions:
        began = time.perf_counter()
        await buyers.pay(line, stall, session)
        answered.append((time.perf_counter() - began) * 1000)
        heard.append((await outside.paid(session) - began) * 1000)
    latency("pay click → answer (order paid)", answered)
    latency("pay click → order.paid at an outside consumer", heard)


async def rates(stall: Stall, tables: Tables, size: Size, floor: dict[str, float]) -> None:
    """Many buyers at once; nothing counts before it is durable."""
    made = await tables.made()

    async def resolve(line: Connection) -> None:
        await buyers.resolve(line, stall)

    async def all_made() -> bool:
        return await tables.made() >= made + size.resolves

    found = await rate_of(stall, size.resolves, CLIENTS, resolve, all_made)
    rate("resolves (session and order durable)", found, floor)
    paid = await tables.paid()

    async def buy(line: Connection) -> None:
        session = await buyers.resolve(line, stall)
        await buyers.open_checkout(line, session)
        await buyers.pay(line, stall, session)

    async def all_paid() -> bool:
        return await tables.paid() >= paid + size.purchases

    found = await rate_of(stall, size.purchases, BUYERS, buy, all_paid)
    rate("purchases (resolve, look, pay, order paid)", found, floor)


async def open_tables(stack: AsyncExitStack, shop: Shop) -> Tables:
    """Connections beside the shop's own, to see what is durable."""
    pools = []
    for name in ("sessions", "orders"):
        pool = await open_pool(shop.database_url(name), name="bench", size=2)
        stack.push_async_callback(pool.close)
        pools.append(pool)
    return Tables(*pools)


async def bench_local(size: Size, floor: dict[str, float]) -> None:
    """`flint run`: one process, no broker."""
    say("\nlocal transport (one process, embedded PostgreSQL)")
    with short_folder("bench") as folder:
        async with open_local_shop(folder) as shop:
            await measure(shop, size, floor)
            await shop.stop()
            began = time.perf_counter()
            await shop.start()
            say(f"  {'a second start, until it serves':<44} {time.perf_counter() - began:9.1f} s")


async def bench_catalogue(size: Size) -> None:
    """A merchant with a million links, on the local transport."""
    say(f"\na merchant with {size.links:,} links (one process, embedded PostgreSQL)")
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(
            open_local_shop(stack.enter_context(short_folder("bench")))
        )
        began = time.perf_counter()
        different = await catalogue.seeded(shop, size.links)
        say(f"  seeded in {time.perf_counter() - began:.0f} s")
        line = await stack.enter_async_context(connect(different[0].port))
        every: list[float] = []
        for kind, asked in catalogue.questions(size.links, size.alone).items():
            await catalogue.ask(line, shop, asked[0])
            times = await catalogue.asking(line, shop, asked)
            every += times
            latency(f"list: {kind}", times)
        latency("list: all of these", every)
        hot, others = await catalogue.rates(buyers.stall_of(shop), different, size.resolves)
        rate("open and resolve one hot link", hot)
        rate(f"open and resolve {len(different):,} different links", others, {"the hot one": hot})


async def bench_rabbitmq(size: Size, common: dict[str, float]) -> None:
    """Four processes over RabbitMQ; PostgreSQL with every safety on, as in production."""
    say("\nRabbitMQ (four processes)")
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder("bench"))
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        databases = Databases(PostgresServer(postgres.url("postgres")))
        stack.push_async_callback(databases.close)
        broker = await stack.enter_async_context(running_rabbit())
        take = stack.enter_context((await stack.enter_async_context(Vhosts(broker))).lend())
        publishes = await floors.confirmed_publishes(await take(), size.floor * 3)
        rate("floor: confirmed publishes", publishes)
        floor = {**common, "3 publishes": publishes / 3}
        amqp_url = await take()
        opened = open_rabbit_shop(folder, databases, broker, amqp_url)
        await measure(await stack.enter_async_context(opened), size, floor)


async def common_floors(size: Size) -> dict[str, float]:
    """What both transports are compared with."""
    say("floors of this machine, measured now")
    with short_folder("floor") as folder:
        async with EmbeddedPostgres(folder) as postgres:
            writes = await floors.durable_transactions(postgres.url("postgres"), size.floor // 3)
    rate("floor: the rows alone, 3 transactions each", writes)
    requests = await floors.bare_requests(free_port(), size.floor, CLIENTS)
    rate("floor: bare aiohttp handler", requests)
    return {"the rows alone": writes, "a bare handler": requests}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", choices=["local", "rabbitmq", "catalogue"])
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    if options.only in (None, "catalogue"):
        await bench_catalogue(size)
    if options.only == "catalogue":
        return
    floor = await common_floors(size)
    if options.only != "rabbitmq":
        await bench_local(size, floor)
    if options.only != "local":
        await bench_rabbitmq(size, floor)


if __name__ == "__main__":
    asyncio.run(main())
