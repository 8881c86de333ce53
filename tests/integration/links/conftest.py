"""The links room at its desk: real tables, no bus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.links.room import room
from shared.db.pool import open_pool
from tests.builders_links import NOON
from tests.conftest import FreshDatabase
from tests.support.desk import Desk


@pytest.fixture
async def links(fresh_database: FreshDatabase) -> AsyncIterator[Desk]:
    links = room()
    pool = await open_pool(await fresh_database(*links.migrations), name="links", size=8)
    yield Desk(links, pool, NOON)
    await pool.close()


@pytest.fixture
async def claims_database(fresh_database: FreshDatabase) -> str:
    """The address of links' tables, for a test that has a loop of its own."""
    return await fresh_database(*room().migrations)
