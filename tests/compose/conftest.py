"""One installation for all tests that leave it whole: several replicas of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.browser.conftest import browser, buyer, new_buyer
from tests.support.servers import NoServer
from tests.support.shops import Shop
from tests.support.stacks import Stack, build_image, running_stack

REPLICAS = {"links": 2, "sessions": 2, "orders": 3, "gateway": 2}
__all__ = ["browser", "buyer", "new_buyer"]  # the purchase tests ask for them by name


class StacksAndServers(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """One process for the stack that these tests share, another for everything else that
    `make test-compose` runs meanwhile. (Groups of `loadgroup` are not seen under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return "stacks" if nodeid.startswith("tests/compose/") else "servers"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> StacksAndServers:
    return StacksAndServers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that lose the stack come last."""
    items.sort(key=lambda item: item.path.name == "test_cluster.py")


@pytest.fixture(scope="session")
async def image() -> None:
    try:
        await build_image()
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
async def stack(image: None) -> AsyncIterator[Stack]:
    scale = {f"FLINT_{role.upper()}_REPLICAS": str(count) for role, count in REPLICAS.items()}
    async with running_stack("compose.yaml", settings=scale) as stack:
        yield stack


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    """The stack's shop, audited after each test."""
    yield stack.shop
    await stack.shop.audit()
