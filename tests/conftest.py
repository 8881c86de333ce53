"""One PostgreSQL and one RabbitMQ per run; a database and a virtual host of its own per test."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Databases, PostgresServer, running_postgres
from tests.support.rabbit import (
    Broker,
    FreshVhost,
    NodeBroker,
    Vhosts,
    private_node,
    running_rabbit,
)
from tests.support.rabbit_node import RabbitNode
from tests.support.servers import NoServer, short_folder

if TYPE_CHECKING:
    from tests.support.shops import Shop

FreshDatabase = Callable[..., Awaitable[str]]

# How long an example takes is the bench's affair: a busy machine proves nothing wrong.
settings.register_profile("flint", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flint")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a worker that begins one last works alone at the end."""
    long = ("faults", "observing", "browser")
    items.sort(key=lambda item: not any(folder in item.path.parts for folder in long))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Clear away what earlier tests left, before a state machine's source is parsed.

    A cut-off task that is collected in the middle of it is logged; the log parses its traceback,
    and Python 3.11 cannot parse inside a parse (`SystemError`, CPython's issue 106905).
    """
    if hasattr(getattr(item, "module", None), "RuleBasedStateMachine"):
        gc.collect()


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    try:
        async with running_postgres() as server:
            yield server
    except NoServer as error:
        pytest.exit(str(error), returncode=4)


@pytest.fixture(scope="session")
async def databases(postgres_server: PostgresServer) -> AsyncIterator[Databases]:
    databases = Databases(postgres_server)
    yield databases
    await databases.close()


@pytest.fixture
async def fresh_database(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """`await fresh_database(*migration_folders)`: the address of a database nobody else has."""
    made: list[str] = []

    async def make(*folders: Path) -> str:
        made.append(await databases.create(folders))
        return made[-1]

    yield make
    for dsn in made:
        await databases.drop(dsn)


@pytest.fixture(scope="session")
async def broker() -> AsyncIterator[Broker]:
    try:
        async with running_rabbit() as broker:
            yield broker
    except NoServer as error:
        pytest.exit(str(error), returncode=4)


@pytest.fixture(scope="session")
async def rabbit_node(broker: Broker) -> AsyncIterator[RabbitNode]:
    """A node that tests may kill, freeze and restart; they leave it running."""
    if isinstance(broker, NodeBroker):
        yield broker.node
        return
    try:
        async with private_node() as node:
            yield node
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
async def vhosts(broker: Broker) -> AsyncIterator[Vhosts]:
    async with Vhosts(broker) as vhosts:
        yield vhosts


@pytest.fixture(scope="session")
async def node_vhosts(rabbit_node: RabbitNode) -> AsyncIterator[Vhosts]:
    async with Vhosts(NodeBroker(rabbit_node)) as vhosts:
        yield vhosts


@pytest.fixture
async def fresh_vhost(vhosts: Vhosts) -> AsyncIterator[FreshVhost]:
    """`await fresh_vhost()`: the address of an empty virtual host."""
    with vhosts.lend() as take:
        yield take


@pytest.fixture
async def fresh_node_vhost(node_vhosts: Vhosts) -> AsyncIterator[FreshVhost]:
    """The same, certainly on `rabbit_node`: for tests that break the node."""
    with node_vhosts.lend() as take:
        yield take


@pytest.fixture(scope="session")
async def local_shop() -> AsyncIterator[Shop]:
    """`flint run` as a newcomer starts it, for all tests that only use it."""
    from tests.support.shops import open_local_shop

    with short_folder("shop") as folder:
        async with open_local_shop(folder) as shop:
            yield shop


@pytest.fixture(scope="session")
async def rabbit_shop(databases: Databases, broker: Broker, vhosts: Vhosts) -> AsyncIterator[Shop]:
    """Four processes over RabbitMQ, for all tests that only use them."""
    from tests.support.shops import open_rabbit_shop

    with short_folder("shop") as folder, vhosts.lend() as take:
        async with open_rabbit_shop(folder, databases, broker, await take()) as shop:
            yield shop


@pytest.fixture(params=["local", "rabbitmq"])
def running_shop(request: pytest.FixtureRequest) -> Shop:
    """One per transport, of which only those are started that a run asks for."""
    shop: Shop = request.getfixturevalue(f"{request.param.removesuffix('mq')}_shop")
    return shop


@pytest.fixture
async def shop(running_shop: Shop) -> AsyncIterator[Shop]:
    """A running shop, once per transport; every test that used one ends with the audit."""
    yield running_shop
    await running_shop.audit()
