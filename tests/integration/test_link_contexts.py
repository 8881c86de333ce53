"""Resolving takes a fresh page: its context once over, of now, and of this very link."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.plain_browser import Answer, Browser, a_browser
from tests.support.selling import TEA, a_link, ask
from tests.support.shops import Shop

TWELVE, FOURTEEN = TEA["amount_money"], {"amount": 1400, "currency": "USD"}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


def path_of(link: dict[str, Any], what: str = "") -> str:
    return f"/v1/payment-links/{link['payment_link_id']}{what}"


async def context_of(shop: Shop, link: dict[str, Any]) -> str:
    return str((await ask(shop, "GET", path_of(link, "/public")))["resolution_context"])


async def resolved(
    shop: Shop, link: dict[str, Any], context: Any = None, **choices: Any
) -> tuple[int, dict[str, Any]]:
    """The API's answer to a resolve without a key."""
    body = {"resolution_context": context} if context is not None else {}
    async with (
        shop.api() as http,
        http.post(
            path_of(link, "/resolve"), json=body | choices, headers={"Authorization": ""}
        ) as answer,
    ):
        told = await answer.json()
    return answer.status, told.get("data") or told["error"]


async def reprice(shop: Shop, link: dict[str, Any], price: dict[str, Any] = FOURTEEN) -> None:
    lines = {"line_items": [TEA | {"amount_money": price}]}
    await ask(shop, "POST", path_of(link, "/line-items/replace"), lines)


async def test_the_same_context_at_once_and_again_is_one_session(shop: Shop):
    link = await a_link(shop)
    context = await context_of(shop, link)

    answers = await asyncio.gather(*(resolved(shop, link, context) for _ in range(8)))
    await reprice(shop, link)  # What was resolved stays, whatever the link says by now.
    answers.append(await resolved(shop, link, context))

    assert {status for status, _ in answers} == {201}
    assert len({told["checkout_url"] for _, told in answers}) == 1


def spoiled(context: str) -> str:
    middle = len(context) // 3
    return context[:middle] + ("A" if context[middle] != "A" else "B") + context[middle + 1 :]


@pytest.mark.parametrize("given", ["none", "empty", "another link's", "spoiled", "made up"])
async def test_a_context_that_is_not_this_pages_opens_nothing(shop: Shop, given: str):
    link = await a_link(shop)
    contexts = {
        "none": None,
        "empty": "",
        "another link's": await context_of(shop, await a_link(shop)),
        "spoiled": spoiled(await context_of(shop, link)),
        "made up": "WyJwbCJd.c2lnbmVk",
    }

    status, error = await resolved(shop, link, contexts[given])

    why = "REQUIRED" if given in ("none", "empty") else "INVALID"
    assert (status, error["code"]) == (400, f"PAYMENT_LINK_RESOLUTION_CONTEXT_{why}")
    assert error["param"] == "resolution_context"
    assert error["remediation"]["next_actions"]


async def test_a_context_of_before_a_change_is_asked_for_again(shop: Shop):
    link = await a_link(shop)
    old = await context_of(shop, link)
    await reprice(shop, link)

    refused = await resolved(shop, link, old)
    accepted = await resolved(shop, link, await context_of(shop, link))

    assert (refused[0], refused[1]["code"]) == (409, "PAYMENT_LINK_CHANGED_RETRY")
    assert accepted[0] == 201
    assert accepted[1]["checkout_session"]["amount_money"] == FOURTEEN


async def test_a_link_that_sells_nothing_says_so_before_it_looks_at_the_context(shop: Shop):
    link = await a_link(shop)
    context = await context_of(shop, link)
    await ask(shop, "POST", path_of(link, "/deactivate"))

    for given in (context, "made.up", None):
        status, error = await resolved(shop, link, given)
        assert (status, error["code"]) == (409, "PAYMENT_LINK_INACTIVE")


# ---- the page ------------------------------------------------------------------------------------


def filled(page: Answer, **fields: str) -> dict[str, str]:
    """The page's form as a browser would send it."""
    hidden = re.findall(r'type="hidden" name="([^"]+)"', page.text)
    return {name: page.field(name) for name in hidden} | fields


async def test_a_new_price_is_shown_beside_the_old_one_and_taken_only_then(
    shop: Shop, browser: Browser
):
    link = await a_link(shop)
    page = await browser.get(link["url"])
    await reprice(shop, link)

    changed = await browser.post(link["url"], filled(page))
    accepted = await browser.post(link["url"], filled(changed))

    assert changed.status == 409
    assert changed.sees("This offer has changed A price has changed since you opened this page.")
    assert changed.sees("before: $12.00 $14.00")
    assert accepted.status == 303
    assert (await browser.get(accepted.location)).sees("$14.00")


async def test_a_change_of_words_asks_again_too_without_naming_a_price(
    shop: Shop, browser: Browser
):
    link = await a_link(shop)
    page = await browser.get(link["url"])
    await ask(shop, "PATCH", path_of(link), {"description": "Now with honey"})

    changed = await browser.post(link["url"], filled(page))

    assert changed.status == 409
    assert changed.sees("The seller has edited this page")
    assert changed.sees("Now with honey")
    assert not changed.sees("before:")


async def test_a_change_that_also_makes_the_form_wrong_is_told_as_a_change(
    shop: Shop, browser: Browser
):
    """Else the page would come back with a mistake, a new price and a context that takes it."""
    link = await a_link(shop)
    page = await browser.get(link["url"])
    await reprice(shop, link)
    asked = [{"key": "size", "label": "Size", "type": "text", "is_required": True}]
    fields = {"custom_fields": asked}
    await ask(shop, "POST", path_of(link, "/custom-fields/replace"), fields)

    changed = await browser.post(link["url"], filled(page))
    mistaken = await browser.post(link["url"], filled(changed))
    accepted = await browser.post(link["url"], filled(mistaken) | {"field.size": "M"})

    assert (changed.status, mistaken.status, accepted.status) == (409, 422, 303)
    assert changed.sees("before: $12.00 $14.00")
    assert not changed.sees("Size is required")
    assert mistaken.sees("Size is required")


async def test_a_page_without_its_context_shows_what_changed_as_well(shop: Shop, browser: Browser):
    link = await a_link(shop)
    page = await browser.get(link["url"])
    await reprice(shop, link)

    again = await browser.post(link["url"], filled(page) | {"resolution_context": "made.up"})

    assert again.status == 400
    assert again.sees("before: $12.00 $14.00")


async def test_a_page_cannot_be_told_what_was_seen_by_its_address(shop: Shop, browser: Browser):
    link = await a_link(shop)

    page = await browser.get(f'{link["url"]}?seen_prices=%7B"tea":9900%7D&resolution_context=x')

    assert not page.sees("before:")
    assert page.field("resolution_context") != "x"
