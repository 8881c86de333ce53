"""Two shops that tell everything, one per transport, for all tests that look at them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.observed import Observed, observed_local, observed_rabbit
from tests.support.postgres import Databases
from tests.support.rabbit import Broker, Vhosts


@pytest.fixture(scope="session", params=["local", "rabbitmq"])
async def observed(
    request: pytest.FixtureRequest, databases: Databases, broker: Broker, vhosts: Vhosts
) -> AsyncIterator[Observed]:
    if request.param == "local":
        async with observed_local() as seen:
            yield seen
        return
    with vhosts.lend() as take:
        async with observed_rabbit(databases, broker, await take()) as seen:
            yield seen
