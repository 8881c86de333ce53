"""Pages as people with other eyes, screens and languages meet them; and pictures of them."""

from __future__ import annotations

import itertools
from typing import Final

from tests.browser.buyer import CHECKOUT, EMAIL, Scheme
from tests.browser.conftest import NewBuyer
from tests.browser.test_purchase import DECLINED, standard
from tests.support.selling import a_link
from tests.support.shops import Shop

DECLINING: Final = "4000000000000002"
TAKES_TIME: Final = "4000000000000077"
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
LOOKS: Final = tuple(itertools.product((1280, 375, 320), SCHEMES))


async def test_axe_finds_nothing_on_the_way_to_a_receipt_which_is_pictured(
    shop: Shop, new_buyer: NewBuyer
):
    """One purchase, seen at every step on wide, usual and narrow screens, by day and by night."""
    buyer = await new_buyer(bypass_csp=True)
    found: dict[str, list[str]] = {}

    async def look(step: str) -> None:
        for width, scheme in LOOKS:
            await buyer.looks_on(width, scheme)
            name = f"shop-{step}-{shop.kind}-{width}-{scheme}"
            if width != 375:
                found[name] = await buyer.violations()
            if width != 320:
                await buyer.picture(name)
            if await buyer.is_too_wide():
                found.setdefault(name, []).append("scrolls sideways")

    await buyer.go(standard(shop))
    await look("link")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await look("checkout")
    await buyer.pay(DECLINING)
    await buyer.sees(DECLINED[DECLINING])
    await look("declined")
    await buyer.pay(TAKES_TIME)
    await buyer.sees("Confirming your payment")
    await buyer.looks_on(375, "dark")
    await buyer.picture(f"shop-processing-{shop.kind}-375-dark")
    await buyer.has_receipt(seconds=40)
    await look("receipt")

    assert not any(found.values()), found


async def test_numbers_are_written_as_the_buyer_s_language_does(shop: Shop, new_buyer: NewBuyer):
    buyer = await new_buyer(locale="de-DE")

    await buyer.choose(standard(shop))

    await buyer.sees("12,00\N{NO-BREAK SPACE}$")


async def test_a_locale_in_the_link_s_address_holds_until_the_receipt(
    shop: Shop, new_buyer: NewBuyer
):
    buyer = await new_buyer(locale="en-US")
    await buyer.choose(f"{standard(shop)}?locale=fr")
    await buyer.sees("12,00\N{NO-BREAK SPACE}$")

    await buyer.pay()

    await buyer.has_receipt("12,00\N{NO-BREAK SPACE}$")


async def test_the_link_s_address_fills_the_form_in_and_bad_values_do_nothing(
    shop: Shop, new_buyer: NewBuyer
):
    line = {
        "key": "tea",
        "name": "Tea",
        "amount_money": {"amount": 1200, "currency": "USD"},
        "allow_quantity_adjustment": True,
        "max_quantity": 5,
    }
    link = await a_link(shop, line_items=[line])
    buyer = await new_buyer()

    await buyer.go(f"{link['url']}?quantity.tea=3&amount=x&prefilled_email=nobody&locale=../..")
    assert await buyer.value("quantity.tea") == "3"
    await buyer.go(f"{link['url']}?quantity.tea=99&quantity.nothing=1")

    assert await buyer.value("quantity.tea") == "1"


async def test_a_slow_phone_gets_little_and_everything_from_us(shop: Shop, new_buyer: NewBuyer):
    buyer = await new_buyer(viewport={"width": 375, "height": 740})
    await buyer.choose(standard(shop))

    script = """performance.getEntries()
      .filter((entry) => entry.transferSize)
      .reduce((sum, entry) => sum + entry.transferSize, 0)"""
    await buyer.page.reload()

    assert await buyer.page.evaluate(script) < 60_000
    assert EMAIL not in await buyer.page.content()
