"""A plan from its making to its first payment: over the API, on a link's page, by a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.builders_plans import club, item, usd
from tests.support.buying import pay_order
from tests.support.plain_browser import Answer, Browser, a_browser, filled, settled
from tests.support.selling import ask, order_of, session
from tests.support.shops import Shop

PLANS, LINKS, SESSIONS = "/v1/subscription-plans", "/v1/payment-links", "/v1/checkout-sessions"
BOUND = {"contract_term_months": 12, "early_termination_fee_money": usd(2500)}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


async def a_plan(shop: Shop, **given: Any) -> dict[str, Any]:
    return await ask(shop, "POST", PLANS, club(**given))


async def a_club(shop: Shop, plan: dict[str, Any]) -> dict[str, Any]:
    return await ask(shop, "POST", LINKS, {"name": "The club", "plan_id": plan["plan_id"]})


async def refused(shop: Shop, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    async with shop.api() as http, http.post(path, json=body, headers=headers) as answer:
        told = await answer.json()
    return answer.status, told.get("data") or told["error"]


def posted(page: Answer) -> dict[str, str]:
    return {name: page.field(name) for name in ("resolution_context", "seen_prices")}


async def test_a_buyer_pays_the_first_period_and_everything_says_so(shop: Shop, browser: Browser):
    plan = await a_plan(shop, setup_fee_money=usd(500), **BOUND)
    link = await a_club(shop, plan)

    page = await browser.get(link["url"])
    opened = await browser.post(link["url"], posted(page))
    checkout = await browser.get(opened.location)
    pressed = await browser.post(f"{opened.location}/pay", filled(checkout))
    await settled(browser, opened.location)
    receipt = await browser.get(f"{opened.location}/receipt")

    terms = "Setup fee $5.00, once Minimum term 12 months Leaving earlier costs $25.00"
    assert page.sees(f"The club $12.00 every month {terms}")
    assert page.sees("Your first payment")
    assert page.sees("Due today $17.00")
    assert checkout.sees("$17.00 due today")
    assert checkout.sees(f"$12.00 every month {terms}")
    assert pressed.status == 303
    assert receipt.sees("Payment received $17.00")
    assert receipt.sees("Plan $12.00 every month Minimum term 12 months")
    made = await session(shop, opened.location.rpartition("/")[2])
    order = await order_of(shop, made["checkout_session_id"])
    assert (made["status"], made["plan_id"], made["source"]) == (
        "paid",
        plan["plan_id"],
        "payment_link",
    )
    assert (order["status"], order["subscription_plan_id"]) == ("paid", plan["plan_id"])
    assert made["subscription_terms"] == order["subscription_terms"]
    assert [one["name"] for one in order["line_items"]] == ["Tea box", "Setup fee"]


async def test_a_plan_that_changes_is_shown_before_it_is_bought(shop: Shop, browser: Browser):
    plan = await a_plan(shop)
    link = await a_club(shop, plan)
    page = await browser.get(link["url"])
    assert page.sees("Due today $12.00")

    lines = {"line_items": [item(1400)], "clear_setup_fee_money": True}
    await ask(shop, "PATCH", f"{PLANS}/{plan['plan_id']}", lines)
    await told(browser, link, "$14.00")
    changed = await browser.post(link["url"], posted(page))
    accepted = await browser.post(link["url"], posted(changed))

    assert changed.status == 409
    assert changed.sees("This offer has changed A price has changed since you opened this page.")
    assert changed.sees("before: $12.00 $14.00")
    assert accepted.status == 303
    assert (await browser.get(accepted.location)).sees("$14.00 due today")


async def told(browser: Browser, link: dict[str, Any], words: str) -> None:
    """Links hears of a plan's change a moment after it: until then the old terms stand."""
    while not (await browser.get(link["url"])).sees(words):
        await asyncio.sleep(0.05)


async def test_an_archived_plan_is_offered_nowhere(shop: Shop, browser: Browser):
    plan = await a_plan(shop)
    plan_id, link = plan["plan_id"], await a_club(shop, plan)
    key = {"Idempotency-Key": f"club-{shop.kind}-{plan_id}"}
    body = {"name": "Another", "plan_id": plan_id}
    _, before = await refused(shop, LINKS, body, **key)

    for _ in range(2):
        archived = await ask(shop, "POST", f"{PLANS}/{plan_id}/archive")
    await told(browser, link, "No longer available")

    assert (archived["status"], archived["version"]) == ("archived", 2)
    for path, given in ((LINKS, body), (SESSIONS, {"plan_id": plan_id})):
        status, error = await refused(shop, path, given)
        assert (status, error["code"], error["param"]) == (
            409,
            "SUBSCRIPTION_PLAN_ARCHIVED",
            "plan_id",
        )
    status, again = await refused(shop, LINKS, body, **key)  # What was answered stays.
    assert (status, again["payment_link_id"]) == (201, before["payment_link_id"])


async def test_a_session_takes_the_first_payment_of_a_plan(shop: Shop, browser: Browser):
    plan = await a_plan(shop, trial_period_days=14, setup_fee_money=usd(500))
    made = await ask(shop, "POST", SESSIONS, {"plan_id": plan["plan_id"]})

    page = await browser.get(f"/c/{made['checkout_session_id']}")
    order = await pay_order(shop, made["order_id"], "tok_visa")

    assert (made["source"], made["plan_id"]) == ("subscription", plan["plan_id"])
    assert made["amount_money"] == order["net_amounts"]["paid_money"] == usd(500)
    assert page.sees("$5.00 due today")
    assert page.sees("14 days free, then $12.00 every month Setup fee $5.00, once")
    assert (order["status"], order["source"]) == ("paid", "subscription")


async def test_a_trial_without_a_fee_is_not_sold_yet(shop: Shop, browser: Browser):
    plan = await a_plan(shop, trial_period_days=14)
    link = await a_club(shop, plan)
    shown = await ask(shop, "GET", f"{LINKS}/{link['payment_link_id']}/public")

    status, error = await refused(shop, SESSIONS, {"plan_id": plan["plan_id"]})

    assert (await browser.get(link["url"])).sees("Not available yet")
    assert (shown["unavailable_reason"], shown["resolved_line_items"]) == (
        "PAYMENT_LINK_INACTIVE",
        [],
    )
    assert shown["subscription_terms"]["trial_period_days"] == 14
    assert (status, error["code"], error["param"]) == (400, "INVALID_VALUE", "plan_id")


async def test_a_plan_that_nobody_made_is_offered_nowhere(shop: Shop):
    nobodys = "plan_01JZZZZZZZZZZZZZZZZZZZZZZZ"

    for path, named in ((LINKS, {"name": "Club"}), (SESSIONS, {})):
        status, error = await refused(shop, path, {**named, "plan_id": nobodys})
        assert (status, error["code"], error["param"]) == (404, "RESOURCE_NOT_FOUND", "plan_id")
