"""A merchant changes a link while buyers and other merchants are at it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from shared.db.pool import open_pool
from tests.support.buying import pay_order, resolve
from tests.support.plain_browser import Browser, a_browser, filled, settled
from tests.support.rigs import eventually
from tests.support.selling import TEA, a_link, ask, session
from tests.support.shops import Shop

Json = dict[str, Any]
WRITERS: Final = 8
WRITES: Final[dict[str, tuple[str, str, Callable[[int], Json]]]] = {
    "patch": ("PATCH", "", lambda number: {"name": f"Tea {number}"}),
    "lines": (
        "POST",
        "/line-items/replace",
        lambda number: {"line_items": [TEA | {"name": f"Tea {number}"}]},
    ),
    "fields": (
        "POST",
        "/custom-fields/replace",
        lambda number: {
            "custom_fields": [{"key": "note", "label": f"Note {number}", "type": "text"}]
        },
    ),
}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


def where(link: Json, action: str = "") -> str:
    return f"/v1/payment-links/{link['payment_link_id']}{action}"


async def tried(shop: Shop, method: str, path: str, body: Json) -> tuple[int, Json]:
    async with shop.api() as http, http.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def facts_of(shop: Shop, link: Json, count: int) -> list[Json]:
    """The link's own facts by sequence, once there are so many of them."""
    pool = await open_pool(shop.database_url("gateway"), name="test", size=1)

    async def said() -> list[Any] | None:
        rows = await pool.fetch(
            "SELECT type, sequence, data::text FROM events WHERE subject = $1 ORDER BY sequence",
            link["payment_link_id"],
        )
        return rows if len(rows) >= count else None

    try:
        rows = await eventually(said)
    finally:
        await pool.close()
    assert [row["sequence"] for row in rows] == list(range(1, count + 1)), "gapless"
    return [json.loads(row["data"]) | {"type": row["type"]} for row in rows]


@pytest.mark.parametrize("write", WRITES)
async def test_of_many_who_write_against_one_version_exactly_one_wins(shop: Shop, write: str):
    link = await a_link(shop)
    method, action, body_of = WRITES[write]

    answers = await asyncio.gather(
        *(
            tried(shop, method, where(link, action), body_of(number) | {"expected_version": 1})
            for number in range(WRITERS)
        )
    )

    won = [told["data"] for status, told in answers if status == 200]
    lost = [told["error"] for status, told in answers if status == 409]
    assert (len(won), len(lost)) == (1, WRITERS - 1)
    assert {(error["code"], error["param"]) for error in lost} == {
        ("PAYMENT_LINK_CHANGED_RETRY", "expected_version")
    }
    now = await ask(shop, "GET", where(link))
    assert (now, now["version"]) == (won[0], 2)


async def test_who_names_no_version_never_loses_and_every_change_is_a_version(shop: Shop):
    link = await a_link(shop)

    await asyncio.gather(
        *(
            ask(shop, "PATCH", where(link), {"metadata": {f"writer-{number}": "was here"}})
            for number in range(WRITERS)
        )
    )

    now = await ask(shop, "GET", where(link))
    assert len(now["metadata"]) == WRITERS
    assert now["version"] == 1 + WRITERS


async def test_each_fact_says_what_changed_so_that_the_past_can_be_told_from_it(shop: Shop):
    link = await a_link(shop, max_completions=1, theme={"title": "Teas"})
    for method, action, body in (
        ("PATCH", "", {"name": "Green tea", "theme": {"primary_color": "#112233"}}),
        ("PATCH", "", {"theme": {"title": None}, "description": "Leaves"}),
        ("POST", "/line-items/replace", {"line_items": [TEA | {"quantity": 3}]}),
        (
            "POST",
            "/custom-fields/replace",
            {"custom_fields": [{"key": "a", "label": "A", "type": "text"}]},
        ),
        ("POST", "/deactivate", {}),
        ("POST", "/deactivate", {}),
        ("POST", "/activate", {}),
        ("PATCH", "", {"clear_max_completions": True, "metadata": {"a": "b"}}),
        ("PATCH", "", {"name": "Green tea"}),
    ):
        await ask(shop, method, where(link, action), body)

    facts = await facts_of(shop, link, 8)

    assert [fact["type"].removeprefix("link.") for fact in facts] == [
        "created", "updated", "updated", "updated", "updated", "deactivated", "activated",
        "updated",
    ]  # fmt: skip
    for before, after in pairwise(facts):
        assert set(after["previous"]) >= {"version"}
        assert rewound(after) == plain(before)
    assert facts[1]["previous"]["name"] == "Tea"
    assert facts[5]["previous"]["status"] == "active"
    assert facts[7]["previous"]["max_completions"] == 1


def plain(fact: Json) -> Json:
    """The resource in a fact, without what tells of the moment."""
    aside = ("previous", "type", "updated_at", "close_open_sessions")
    return {name: value for name, value in fact.items() if name not in aside}


def rewound(fact: Json) -> Json:
    """The resource as it was before the fact."""
    was = plain(fact) | fact["previous"]
    return {name: value for name, value in was.items() if value is not None}


