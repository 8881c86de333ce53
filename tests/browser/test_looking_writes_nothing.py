"""A browser without a person, as mail scanners run it: every script, no gesture, no row."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

from tests.browser.conftest import NewBuyer
from tests.support.selling import a_link
from tests.support.shops import Shop
from tests.support.tables import changed, everything_written, quiet
from tests.support.visitors import BROWSERS

AFTERWARDS_SECONDS = 1.5  # longer than any relay or aggregate waits


async def test_a_browser_that_runs_all_scripts_without_a_gesture_changes_no_row(
    shop: Shop, new_buyer: NewBuyer
):
    line = {"key": "tea", "name": "Tea", "allow_quantity_adjustment": True, "max_quantity": 5}
    price = {"amount_money": {"amount": 1200, "currency": "USD"}}
    link = await a_link(shop, line_items=[line | price])
    before = await quiet(shop)

    for options in ({}, {"user_agent": BROWSERS["chrome"]}, {"user_agent": BROWSERS["safari"]}):
        scanner = await new_buyer(**options)
        await scanner.page.goto(f"{link['url']}?quantity.tea=2", wait_until="networkidle")
        await expect(scanner.page.locator("[data-total]")).to_have_text("$24.00")
        await scanner.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        await scanner.page.reload(wait_until="networkidle")
        await scanner.page.goto("about:blank")  # The page is hidden and told that it is left.
    await asyncio.sleep(AFTERWARDS_SECONDS)

    assert changed(before, await everything_written(shop)) == {}
