"""A pool on the gateway's own database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.gateway.room import MIGRATIONS
from shared.db.pool import Pool, open_pool
from tests.conftest import FreshDatabase


@pytest.fixture
async def pool(fresh_database: FreshDatabase) -> AsyncIterator[Pool]:
    pool = await open_pool(await fresh_database(MIGRATIONS), name="gateway", size=5)
    yield pool
    await pool.close()
