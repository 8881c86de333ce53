"""An evening out: two tiers chosen, paid, and at the door with a ticket each."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import zxingcpp
from icalendar import Calendar, Event
from PIL import Image
from playwright.async_api import Browser, expect

from tests.browser.buyer import CHECKOUT, Buyer, a_buyer, forgive
from tests.support.rigs import eventually
from tests.support.selling import a_link, ask, order_of
from tests.support.shops import Shop

SOON = datetime(2031, 6, 14, 17, 0, tzinfo=UTC)


@pytest.fixture
async def buyer(local_shop: Shop, browser: Browser) -> AsyncIterator[Buyer]:
    async with a_buyer(browser, local_shop.url) as buyer:
        yield buyer
    await local_shop.audit()


async def a_gala(shop: Shop, **config: Any) -> dict[str, Any]:
    def tier(key: str, amount: int, **more: Any) -> dict[str, Any]:
        price = {"amount": amount, "currency": "EUR"}
        return {"key": key, "name": key.title(), "amount_money": price} | more

    event = {
        "event_date": SOON.isoformat(),
        "event_end_date": (SOON + timedelta(hours=4)).isoformat(),
        "timezone": "Europe/Berlin",
        "location": "Konzerthaus; Großer Saal, Berlin",
        "ticket_prefix": "GALA",
    }
    lines = [tier("floor", 2500), tier("balcony", 4000, max_total_quantity=2)]
    return await a_link(
        shop, name="Winter gala", mode="event", line_items=lines, event_config=event | config
    )


def codes_in(png: bytes) -> list[str]:
    """What a scanner reads off a picture."""
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))
    return sorted(one.text for one in found)


def step(buyer: Buyer, words: str) -> Any:
    return buyer.page.get_by_role("button", name=words)


async def test_two_tiers_are_bought_and_each_seat_has_a_ticket(local_shop: Shop, buyer: Buyer):
    gala = await a_gala(local_shop)
    await buyer.go(gala["url"])
    await buyer.sees("Saturday, June 14, 2031, 7:00 PM – 11:00 PM CEST")
    await buyer.sees("Berlin time")
    await expect(buyer.page.locator("[data-total]")).to_have_text("€0.00")

    await step(buyer, "One Floor more").click()
    for _ in range(2):
        await step(buyer, "One Balcony more").click()
    await expect(step(buyer, "One Balcony more")).to_be_disabled()
    await expect(buyer.page.locator("[data-total]")).to_have_text("€105.00")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await buyer.sees("Winter gala")
    await buyer.sees("Saturday, June 14, 2031, 7:00 PM – 11:00 PM CEST")
    await buyer.sees("Konzerthaus; Großer Saal, Berlin")
    await buyer.pay()

    await buyer.has_receipt("Your 3 tickets")
    codes = buyer.page.locator(".ticket-code")
    await expect(codes).to_have_text(["GALA-000001", "GALA-000002", "GALA-000003"])
    assert await buyer.violations() == []
    tickets = (await order_of(local_shop, buyer.session_id))["tickets"]
    png = await buyer.page.screenshot(full_page=True, scale="css")
    assert codes_in(png) == [f"{one['code']} {one['ticket_id']}" for one in tickets]
    assert [one["name"] for one in tickets] == ["Floor", "Balcony", "Balcony"]
    await buyer.go(gala["url"])
    await expect(buyer.page.locator(".is-sold-out")).to_contain_text("Balcony")
    assert await buyer.page.locator('[name="quantity.balcony"]').count() == 0


async def test_the_calendar_file_says_when_where_and_which_tickets(local_shop: Shop, buyer: Buyer):
    gala = await a_gala(local_shop)
    await buyer.choose(gala["url"], quantity_floor="1")
    await buyer.pay()
    await buyer.has_receipt("Add to calendar")

    path = await buyer.page.get_by_role("link", name="Add to calendar").get_attribute("href")
    async with aiohttp.ClientSession(local_shop.url) as http, http.get(path or "") as answer:
        assert (answer.status, answer.content_type) == (200, "text/calendar")
        body = await answer.read()
    async with aiohttp.ClientSession(local_shop.url) as http, http.get(path or "") as again:
        assert await again.read() == body

    assert all(len(line) <= 75 for line in body.split(b"\r\n")), "folded"
    (entry,) = [one for one in Calendar.from_ical(body).walk("VEVENT") if isinstance(one, Event)]
    assert (entry.start, entry.end) == (SOON, SOON + timedelta(hours=4))
    assert entry["dtstart"].params["TZID"] == "Europe/Berlin"
    assert b"BEGIN:VTIMEZONE" in body
    assert str(entry["summary"]) == "Winter gala"
    assert str(entry["location"]) == "Konzerthaus; Großer Saal, Berlin"
    assert "GALA-000001 (Floor)" in str(entry["description"])
    order = await order_of(local_shop, buyer.session_id)
    assert str(entry["uid"]).startswith(order["order_id"])


async def test_nobody_goes_on_without_a_ticket_and_a_tier_may_sell_out_meanwhile(
    local_shop: Shop, buyer: Buyer
):
    gala = await a_gala(local_shop)
    await buyer.go(gala["url"])

    await buyer.press("Continue to payment")
    await buyer.sees("Choose at least one ticket.")
    await buyer.type("quantity.balcony", "1")
    await sell_the_balcony(local_shop, gala["payment_link_id"])
    await buyer.press("Continue to payment")

    await buyer.sees("Balcony is sold out.")
    assert await buyer.violations() == []
    forgive(buyer, "422", "409")
    await buyer.type("quantity.floor", "1")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)


async def test_after_its_end_an_event_says_that_it_is_over(local_shop: Shop, buyer: Buyer):
    begun = datetime.now(UTC) - timedelta(hours=1)
    gala = await a_gala(local_shop, event_date=begun.isoformat(), event_end_date=None)

    await buyer.go(gala["url"])

    await buyer.sees("over")
    assert await buyer.page.locator("form").count() == 0


async def sell_the_balcony(shop: Shop, link_id: str) -> None:
    public = await ask(shop, "GET", f"/v1/payment-links/{link_id}/public")
    body = {
        "resolution_context": public["resolution_context"],
        "quantity_overrides": {"balcony": 2},
    }
    made = await ask(shop, "POST", f"/v1/payment-links/{link_id}/resolve", body)
    order_id = made["checkout_session"]["order_id"]
    paid = await ask(
        shop, "POST", f"/v1/orders/{order_id}/pay", {"payment_source_token": "tok_visa"}
    )
    assert [one["code"] for one in paid["tickets"]] == ["GALA-000001", "GALA-000002"]

    async def is_told() -> bool:
        public = await ask(shop, "GET", f"/v1/payment-links/{link_id}/public")
        return any(line["is_sold_out"] for line in public["resolved_line_items"])

    await eventually(is_told)
