"""Who counts as a visitor, in a real browser: whoever does something, with scripts or without."""

from __future__ import annotations

from typing import Any

from tests.browser.buyer import CHECKOUT
from tests.browser.conftest import NewBuyer
from tests.support.rigs import eventually
from tests.support.selling import a_link, ask
from tests.support.shops import Shop

# Chromium without a window says so in its name, and is then taken for the program that it is.
PERSON = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)


async def views_of(shop: Shop, link: dict[str, Any]) -> int:
    found = await ask(shop, "GET", f"/v1/payment-links/{link['payment_link_id']}/stats")
    return int(found["view_count"])


async def has_views(shop: Shop, link: dict[str, Any], count: int) -> None:
    async def counted() -> bool:
        return await views_of(shop, link) == count

    await eventually(counted)


async def test_a_browser_that_runs_all_scripts_is_a_visitor_only_once_somebody_moves(
    shop: Shop, new_buyer: NewBuyer
):
    link, other = await a_link(shop), await a_link(shop)
    buyer = await new_buyer(user_agent=PERSON)

    await buyer.go(link["url"])
    await buyer.page.wait_for_load_state("networkidle")
    script = "dispatchEvent(new PointerEvent('pointermove')); scrollTo(0, 100)"
    await buyer.page.evaluate(script)
    await buyer.go(other["url"])
    async with buyer.page.expect_request(lambda request: request.url.endswith("/visit")):
        await buyer.page.mouse.move(100, 100)
    await buyer.page.mouse.move(200, 200)
    await buyer.page.keyboard.press("Tab")

    await has_views(shop, other, 1)
    assert await views_of(shop, link) == 0


async def test_looking_and_then_pressing_the_button_is_one_view(shop: Shop, new_buyer: NewBuyer):
    link = await a_link(shop)
    buyer = await new_buyer(user_agent=PERSON)
    await buyer.go(link["url"])
    await buyer.page.mouse.move(100, 100)

    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await buyer.go(link["url"])
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)

    await has_views(shop, link, 2)


async def test_without_scripts_pressing_the_button_is_the_view(shop: Shop, new_buyer: NewBuyer):
    link = await a_link(shop)
    buyer = await new_buyer(java_script_enabled=False)

    await buyer.choose(link["url"])

    await has_views(shop, link, 1)
