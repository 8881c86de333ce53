"""One database, and one virtual host where the broker is asked, for a module of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.db.pool import Pool, open_pool
from tests.support.faults import lent, shared_rig
from tests.support.postgres import Databases
from tests.support.rabbit import Broker, Vhosts
from tests.support.rigs import Rig
from tests.support.toys import Toys


@pytest.fixture(scope="module")
async def shared_rabbit_rig(
    databases: Databases, broker: Broker, vhosts: Vhosts
) -> AsyncIterator[Rig]:
    async with shared_rig("rabbitmq", databases, vhosts, broker.api_url) as rig:
        yield rig


@pytest.fixture(scope="module")
async def shared_local_rig(databases: Databases) -> AsyncIterator[Rig]:
    async with shared_rig("local", databases) as rig:
        yield rig


@pytest.fixture
async def rabbit_rig(shared_rabbit_rig: Rig) -> AsyncIterator[Rig]:
    """Over the broker."""
    async with lent(shared_rabbit_rig) as rig:
        yield rig


@pytest.fixture
async def local_rig(shared_local_rig: Rig) -> AsyncIterator[Rig]:
    """Without a broker; otherwise the same."""
    async with lent(shared_local_rig) as rig:
        yield rig


@pytest.fixture
async def small_pool(local_rig: Rig) -> AsyncIterator[Pool]:
    """One connection, so that everybody meets on it."""
    pool = await open_pool(local_rig.dsn, name="small", size=1)
    yield pool
    pool.terminate()


@pytest.fixture
def toys() -> Toys:
    return Toys()
