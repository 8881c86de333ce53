"""What buyers do that no flow chart has: twice, back, two tabs, too late, by a shared address."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from shared.db.pool import open_pool
from tests.browser.buyer import CHECKOUT, EMAIL, RECEIPT, Buyer, forgive, watched
from tests.browser.conftest import NewBuyer
from tests.browser.test_purchase import paid_once, standard
from tests.support.selling import a_link, a_session, ask, order_of, payments_of, session
from tests.support.shops import Shop

# Posts the page's own form twice at once, as an impatient double click without scripts would.
POST_TWICE = """async () => {
  const form = document.querySelector('[data-pay]');
  const body = () => new URLSearchParams([...new FormData(form), ['action', 'pay']]);
  const post = () => fetch(form.getAttribute('action'), {method: 'POST', body: body()});
  return Promise.all([post(), post()]).then((answers) => answers.map((answer) => answer.url));
}"""


async def another_tab(buyer: Buyer) -> Buyer:
    """A second tab of the same browser, watched by the same eyes."""
    return watched(await buyer.page.context.new_page(), buyer.origin, buyer.faults)


async def age(shop: Shop, checkout_session_id: str) -> None:
    """Let the session's time run out."""
    pool = await open_pool(shop.database_url("sessions"), name="test", size=1)
    late = "UPDATE sessions SET expires_at = now() WHERE checkout_session_id = $1"
    assert await pool.execute(late, checkout_session_id) == "UPDATE 1"
    await pool.close()


