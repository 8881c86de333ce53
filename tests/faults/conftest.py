"""Two shops to break: one over RabbitMQ with everything around it ours, one that is `flint run`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest

from services.rooms import ROLES
from shared.db.embedded import EmbeddedPostgres
from tests.faults.scenes import Broken
from tests.support.postgres import Databases, PostgresServer
from tests.support.proxy import Proxy
from tests.support.rabbit import NodeBroker, Vhosts
from tests.support.rabbit_node import RabbitNode
from tests.support.servers import short_folder
from tests.support.shops import Environment, Shop, open_local_shop, open_rabbit_shop

# Nothing is synced to the disk, which no test takes away; what is committed survives a kill -9.
UNSYNCED: Final = {"fsync": "off", "full_page_writes": "off"}


def tell_troubles(shop: Shop) -> None:
    """The last of what its processes complained about; shown when the test has failed."""
    for role in shop.roles():
        lines = [line for line in shop.log(role).splitlines() if '"level":"info"' not in line]
        print(f"== {role}", *lines[-40:], sep="\n")


@pytest.fixture(scope="session")
async def broken_shop(rabbit_node: RabbitNode, node_vhosts: Vhosts) -> AsyncIterator[Broken]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder("faults"))
        postgres = EmbeddedPostgres(folder / "postgres", extra=UNSYNCED)
        await stack.enter_async_context(postgres)
        databases = Databases(PostgresServer(postgres.url("postgres")))
        amqp_url = await stack.enter_context(node_vhosts.lend())()
        lines: dict[str, Proxy] = {}

        async def reroute(env: Environment) -> Environment:
            for role in ROLES:
                name = f"FLINT_{role.upper()}_AMQP_URL"
                lines[role] = await stack.enter_async_context(Proxy(env[name]))
                env[name] = lines[role].url
            return env

        broker = NodeBroker(rabbit_node)
        shop = await stack.enter_async_context(
            open_rabbit_shop(folder, databases, broker, amqp_url, reroute=reroute)
        )
        yield Broken(shop, lines, rabbit_node, postgres)
        shop.kill()  # Nothing is left to be drained.


@pytest.fixture
async def broken(broken_shop: Broken) -> AsyncIterator[Broken]:
    """The shop over RabbitMQ, whole at the start and made whole again at the end."""
    yield broken_shop
    tell_troubles(broken_shop.shop)
    await broken_shop.heal()


@pytest.fixture(scope="session")
async def mortal_shop() -> AsyncIterator[Shop]:
    with short_folder("mortal") as folder:
        async with open_local_shop(folder) as shop:
            yield shop
            shop.kill()


@pytest.fixture
async def mortal(mortal_shop: Shop) -> AsyncIterator[Shop]:
    """`flint run`, running at the start and at the end."""
    yield mortal_shop
    tell_troubles(mortal_shop)
    if "run" not in mortal_shop.processes:
        await mortal_shop.start()
