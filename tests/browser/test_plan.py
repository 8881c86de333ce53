"""Joining a club: the terms are read, the first payment is made, no other is promised."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.buyer import CHECKOUT, EMAIL, forgive
from tests.browser.conftest import NewBuyer
from tests.builders_plans import club, item, usd
from tests.support.rigs import eventually
from tests.support.selling import ask, order_of, payments_of
from tests.support.shops import Shop

PLANS = "/v1/subscription-plans"


async def a_club(shop: Shop) -> dict[str, Any]:
    plan = await ask(shop, "POST", PLANS, club(setup_fee_money=usd(500), contract_term_months=12))
    body = {"name": "The club", "plan_id": plan["plan_id"]}
    return await ask(shop, "POST", "/v1/payment-links", body)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_club_is_joined_with_its_first_payment(
    shop: Shop, new_buyer: NewBuyer, scripts: bool
):
    link = await a_club(shop)
    buyer = await new_buyer(java_script_enabled=scripts)

    await buyer.go(link["url"])
    await buyer.sees("$12.00 every month")
    await buyer.sees("Minimum term 12 months")
    await buyer.sees("Setup fee $5.00, once")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await expect(buyer.page.get_by_role("heading", level=1)).to_contain_text("$17.00")
    await buyer.sees("$12.00 every month")
    await buyer.pay()

    await buyer.has_receipt("$17.00", "$12.00 every month", "12 months", EMAIL)
    order = await order_of(shop, buyer.session_id)
    assert (order["status"], payments_of(order)) == ("paid", [1700])
    assert order["subscription_plan_id"] == link["plan_id"]


async def test_a_price_that_rose_while_the_page_was_open_is_agreed_to_first(
    shop: Shop, new_buyer: NewBuyer
):
    link = await a_club(shop)
    buyer, other = await new_buyer(), await new_buyer()
    await buyer.go(link["url"])
    await ask(shop, "PATCH", f"{PLANS}/{link['plan_id']}", {"line_items": [item(1400)]})

    async def is_known() -> bool:
        await other.go(link["url"])
        return await other.page.get_by_text("$14.00 every month").count() > 0

    await eventually(is_known)
    await buyer.press("Continue to payment")
    await buyer.sees("This offer has changed")
    forgive(buyer, "409")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await buyer.pay()

    await buyer.has_receipt("$19.00")
    assert payments_of(await order_of(shop, buyer.session_id)) == [1900]