async def test_a_form_sent_twice_at_once_is_one_payment(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.fill_card(email=EMAIL)

    await buyer.page.evaluate(POST_TWICE)

    await buyer.page.reload()
    await buyer.has_receipt()
    await paid_once(shop, buyer)
    assert len((await session(shop, buyer.session_id))["payment_intent_ids"]) == 1


async def test_a_double_click_is_one_payment(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.fill_card(email=EMAIL)

    await buyer.page.dblclick(".button-pay")

    await buyer.has_receipt()
    await paid_once(shop, buyer)


async def test_the_same_form_after_a_decline_is_no_second_try(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.fill_card("4000000000000002", email=EMAIL)

    await buyer.page.evaluate(POST_TWICE)
    await buyer.page.evaluate(POST_TWICE)

    order = await order_of(shop, buyer.session_id)
    assert order["status"] == "open"
    assert len(order["payment_intent_ids"]) == 1


async def test_a_double_click_on_the_link_opens_one_checkout(shop: Shop, buyer: Buyer):
    await buyer.go(standard(shop))

    await buyer.page.dblclick("button[type=submit]")
    await buyer.is_at(CHECKOUT)

    link = shop.demo["links"]["standard"]["payment_link_id"]
    found = await ask(shop, "GET", f"/v1/checkout-sessions?payment_link_id={link}&page_size=1")
    assert found[0]["checkout_session_id"] == buyer.session_id  # type: ignore[index]  # a list


async def test_back_after_paying_shows_the_receipt_and_no_form(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.pay()
    await buyer.has_receipt()

    await buyer.page.go_back()

    await buyer.has_receipt()
    assert await buyer.page.locator('[name="card_number"]').count() == 0


async def test_two_tabs_pay_once_and_both_see_it(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    other = await another_tab(buyer)
    await other.go(buyer.page.url)

    await asyncio.gather(buyer.pay(), other.pay())

    await buyer.has_receipt()
    await other.has_receipt()
    await paid_once(shop, buyer)


async def test_the_other_tab_sees_a_payment_under_way(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    other = await another_tab(buyer)
    await other.go(buyer.page.url)
    await other.fill_card(email=EMAIL)
    await buyer.pay("4000000000000077")
    await buyer.sees("Confirming your payment")

    await other.press_pay()

    await other.has_receipt("•••• 0077", seconds=40)
    await buyer.has_receipt(seconds=40)
    await paid_once(shop, buyer)


async def test_a_form_with_an_old_total_charges_nothing_and_shows_the_new_one(
    shop: Shop, buyer: Buyer
):
    made = await a_session(shop, tip={"is_enabled": True, "tip_percentages": [50]})
    await buyer.go(made["url"])
    other = await another_tab(buyer)
    await other.go(made["url"])
    await other.page.get_by_role("radio", name="50%").check()
    await expect(other.page.locator(".button-pay")).to_have_text("Pay $18.00")

    await buyer.pay()

    await buyer.sees("The total has changed")
    forgive(buyer, "status of 409")
    await expect(buyer.page.locator(".button-pay")).to_have_text("Pay $18.00")
    assert (await order_of(shop, buyer.session_id))["payment_intent_ids"] == []
    await buyer.pay()
    await buyer.has_receipt("$18.00")
    await paid_once(shop, buyer, 1800)


async def test_an_expired_page_says_so_and_starts_again(shop: Shop, buyer: Buyer):
    await buyer.choose(standard(shop))
    await buyer.fill_card(email=EMAIL)
    late = buyer.session_id
    await age(shop, late)

    await buyer.press_pay()

    await buyer.sees("This checkout has expired")
    await buyer.page.get_by_role("link", name="Start again").click()
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await buyer.pay()
    await buyer.has_receipt()
    assert (await order_of(shop, late))["payment_intent_ids"] == []


@pytest.mark.parametrize("words", ["This checkout was closed"])
async def test_a_session_the_merchant_closed_says_so(shop: Shop, buyer: Buyer, words: str):
    made = await a_session(shop)
    await ask(shop, "POST", f"/v1/checkout-sessions/{made['checkout_session_id']}/close", {})

    await buyer.go(made["url"])

    await buyer.sees(words)


async def test_an_order_paid_elsewhere_is_no_error(shop: Shop, buyer: Buyer):
    made = await a_session(shop)
    await buyer.go(made["url"])
    await buyer.fill_card(email=EMAIL)
    body = {"payment_source_token": "tok_visa"}
    await ask(shop, "POST", f"/v1/orders/{made['order_id']}/pay", body)

    await buyer.press_pay()

    await buyer.sees("Already paid")
    assert payments_of(await order_of(shop, made["checkout_session_id"])) == [1200]


async def test_who_gets_a_shared_address_sees_no_name(shop: Shop, new_buyer: NewBuyer):
    ada, bob = await new_buyer(), await new_buyer()
    await ada.choose(f"{standard(shop)}?prefilled_name=Ada&prefilled_email=ada%2Bx@example.com")
    forgive(ada, "typed data in an address")  # The merchant's own address had it.
    assert await ada.value("email") == "ada+x@example.com"
    await ada.pay("4000000000000002")
    await ada.sees("Your bank declined the card.")
    assert await ada.value("email") == EMAIL

    await bob.go(ada.page.url)
    assert await bob.value("email") == ""
    assert await bob.value("card_name") == ""
    await ada.pay()
    await ada.has_receipt(EMAIL)
    await bob.go(ada.page.url)

    await bob.has_receipt()
    assert EMAIL not in await bob.page.content()


async def test_the_last_place_goes_to_one_buyer_and_costs_the_other_nothing(
    shop: Shop, new_buyer: NewBuyer
):
    link = await a_link(shop, max_completions=1)
    one, two = await new_buyer(), await new_buyer()
    for each in (one, two):
        await each.choose(link["url"])
        await each.fill_card(email=EMAIL)

    await asyncio.gather(one.press_pay(), two.press_pay())

    await asyncio.gather(*(has_an_end(each) for each in (one, two)))
    winner, loser = (one, two) if RECEIPT.search(one.page.url) else (two, one)
    await winner.has_receipt()
    await loser.sees("No longer available")
    await loser.sees("You have not been charged.")
    await paid_once(shop, winner)
    assert payments_of(await order_of(shop, loser.session_id)) == []


async def has_an_end(buyer: Buyer) -> None:
    heading = buyer.page.get_by_role("heading", level=1)
    await expect(heading).to_have_text(
        ["Payment received"] if RECEIPT.search(buyer.page.url) else ["No longer available"],
        timeout=30_000,
    )


async def test_an_offer_that_changed_is_shown_again_with_the_old_price_struck(
    shop: Shop, buyer: Buyer
):
    link = await a_link(shop)
    await buyer.go(link["url"])
    dearer = {"key": "tea", "name": "Tea", "amount_money": {"amount": 1500, "currency": "USD"}}
    path = f"/v1/payment-links/{link['payment_link_id']}/line-items/replace"
    await ask(shop, "POST", path, {"line_items": [dearer]})

    await buyer.press("Continue to payment")

    await buyer.sees("This offer has changed")
    forgive(buyer, "status of 409")
    await expect(buyer.page.locator("del.was")).to_contain_text("$12.00")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await expect(buyer.page.locator(".button-pay")).to_have_text("Pay $15.00")


async def test_everything_the_merchant_asks_for_is_asked_for_and_named_when_missing(
    shop: Shop, buyer: Buyer
):
    asked = ("email", "phone", "billing_address", "shipping_address")
    made = await a_session(
        shop,
        customer={f"require_{name}": True for name in asked},
        legal={"requires_terms_of_service": True, "terms_of_service_url": "https://a.example/"},
    )
    await buyer.go(made["url"])
    await buyer.type("email", EMAIL)
    await buyer.page.evaluate("document.querySelector('[data-pay]').noValidate = true")

    await buyer.press_pay()

    await buyer.sees("Enter the card number.")
    forgive(buyer, "status of 422")
    await expect(buyer.page.locator("[data-error-summary]")).to_be_focused()
    assert await buyer.value("email") == EMAIL
    for kind in ("shipping", "billing"):
        await buyer.page.select_option(f'[name="{kind}.country"]', "CH")
        for name, value in {"line1": "Weg 1", "postal_code": "8000", "city": "Zürich"}.items():
            await buyer.type(f"{kind}.{name}", value)
    await buyer.page.check('[name="accept_terms"]')
    await buyer.fill_card(phone="+41 44 000 00 00", **{"shipping.name": "Ada Lovelace"})
    await buyer.press_pay()
    await buyer.has_receipt()
