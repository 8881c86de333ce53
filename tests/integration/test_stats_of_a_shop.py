"""A link's numbers against the truth: many buyers at once, and the counts harmed and rebuilt."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.db.pool import open_pool
from tests.support.plain_browser import Browser, a_browser
from tests.support.rigs import eventually
from tests.support.selling import a_link, ask, order_of
from tests.support.shops import Shop

BUYERS = 24
TOKENS = ("tok_visa", "tok_declined", "", "gone")  # pays, fails, leaves the checkout, only looks


async def stats_of(shop: Shop, link: dict[str, Any]) -> dict[str, Any]:
    return await ask(shop, "GET", f"/v1/payment-links/{link['payment_link_id']}/stats")


async def visited(shop: Shop, link: dict[str, Any], number: int) -> None:
    """One buyer's way, as far as this one goes."""
    token = TOKENS[number % len(TOKENS)]
    async with a_browser(shop) as browser:
        page = await browser.get(link["url"])
        context = {"resolution_context": page.field("resolution_context")}
        for _ in range(2):
            seen = await browser.post(f"{link['url']}/visit", context, User_Agent="Mozilla/5.0")
            assert seen.status == 204
        if token != "gone":
            await went_on(shop, browser, link, context, token)


async def went_on(
    shop: Shop, browser: Browser, link: dict[str, Any], context: dict[str, str], token: str
) -> None:
    opened = await browser.post(link["url"], context)
    assert (await browser.get(opened.location)).status == 200
    order = await order_of(shop, opened.location.removeprefix("/c/"))
    if token:
        path = f"/v1/orders/{order['order_id']}/pay"
        body = {"payment_source_token": token}
        async with shop.api() as http, http.post(path, json=body) as answer:
            assert answer.status in (200, 422)


async def harmed(shop: Shop) -> None:
    """As a careless hand would: every number wrong, some gone."""
    pool = await open_pool(shop.database_url("gateway"), name="test", size=1)
    await pool.execute("UPDATE link_counts SET count = count + 5, amount_minor = 1")
    await pool.execute("DELETE FROM link_counts WHERE measure = 'attempt'")
    await pool.close()


async def rebuilt(shop: Shop) -> str:
    code, output = await shop.flint("links", "rebuild-stats")
    assert code == 0, output
    return output


async def test_numbers_are_true_to_the_unit_after_a_rebuild_in_the_middle_of_a_rush(shop: Shop):
    link = await a_link(shop)
    half = BUYERS // 2
    await asyncio.gather(*(visited(shop, link, number) for number in range(half)))
    await harmed(shop)

    await asyncio.gather(
        *(visited(shop, link, number) for number in range(half, BUYERS)),
        rebuilt(shop),
        rebuilt(shop),
    )

    each = BUYERS // len(TOKENS)
    truth = {
        "payment_link_id": link["payment_link_id"],
        "view_count": BUYERS,
        "resolve_count": 3 * each,
        "attempt_count": 2 * each,
        "paid_count": each,
        "conversion_rate": 0.25,
        "revenue": [{"amount": each * 1200, "currency": "USD"}],
        "refunds": [],
    }

    async def are_true() -> bool:
        return await stats_of(shop, link) == truth

    await eventually(are_true)
    assert "0 counts mended" in (await rebuilt(shop)).splitlines()[-1]
    assert await stats_of(shop, link) == truth


async def test_programs_and_pages_that_nobody_touches_are_no_views(shop: Shop):
    link = await a_link(shop)
    async with a_browser(shop) as browser:
        page = await browser.get(link["url"])
        context = {"resolution_context": page.field("resolution_context")}
        where = f"{link['url']}/visit"

        for agent in ("Slackbot 1.0", "facebookexternalhit/1.1", "curl/8.5"):
            assert (await browser.post(where, context, User_Agent=agent)).status == 204
        forged = {"resolution_context": "forged"}
        assert (await browser.post(where, forged, User_Agent="Mozilla/5.0")).status == 204
        foreign = await browser.post(where, context, Sec_Fetch_Site="cross-site")
        assert foreign.status == 403
        person = await browser.get(link["url"])
        own = {"resolution_context": person.field("resolution_context")}
        assert (await browser.post(where, own, User_Agent="Mozilla/5.0")).status == 204

    async def is_one() -> bool:
        return bool((await stats_of(shop, link))["view_count"] == 1)

    await eventually(is_one)


async def test_a_foreign_links_numbers_are_not_there(shop: Shop):
    path = "/v1/payment-links/pl_01JZZZZZZZZZZZZZZZZZZZZZZ0/stats"
    async with shop.api() as http, http.get(path) as answer:
        assert answer.status == 404
