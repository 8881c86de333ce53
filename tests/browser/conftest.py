"""A browser for the run, and buyers with fresh profiles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.buyer import Buyer, a_buyer, chromium, running_browser
from tests.support.shops import Shop

NewBuyer = Callable[..., Awaitable[Buyer]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if chromium() is None:
        pytest.exit("No chromium: `make system` installs it.", returncode=4)
    async with running_browser() as browser:
        yield browser


@pytest.fixture
async def new_buyer(shop: Shop, browser: Browser) -> AsyncIterator[NewBuyer]:
    """`await new_buyer(**context_options)`: each leaves without a fault, or the test fails."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Buyer:
            return await stack.enter_async_context(a_buyer(browser, shop.url, **options))

        yield make


@pytest.fixture
async def buyer(new_buyer: NewBuyer) -> Buyer:
    return await new_buyer()
