"""Amounts that the buyer chooses: gifts and their fees, yen, dinars, with and without scripts."""

# ruff: noqa: RUF001  (what people type is what is tested)
from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from services.gateway.pages.amounts import typed_money
from services.gateway.pages.render import format_amount
from tests.browser.buyer import CHALLENGE, CHECKOUT, Buyer
from tests.browser.conftest import NewBuyer
from tests.browser.test_purchase import paid_once
from tests.support.selling import a_link, ask, order_of
from tests.support.shops import Shop

# What is on trial is pages and money; which transport carries them is examined elsewhere.
pytestmark = pytest.mark.parametrize("shop", ["local"], indirect=True)


async def a_cause(shop: Shop, **more: Any) -> dict[str, Any]:
    """A link for donations with everything that a donor may be asked."""
    return await a_link(
        shop,
        **{
            "name": "Keep our rivers open",
            "mode": "donation",
            "donation_suggested_amounts": [sum_of(1000), sum_of(2500), sum_of(5000)],
            "donation_max_amount_money": sum_of(500_000),
            "donation_frequencies": ["one_time", "monthly"],
            "donation_cover_fees": {"percent": 2.9, "fixed_money": sum_of(30)},
            **more,
        },
    )


def sum_of(amount: int, currency: str = "USD") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


async def a_free_price(shop: Shop, currency: str, amount: int) -> str:
    """The address of a link whose one line costs what the buyer likes."""
    line = {
        "key": "seat",
        "name": "Seat",
        "amount_money": sum_of(amount, currency),
        "allow_amount_adjustment": True,
    }
    return str((await a_link(shop, name="Evening", line_items=[line]))["url"])


async def costs(buyer: Buyer, text: str) -> None:
    await expect(buyer.page.locator("[data-total]")).to_have_text(text)


async def goes_on(buyer: Buyer) -> None:
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)


async def test_a_donor_covers_the_fees_and_wishes_to_give_every_month(shop: Shop, buyer: Buyer):
    link = await a_cause(shop)
    await buyer.go(link["url"])
    await costs(buyer, "$10.00")

    await buyer.page.get_by_role("radio", name="Other").check()
    await costs(buyer, "$0.00")
    await buyer.page.get_by_role("radio", name="$50").check()
    await buyer.sees("Add $1.81, so that all of $50.00 reaches")
    await buyer.page.get_by_role("checkbox", name="Cover the fees").check()
    await costs(buyer, "$51.81")
    await buyer.page.get_by_role("radio", name="Monthly").check()
    await buyer.sees("Only this gift is charged now.")
    await goes_on(buyer)
    await buyer.sees("You would like to give monthly. Only this gift is charged now.")
    await buyer.pay()

    await buyer.has_receipt("$51.81", "$50.00", "Covering the fees", "$1.81", "Monthly")
    await paid_once(shop, buyer, 5181)
    order = await order_of(shop, buyer.session_id)
    assert order["donation_frequency"] == "monthly"
    lines = [(line["name"], line["net_money"]["amount"]) for line in order["line_items"]]
    assert lines == [("Keep our rivers open", 5000), ("Covering the fees", 181)]
    sold = await ask(shop, "GET", f"/v1/payment-links/{link['payment_link_id']}")
    assert (sold["completed_count"], sold["total_quantity_sold"]) == (1, 1)


async def test_without_scripts_the_server_says_the_total_before_the_donor_goes_on(
    shop: Shop, new_buyer: NewBuyer
):
    buyer = await new_buyer(java_script_enabled=False)
    await buyer.go((await a_cause(shop))["url"])

    await buyer.page.get_by_role("radio", name="Other").check()
    await buyer.type("amount_other.donation", "1,234.50")
    await buyer.page.get_by_role("checkbox", name="Cover the fees").check()
    await buyer.press("Update total")

    await costs(buyer, "$1,271.68")
    assert await buyer.value("amount_other.donation") == "1,234.50"
    await goes_on(buyer)
    await buyer.pay()
    await buyer.has_receipt("$1,271.68", "$1,234.50", "$37.18")
    await paid_once(shop, buyer, 127_168)


async def test_an_own_price_is_exact_in_currencies_of_none_and_of_three_decimals(
    shop: Shop, new_buyer: NewBuyer
):
    for currency, locale, typed, shown, amount in (
        ("JPY", "en-US", "3,500", "¥3,500", 3500),
        ("KWD", "en-US", "2.750", "KWD 2.750", 2750),
        ("KWD", "de-DE", "12,5", "12,500 KWD", 12_500),
    ):
        buyer = await new_buyer(locale=locale)
        await buyer.go(await a_free_price(shop, currency, 1500))
        written = shown.replace(" ", "\N{NO-BREAK SPACE}")

        await buyer.type("amount.seat", typed)
        await costs(buyer, written)
        await goes_on(buyer)
        await expect(buyer.page.get_by_role("heading", level=1)).to_contain_text(written)
        await buyer.pay("4000002500003155")
        await buyer.is_at(CHALLENGE)
        await buyer.sees(written)
        await buyer.press("Complete")

        await buyer.has_receipt(written)
        await paid_once(shop, buyer, amount)


TYPED = (
    "12", "12.5", "12,50", ".5", "1,200", "1.200", "1 234", "12 34", "1.234,50", "1,234.50",
    "1,234.567", "1,23,456.00", "١٢٫٥", "", "x", "-1", "1e3", "1.2.3", "1,234,567", "USD 3",
)  # fmt: skip


async def test_the_page_reads_what_is_typed_as_the_server_does(shop: Shop, new_buyer: NewBuyer):
    untouched = 700  # what cannot be read counts as not typed
    for locale, currency in (("en_US", "USD"), ("de_DE", "USD"), ("en_US", "KWD")):
        buyer = await new_buyer(locale=locale.replace("_", "-"))
        await buyer.go(await a_free_price(shop, currency, untouched))

        said = {}
        for text in (one.replace("USD", currency) for one in TYPED):
            await buyer.type("amount.seat", text)
            said[text] = await buyer.page.locator("[data-total]").text_content()

        read = {text: typed_money(text, currency, locale) for text in said}
        assert said == {
            text: format_amount(money.amount if money else untouched, currency, locale)
            for text, money in read.items()
        }


async def test_axe_finds_nothing_on_the_pages_with_amounts(shop: Shop, new_buyer: NewBuyer):
    urls = ((await a_cause(shop))["url"], await a_free_price(shop, "KWD", 1500))
    size = {"width": 320, "height": 800}

    for scheme in ("light", "dark"):
        buyer = await new_buyer(viewport=size, color_scheme=scheme, bypass_csp=True)
        for url in urls:
            await buyer.go(url)
            assert await buyer.violations() == []
            assert not await buyer.is_too_wide()