async def test_an_open_session_keeps_the_prices_and_configs_it_froze(shop: Shop):
    link = await a_link(shop, theme={"title": "Teas"}, metadata={"a": "b"})
    bought = await resolve(shop, link_id=link["payment_link_id"])
    frozen = await session(shop, bought.checkout_session_id)

    await ask(shop, "PATCH", where(link), {"theme": {"title": "Coffees"}, "name": "Coffee"})
    dearer = TEA | {"amount_money": {"amount": 9900, "currency": "USD"}}
    await ask(shop, "POST", where(link, "/line-items/replace"), {"line_items": [dearer]})

    assert await session(shop, bought.checkout_session_id) == frozen
    paid = await pay_order(shop, bought.order_id, "tok_visa")
    assert paid["net_amounts"]["paid_money"]["amount"] == 1200
    again = await resolve(shop, link_id=link["payment_link_id"])
    assert (await session(shop, again.checkout_session_id))["amount_money"]["amount"] == 9900


async def test_a_page_closes_when_its_event_ends_as_it_was_when_it_was_opened(shop: Shop):
    begin, end = (datetime.now(UTC) + timedelta(minutes=n) for n in (-60, 10))
    dates = {"event_date": begin.isoformat(), "event_end_date": end.isoformat()}
    link = await a_link(shop, mode="event", event_config=dates)
    bought = await resolve(shop, link_id=link["payment_link_id"])

    later = {"event_end_date": (end + timedelta(hours=1)).isoformat()}
    await ask(shop, "PATCH", where(link), {"event_config": later})

    opened = await session(shop, bought.checkout_session_id)
    assert abs(datetime.fromisoformat(opened["expires_at"]) - end) < timedelta(milliseconds=1)
    order = await ask(shop, "GET", f"/v1/orders/{bought.order_id}")
    assert order["event"]["event_end_date"] == opened["expires_at"]
    assert order["tickets"] == []


async def test_a_deactivated_link_lets_its_buyers_finish(shop: Shop):
    link = await a_link(shop)
    bought = await resolve(shop, link_id=link["payment_link_id"])

    await ask(shop, "POST", where(link, "/deactivate"))

    assert (await session(shop, bought.checkout_session_id))["status"] == "open"
    assert (await pay_order(shop, bought.order_id, "tok_visa"))["status"] == "paid"
    await ask(shop, "POST", where(link, "/activate"))
    assert (await resolve(shop, link_id=link["payment_link_id"])).order_id != bought.order_id


async def test_closing_takes_the_idle_sessions_along_and_never_one_that_pays(
    shop: Shop, browser: Browser
):
    link = await a_link(shop)
    idle, paying = [await resolve(shop, link_id=link["payment_link_id"]) for _ in range(2)]
    path = f"/c/{paying.checkout_session_id}"
    form = filled(await browser.get(path), card_number="4000000000000077")
    assert (await browser.post(f"{path}/pay", form)).status in (200, 303)
    assert (await session(shop, paying.checkout_session_id))["is_payment_in_progress"]

    await ask(shop, "POST", where(link, "/deactivate"), {"close_open_sessions": True})

    async def closed() -> bool:
        found = await session(shop, idle.checkout_session_id)
        return bool(found["status"] == "closed")

    await eventually(closed)
    assert (await session(shop, paying.checkout_session_id))["status"] == "open"
    assert (await settled(browser, path))["status"] == "paid"
    order = await ask(shop, "GET", f"/v1/orders/{idle.order_id}")
    assert order["status"] == "closed", "a link's order is closed with its last session"


@pytest.mark.parametrize("name", ["mode", "plan_id", "line_items", "custom_fields", "slug"])
async def test_what_is_fixed_or_has_a_call_of_its_own_is_no_field_of_a_patch(
    local_shop: Shop, name: str
):
    link = await a_link(local_shop)
    body: Json = {name: []}

    status, told = await tried(local_shop, "PATCH", where(link), body)

    assert (status, told["error"]["code"], told["error"]["param"]) == (400, "UNKNOWN_FIELD", name)
    assert (await ask(local_shop, "GET", where(link)))["version"] == 1


async def test_a_stale_or_wrong_patch_changes_nothing_at_all(local_shop: Shop):
    link = await a_link(local_shop, max_completions=5)

    for body, code in (
        ({"name": "New", "expected_version": 2}, "PAYMENT_LINK_CHANGED_RETRY"),
        ({"name": "New", "max_completions": 3, "clear_max_completions": True}, "INVALID_VALUE"),
        ({"name": "New", "customer": {"customer_id": f"cus_{'0' * 26}"}},
         "LINK_CUSTOMER_NOT_ALLOWED"),
        ({"name": None}, "FIELD_REQUIRED"),
    ):  # fmt: skip
        status, told = await tried(local_shop, "PATCH", where(link), body)
        assert status in (400, 409)
        assert told["error"]["code"] == code

    assert await ask(local_shop, "GET", where(link)) == link


async def test_a_cap_lowered_below_what_is_sold_is_taken_and_says_so(shop: Shop):
    link = await a_link(shop, max_completions=3)
    for _ in range(2):
        bought = await resolve(shop, link_id=link["payment_link_id"])
        await pay_order(shop, bought.order_id, "tok_visa")

    async def counted() -> bool:
        return bool((await ask(shop, "GET", where(link)))["completed_count"] == 2)

    await eventually(counted)
    lowered = await ask(shop, "PATCH", where(link), {"max_completions": 1})
    shown = await ask(shop, "GET", where(link, "/public"))
    raised = await ask(shop, "PATCH", where(link), {"max_completions": 5})

    assert (lowered["is_sold_out"], lowered["remaining_quantity"]) == (True, 0)
    assert shown["unavailable_reason"] == "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    assert (raised["is_sold_out"], raised["remaining_quantity"]) == (False, 3)
    facts = await facts_of(shop, link, 5)
    assert [fact["type"] for fact in facts[1:]] == [
        "link.updated", "link.exhausted", "link.updated", "link.reopened",
    ]  # fmt: skip
