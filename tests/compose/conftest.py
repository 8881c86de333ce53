"""One installation for all tests that leave it whole: several replicas of everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.conftest import browser, buyer, new_buyer
from tests.support.servers import NoServer
from tests.support.shops import Shop
from tests.support.stacks import Stack, build_image, running_stack

REPLICAS = {"links": 2, "sessions": 2, "orders": 3, "gateway": 2}
__all__ = ["browser", "buyer", "new_buyer"]  # the purchase tests ask for them by name


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """One process for the stack that these tests share, which the last of them lose; another for
    everything else that `make test-compose` runs meanwhile.
    """
    for item in items:  # xdist reads it in this very hook
        group = "stacks" if item.get_closest_marker("compose") else "servers"
        item.add_marker(pytest.mark.xdist_group(group))
    yield
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
