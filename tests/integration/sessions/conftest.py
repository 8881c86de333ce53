"""The sessions room at its desk: real tables, no bus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.sessions.room import room
from shared.db.pool import open_pool
from tests.builders_links import NOON
from tests.conftest import FreshDatabase
from tests.support.desk import Desk


@pytest.fixture
async def sessions(fresh_database: FreshDatabase) -> AsyncIterator[Desk]:
    sessions = room()
    pool = await open_pool(await fresh_database(*sessions.migrations), name="sessions", size=8)
    yield Desk(sessions, pool, NOON)
    await pool.close()
