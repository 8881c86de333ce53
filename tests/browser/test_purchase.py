"""Buying as buyers do it: every way a card can end, with scripts and without."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.buyer import CHALLENGE, CHECKOUT, EMAIL, Buyer
from tests.browser.conftest import NewBuyer
from tests.support.selling import a_link, a_session, order_of, payments_of
from tests.support.shops import Shop

DECLINED = {
    "4000000000000002": "Your bank declined the card.",
    "4000000000009995": "There is not enough money on this card.",
    "4000000000000069": "This card has expired.",
    "4000000000000127": "The security code is not right.",
    "4000000000000119": "The card could not be processed just now.",
}


def standard(shop: Shop) -> str:
    return str(shop.demo["links"]["standard"]["url"])


async def paid_once(shop: Shop, buyer: Buyer, amount: int = 1200) -> None:
    """The order behind the page was paid, by one payment of that sum."""
    order = await order_of(shop, buyer.session_id)
    assert order["status"] == "paid"
    assert payments_of(order) == [amount]


async def test_two_tins_are_chosen_and_paid(shop: Shop, buyer: Buyer):
    await buyer.go(standard(shop))
    await expect(buyer.page.locator("[data-total]")).to_have_text("$12.00")

    await buyer.page.get_by_role("button", name="more").click()
    await expect(buyer.page.locator("[data-total]")).to_have_text("$24.00")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await expect(buyer.page.get_by_role("heading", level=1)).to_contain_text("$24.00")
    await buyer.pay()

    await buyer.has_receipt("2 × $12.00", "$24.00", "•••• 4242", EMAIL)
    await paid_once(shop, buyer, 2400)


@pytest.mark.parametrize("card", DECLINED)
async def test_a_declined_card_says_why_and_another_one_works(shop: Shop, buyer: Buyer, card: str):
    await buyer.choose(standard(shop))

    await buyer.pay(card)

    await buyer.sees(DECLINED[card])
    await buyer.sees("You have not been charged.")
    assert await buyer.value("email") == EMAIL
    assert await buyer.value("card_number") == ""
    await buyer.fill_card()
    await buyer.press_pay()
    await buyer.has_receipt()
    await paid_once(shop, buyer)


async def test_three_d_secure_completed_is_paid(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.pay("4000002500003155")
    await buyer.is_at(CHALLENGE)
    await buyer.sees("$12.00")

    await buyer.press("Complete")

    await buyer.has_receipt("•••• 3155")
    await paid_once(shop, buyer)


async def test_three_d_secure_failed_leaves_the_page_open_for_another_card(
    shop: Shop, buyer: Buyer
):
    await buyer.choose(standard(shop))
    await buyer.pay("4000002500003155")
    await buyer.is_at(CHALLENGE)

    await buyer.press("Fail")

    await buyer.is_at(CHECKOUT)
    await buyer.sees("Your bank could not confirm that it is you.")
    assert await buyer.value("email") == EMAIL
    await buyer.fill_card()
    await buyer.press_pay()
    await buyer.has_receipt()
    await paid_once(shop, buyer)


async def test_who_leaves_the_bank_s_page_is_led_back_to_it(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    page = buyer.page.url
    await buyer.pay("4000002500003155")
    await buyer.is_at(CHALLENGE)

    await buyer.go(page)

    await buyer.is_at(CHALLENGE)
    await buyer.press("Complete")
    await buyer.has_receipt()


async def test_an_unknown_outcome_ends_paid_exactly_once(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))

    await buyer.pay("4000000000000259")

    await buyer.has_receipt("•••• 0259", seconds=40)
    await paid_once(shop, buyer)


async def test_a_payment_that_takes_time_is_waited_for_on_the_page(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))

    await buyer.pay("4000000000000077")

    await buyer.sees("Confirming your payment")
    await buyer.has_receipt("•••• 0077", seconds=40)
    await paid_once(shop, buyer)


async def test_everything_works_without_scripts(shop: Shop, new_buyer: NewBuyer):
    buyer = await new_buyer(java_script_enabled=False)
    await buyer.choose(standard(shop), quantity_tin="3")

    await buyer.pay("4000000000000002")
    await buyer.sees(DECLINED["4000000000000002"])
    assert await buyer.value("email") == EMAIL
    await buyer.fill_card("4000002500003155")
    await buyer.press_pay()
    await buyer.is_at(CHALLENGE)
    await buyer.press("Complete")

    await buyer.has_receipt("3 × $12.00", "$36.00")
    await paid_once(shop, buyer, 3600)


async def test_a_payment_that_takes_time_is_found_without_scripts_too(
    shop: Shop, new_buyer: NewBuyer
):
    buyer = await new_buyer(java_script_enabled=False)
    await buyer.choose(standard(shop))

    await buyer.pay("4000000000000077")

    await buyer.has_receipt("•••• 0077", seconds=40)


async def test_a_test_card_fills_itself_in_and_enter_pays(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.page.get_by_text("Test cards").click()

    await buyer.page.get_by_role("button", name="Pays", exact=False).first.click()
    await buyer.page.press('[name="email"]', "Enter")

    await buyer.has_receipt()


async def test_a_free_order_needs_no_card(shop: Shop, buyer: Buyer):
    line = {"key": "tea", "name": "Tea", "amount_money": {"amount": 0, "currency": "USD"}}
    link = await a_link(shop, line_items=[line])
    await buyer.choose(link["url"])
    assert await buyer.page.locator('[name="card_number"]').count() == 0

    await buyer.type("email", EMAIL)
    await buyer.press("Complete order")

    await buyer.sees("Order complete")
    order = await order_of(shop, buyer.session_id)
    assert order["status"] == "paid"
    assert payments_of(order) in ([], [0])


async def test_a_donor_gives_what_they_like(shop: Shop, buyer: Buyer):
    gifts = [{"amount": amount, "currency": "EUR"} for amount in (500, 1000)]
    link = await a_link(shop, mode="donation", donation_suggested_amounts=gifts)
    await buyer.go(link["url"])

    await buyer.page.get_by_role("radio", name="Other").check()
    await buyer.type("amount_other.donation", "7,50")
    await expect(buyer.page.locator("[data-total]")).to_have_text("€7.50")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await buyer.pay()

    await buyer.has_receipt("€7.50")
    await paid_once(shop, buyer, 750)


async def test_a_session_made_over_the_api_is_paid_and_leads_on_to_the_merchant(
    shop: Shop, buyer: Buyer
):
    after = f"{shop.url}/docs?session={{CHECKOUT_SESSION_ID}}&order={{ORDER_ID}}"
    made = await a_session(shop, redirects={"success_redirect_url": after})
    await buyer.go(made["url"])

    await buyer.pay()
    await buyer.has_receipt()

    ids = made["checkout_session_id"], made["order_id"]
    await expect(buyer.page).to_have_url(f"{shop.url}/docs?session={ids[0]}&order={ids[1]}")
    await buyer.page.go_back()
    await buyer.has_receipt()
    await expect(buyer.page.get_by_role("link", name="Return to")).to_be_visible()


async def test_a_tip_changes_the_total_before_anything_is_charged(shop: Shop, buyer: Buyer):
    tips = {"is_enabled": True, "tip_percentages": [10, 20], "is_custom_tip_enabled": True}
    made = await a_session(shop, tip=tips)
    await buyer.go(made["url"])
    await buyer.type("email", EMAIL)

    await buyer.page.get_by_role("radio", name="20%").check()
    await expect(buyer.page.locator(".button-pay")).to_have_text("Pay $14.40")
    assert await buyer.value("email") == EMAIL
    await buyer.pay()

    await buyer.has_receipt("$14.40", "Tip")
    await paid_once(shop, buyer, 1440)
