"""Choices on a link's page over plain HTTP: read in the buyer's writing, priced by the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.plain_browser import Answer, Browser, a_browser
from tests.support.selling import a_link, order_of
from tests.support.shops import Shop

# The pages are the same over both transports: which one carries them is examined elsewhere.
pytestmark = pytest.mark.parametrize("shop", ["local"], indirect=True)

FREE = {
    "key": "seat",
    "name": "Seat",
    "amount_money": {"amount": 1500, "currency": "KWD"},
    "allow_amount_adjustment": True,
    "max_amount_money": {"amount": 90_000, "currency": "KWD"},
}
GERMAN = {"Accept_Language": "de"}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


def posted(page: Answer, **fields: str) -> dict[str, str]:
    return {"resolution_context": page.field("resolution_context")} | {
        name.replace("__", "."): value for name, value in fields.items()
    }


async def test_an_amount_is_read_as_the_buyer_s_language_writes_it(shop: Shop, browser: Browser):
    link = await a_link(shop, name="Evening", line_items=[FREE])
    page = await browser.get(link["url"], **GERMAN)
    assert page.field("amount.seat") == "1,500"

    answer = await browser.post(link["url"], posted(page, amount__seat="12,5"), **GERMAN)

    await browser.get(answer.location)  # Waits for the session, and with it for the order.
    order = await order_of(shop, answer.location.rpartition("/")[2])
    assert order["net_amounts"]["total_money"] == {"amount": 12_500, "currency": "KWD"}


async def test_what_cannot_be_an_amount_stays_in_its_field_with_the_reason(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, name="Evening", line_items=[FREE])
    page = await browser.get(link["url"], **GERMAN)
    reasons = {
        "1.500": "Enter an amount for Seat, such as 12,500.",  # fifteen hundred, or one and a half
        "zwei": "Enter an amount for Seat, such as 12,500.",
        "12,345": "Choose an amount in steps of 0.010 KWD.",
        "90,01": "The amount is above the maximum.",
    }

    for typed, reason in reasons.items():
        answer = await browser.post(link["url"], posted(page, amount__seat=typed), **GERMAN)
        assert (answer.status, answer.field("amount.seat")) == (422, typed)
        assert answer.sees(reason), typed


async def test_the_language_in_the_link_s_address_is_the_one_that_amounts_are_read_in(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, name="Evening", line_items=[FREE])
    page = await browser.get(f"{link['url']}?locale=de&amount=2000")
    assert (page.field("amount.seat"), page.field("locale")) == ("2,000", "de")

    form = posted(page, amount__seat="2,5", locale="de", action="update")
    answer = await browser.post(link["url"], form, Accept_Language="en")

    assert answer.status == 200
    assert answer.sees("2,500 KWD")


async def test_asking_for_the_total_opens_nothing_and_nags_about_nothing(
    shop: Shop, browser: Browser
):
    asked = [{"key": "note", "label": "Note", "type": "text", "is_required": True}]
    link = await a_link(shop, name="Evening", line_items=[FREE], custom_fields=asked)
    page = await browser.get(link["url"])

    total = await browser.post(link["url"], posted(page, amount__seat="3", action="update"))
    wrong = await browser.post(link["url"], posted(page, amount__seat="?", action="update"))

    assert (total.status, total.location) == (200, "")
    assert total.sees("KWD 3.000")
    assert not total.sees("Note is required")
    assert (wrong.status, wrong.sees("Please check one thing")) == (422, True)


async def test_a_link_that_sells_nothing_yet_says_so(shop: Shop, browser: Browser):
    link = await a_link(shop, line_items=[])

    page = await browser.get(link["url"])
    pressed = await browser.post(link["url"], {})
    public = f"/v1/payment-links/{link['payment_link_id']}/public"
    async with shop.api() as http, http.get(public) as answer:
        told = (await answer.json())["data"]

    assert (page.status, pressed.status) == (200, 409)
    assert page.sees("Not available yet")
    assert (told["payment_link"]["status"], told["unavailable_reason"]) == (
        "active",
        "PAYMENT_LINK_INACTIVE",
    )


async def test_a_paused_link_says_that_it_is_paused(shop: Shop, browser: Browser):
    link = await a_link(shop, inactive_message="Back in May.")
    path = f"/v1/payment-links/{link['payment_link_id']}/deactivate"
    async with shop.api() as http, http.post(path):
        pass

    page = await browser.get(link["url"])

    assert page.sees("Back in May.")
    assert not page.sees("Not available yet")
