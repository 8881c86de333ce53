"""The orders room over its own database, with the sandbox over another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.orders.room import room
from shared.db.pool import open_pool
from shared.payments.registry import ProviderSettings, open_providers
from shared.payments.sandbox import MIGRATIONS as SANDBOX_MIGRATIONS
from shared.payments.sandbox import Sandbox
from tests.builders_orders import NOON, Shop
from tests.conftest import FreshDatabase
from tests.support.desk import ORIGIN, Desk


@pytest.fixture
async def shop(fresh_database: FreshDatabase) -> AsyncIterator[Shop]:
    settings = ProviderSettings(ORIGIN, await fresh_database(SANDBOX_MIGRATIONS))
    async with open_providers(settings) as providers:
        made = room(providers)
        pool = await open_pool(await fresh_database(*made.migrations), name="orders-test")
        shop = Shop(Desk(made, pool, NOON))
        shop.sandbox = providers.sandbox
        yield shop
        await pool.close()


@pytest.fixture
def sandbox(shop: Shop) -> Sandbox:
    return shop.sandbox
