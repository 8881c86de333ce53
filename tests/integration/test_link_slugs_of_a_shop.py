"""Slugs over the whole shop: added and removed over the API, opened by buyers, told to all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ulid import ULID

from tests.support.event_log import facts_about
from tests.support.plain_browser import Browser, a_browser
from tests.support.selling import a_link, ask
from tests.support.shops import Shop


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


def fresh(word: str) -> str:
    """A slug that no other test has."""
    return f"{word}-{str(ULID())[-10:]}".lower()


def slugs_of(link: dict[str, Any]) -> str:
    return f"/v1/payment-links/{link['payment_link_id']}/slugs"


async def refused(shop: Shop, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
    async with shop.api() as http, http.request(method, path, json=body) as answer:
        error = (await answer.json())["error"]
    return answer.status, error["code"], error.get("param", "")


async def test_every_older_slug_in_any_case_leads_to_the_newest(shop: Shop, browser: Browser):
    old, new = fresh("spring"), fresh("summer")
    link = await a_link(shop, slug=old)

    named = await ask(shop, "POST", slugs_of(link), {"slug": new})
    page = await browser.get(f"/l/{old}?utm_source=a%20b&quantity.tea=2")

    assert named["slugs"] == [new, old]
    assert named["url"] == f"{shop.url}/l/{new}"
    assert (page.status, page.location) == (301, f"/l/{new}?utm_source=a%20b&quantity.tea=2")
    assert page.headers["Cache-Control"] == "no-store"  # it may become the newest again
    assert (await browser.get(f"/l/{old.upper()}")).location == f"/l/{new}"
    assert (await browser.get(f"/l/{new.title()}")).location == f"/l/{new}"
    assert (await browser.get(f"/l/{new}")).status == 200
    assert (
        await browser.get(f"/l/{new}".replace("s", "\N{LATIN SMALL LETTER LONG S}"))
    ).status == 404


async def test_a_page_opened_under_the_old_slug_may_still_be_sent(shop: Shop, browser: Browser):
    """The link has another version: the buyer looks once more, under the address of now."""
    old, new = fresh("spring"), fresh("summer")
    link = await a_link(shop, slug=old)
    page = await browser.get(f"/l/{old}")
    await ask(shop, "POST", slugs_of(link), {"slug": new})

    again = await browser.post(
        f"/l/{old}", {"resolution_context": page.field("resolution_context")}
    )
    (action,) = re.findall(r'<form[^>]* action="([^"]+)"', again.text)
    sent = await browser.post(action, {"resolution_context": again.field("resolution_context")})

    assert again.status == 409
    assert action == f"/l/{new}"
    assert sent.status == 303


async def test_a_removed_slug_is_as_unknown_as_any_other(shop: Shop, browser: Browser):
    old, new = fresh("spring"), fresh("summer")
    link = await a_link(shop, slug=old)
    await ask(shop, "POST", slugs_of(link), {"slug": new})

    left = await ask(shop, "DELETE", f"{slugs_of(link)}/{old}")

    assert left["slugs"] == [new]
    assert (await browser.get(f"/l/{old}")).status == 404
    assert (await refused(shop, "DELETE", f"{slugs_of(link)}/{old}"))[0] == 404
    last = await refused(shop, "DELETE", f"{slugs_of(link)}/{new}")
    assert last == (409, "INVALID_VALUE", "slug")


async def test_the_log_tells_what_became_of_the_names(shop: Shop):
    old, new = fresh("spring"), fresh("summer")
    link = await a_link(shop, slug=old)
    await ask(shop, "POST", slugs_of(link), {"slug": new})
    await ask(shop, "DELETE", f"{slugs_of(link)}/{old}")

    told = await facts_about(shop, link["payment_link_id"], 3)

    assert [fact["type"] for fact in told] == ["link.created", "link.updated", "link.updated"]
    assert [fact["data"]["slugs"] for fact in told] == [[old], [new, old], [new]]
    assert [fact["data"]["previous"].get("slugs") for fact in told[1:]] == [[old], [new, old]]


@pytest.mark.parametrize(
    "slug", ["Te", "-tea", "tea-", "TEA", "t\u0435a", "tea time", "x" * 65, "", 7, ["tea"]]
)
async def test_what_is_no_slug_is_a_400_that_names_the_field(shop: Shop, slug: Any):
    link = await a_link(shop)

    for path, body in (
        (slugs_of(link), {"slug": slug}),
        ("/v1/payment-links", {"name": "Tea", "slug": slug}),
    ):
        answer = await refused(shop, "POST", path, body)
        assert answer == (400, "INVALID_VALUE", "slug")


async def test_reserved_words_are_a_400_and_taken_ones_a_409(shop: Shop):
    taken = fresh("tea")
    link = await a_link(shop)
    await a_link(shop, slug=taken)

    assert await refused(shop, "POST", slugs_of(link), {"slug": "login"}) == (
        400,
        "INVALID_VALUE",
        "slug",
    )
    assert await refused(shop, "POST", slugs_of(link), {"slug": taken}) == (
        409,
        "INVALID_VALUE",
        "slug",
    )
    assert (await ask(shop, "GET", slugs_of(link).removesuffix("/slugs")))["slugs"] == link["slugs"]
