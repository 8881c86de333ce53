"""The API over the whole shop: who may see what, and what happens once however often asked."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.gateway.app import OPERATIONS
from shared.db.pool import open_pool
from tests.builders_gateway import NOON
from tests.builders_plans import club
from tests.support.buying import resolve
from tests.support.selling import ask
from tests.support.shops import Shop

PRICE = {"amount": 1250, "currency": "USD"}
QUICK = {"quick_pay": {"name": "Table 12", "amount_money": PRICE}}


async def strangers_keys(shop: Shop) -> dict[str, str]:
    """A key of another merchant, and a key of the same merchant's other mode."""
    pool = await open_pool(shop.database_url("gateway"), name="gateway", size=1)
    try:
        other = await create_merchant(pool, "Somebody Else", NOON)
        _, others = await create_api_key(pool, other, "test", ["all"], "tests")
        async with pool.acquire() as db:
            mine = await db.fetchval(
                "SELECT merchant_id FROM api_keys WHERE key_prefix = $1", shop.api_key[:19]
            )
        _, live = await create_api_key(pool, mine, "live", ["all"], "tests")
    finally:
        await pool.close()
    return {"merchant": others, "mode": live}


async def asked(
    http: aiohttp.ClientSession, method: str, path: str, **kwargs: Any
) -> tuple[int, dict[str, Any]]:
    async with http.request(method, path, **kwargs) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("whose", ["merchant", "mode"])
async def test_nothing_of_one_merchant_or_mode_is_visible_from_another(shop: Shop, whose: str):
    bought = await resolve(shop)
    plan = await ask(shop, "POST", "/v1/subscription-plans", club())
    ids = {
        "plan_id": plan["plan_id"],
        "payment_link_id": shop.demo["links"]["standard"]["payment_link_id"],
        "checkout_session_id": bought.checkout_session_id,
        "order_id": bought.order_id,
        "slug": shop.demo["links"]["standard"]["url"].rpartition("/")[2],
    }
    secret = (await strangers_keys(shop))[whose]
    headers = {"Authorization": f"Bearer {secret}"}

    seen = {}
    async with aiohttp.ClientSession(shop.url, headers=headers) as http:
        for operation in OPERATIONS:
            if not operation.scope or not (operation.path_ids or operation.is_list):
                continue
            path = operation.path.format(**ids)
            body: dict[str, Any] = {"json": {}} if operation.is_write else {}
            status, told = await asked(http, operation.method, path, **body)
            seen[operation.id] = told["data"] if operation.is_list else status
        _, told = await asked(
            http, "POST", "/v1/checkout-sessions", json={"order_id": bought.order_id}
        )

        body = {"name": "Club", "plan_id": plan["plan_id"]}
        _, no_plan = await asked(http, "POST", "/v1/payment-links", json=body)

    assert {name: found for name, found in seen.items() if found not in (404, [])} == {}
    assert told["error"]["code"] == no_plan["error"]["code"] == "RESOURCE_NOT_FOUND"


async def test_fifty_requests_under_one_key_are_one_order(shop: Shop):
    body = {"line_items": [{"name": "Tea", "quantity": 1, "unit_price_money": PRICE}]}
    headers = {"Idempotency-Key": f"once-{shop.kind}"}

    async with shop.api() as http:
        answers = await asyncio.gather(
            *(asked(http, "POST", "/v1/orders", json=body, headers=headers) for _ in range(50))
        )
        last = await asked(http, "POST", "/v1/orders", json=body, headers=headers)
        other = await asked(http, "POST", "/v1/orders", json={}, headers=headers)

    ids = {told["data"]["order_id"] for status, told in answers if status == 201}
    busy = {told["error"]["code"] for status, told in answers if status == 409}
    fresh = [told for status, told in answers if status == 201 and "meta" not in told]
    assert len(ids) == 1
    assert len(fresh) == 1
    assert busy <= {"IDEMPOTENCY_KEY_IN_PROGRESS"}
    assert (last[0], last[1]["meta"]) == (201, {"idempotency_replayed": True})
    assert (other[0], other[1]["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_a_refusal_under_a_key_is_kept_and_a_wrong_body_is_not(shop: Shop):
    headers = {"Idempotency-Key": f"no-{shop.kind}"}
    path = "/v1/checkout-sessions"

    async with shop.api() as http:
        wrong = await asked(http, "POST", path, json={"nothing": 1}, headers=headers)
        first = await asked(http, "POST", path, json={}, headers=headers)
        again = await asked(http, "POST", path, json={}, headers=headers)

    assert wrong[1]["error"]["code"] == "UNKNOWN_FIELD"
    assert first[1]["error"]["code"] == again[1]["error"]["code"] == "FIELD_REQUIRED"


async def test_a_double_click_is_one_session_and_other_choices_are_another(shop: Shop):
    link = f"/v1/payment-links/{shop.demo['links']['standard']['payment_link_id']}"

    async with shop.api() as http:
        _, shown = await asked(http, "GET", f"{link}/public")
        context = shown["data"]["resolution_context"]
        one = {"resolution_context": context, "quantity_overrides": {"tin": 1}}
        two = {"resolution_context": context, "quantity_overrides": {"tin": 2}}
        answers = [
            await asked(http, "POST", f"{link}/resolve", json=body) for body in (one, one, two)
        ]

    assert [status for status, _ in answers] == [201] * 3
    first, again, other = (
        told["data"]["checkout_session"]["checkout_session_id"] for _, told in answers
    )
    assert first == again != other


async def test_a_quick_payments_order_is_there_as_soon_as_its_session(shop: Shop):
    async with shop.api() as http:
        for _ in range(10):
            status, made = await asked(http, "POST", "/v1/checkout-sessions", json=QUICK)
            read, order = await asked(http, "GET", f"/v1/orders/{made['data']['order_id']}")

            assert (status, read) == (201, 200)
            assert order["data"]["net_amounts"]["balance_money"] == PRICE


async def test_a_paid_order_takes_no_new_session_but_an_old_answer_stands(shop: Shop):
    body = {"line_items": [{"name": "Tea", "quantity": 1, "unit_price_money": PRICE}]}
    headers = {"Idempotency-Key": f"session-{shop.kind}"}

    async with shop.api() as http:
        _, order = await asked(http, "POST", "/v1/orders", json=body)
        session = {"order_id": order["data"]["order_id"]}
        pay = f"/v1/orders/{session['order_id']}/pay"
        path = "/v1/checkout-sessions"
        first = await asked(http, "POST", path, json=session, headers=headers)
        paid = await asked(http, "POST", pay, json={"payment_source_token": "tok_visa"})
        again = await asked(http, "POST", path, json=session, headers=headers)
        other = await asked(http, "POST", path, json=session)

    assert (first[0], paid[1]["data"]["status"]) == (201, "paid")
    assert again[0] == 201
    assert again[1]["data"]["checkout_session_id"] == first[1]["data"]["checkout_session_id"]
    assert (other[0], other[1]["error"]["code"]) == (409, "ORDER_CLOSED")


async def test_paying_under_a_key_charges_once_and_tells_the_same(shop: Shop):
    body = {"line_items": [{"name": "Tea", "quantity": 1, "unit_price_money": PRICE}]}

    async with shop.api() as http:
        _, order = await asked(http, "POST", "/v1/orders", json=body)
        pay = f"/v1/orders/{order['data']['order_id']}/pay"
        token = {"payment_source_token": "tok_visa"}
        answers = await asyncio.gather(
            *(
                asked(http, "POST", pay, json=token, headers={"Idempotency-Key": "p"})
                for _ in range(10)
            )
        )
        _, order = await asked(http, "GET", f"/v1/orders/{order['data']['order_id']}")

    assert {status for status, _ in answers} <= {200, 409}
    assert {told["data"]["status"] for status, told in answers if status == 200} == {"paid"}
    assert len(order["data"]["payment_intent_ids"]) == 1


async def test_a_payment_that_needs_the_buyer_stays_open_with_a_place_to_go(shop: Shop):
    bought = await resolve(shop)

    async with shop.api() as http:
        path = f"/v1/orders/{bought.order_id}/pay"
        status, told = await asked(http, "POST", path, json={"payment_source_token": "tok_3ds"})

    assert (status, told["data"]["status"]) == (200, "open")
    (action,) = told["pending_actions"]
    assert action["redirect_url"].startswith(shop.url)
