"""A merchant's side of a test, over the API: links to sell by, and what became of the orders."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final
from uuid import uuid4

from tests.support.shops import Shop

TEA: Final[dict[str, Any]] = {
    "key": "tea",
    "name": "Tea",
    "amount_money": {"amount": 1200, "currency": "USD"},
}


async def ask(
    shop: Shop, method: str, path: str, body: Any = None, *, seconds: float = 0.0
) -> dict[str, Any]:
    """One request with the shop's key; the `data` of its answer, which has to be good.

    A 503 is asked again for so many `seconds`, as the API advises: with the same Idempotency-Key.
    """
    headers, deadline = {"Idempotency-Key": uuid4().hex}, time.monotonic() + seconds
    while True:
        async with (
            shop.api() as http,
            http.request(method, path, json=body, headers=headers) as answer,
        ):
            text = await answer.text()
        if answer.status in (200, 201):
            data: dict[str, Any] = json.loads(text)["data"]
            return data
        assert answer.status == 503, text
        assert time.monotonic() < deadline, text
        await asyncio.sleep(0.1)


async def a_link(shop: Shop, *, seconds: float = 0.0, **params: Any) -> dict[str, Any]:
    """A new payment link: one tea for 12 dollars unless said otherwise."""
    body = {"name": "Tea", **({} if params.get("mode") == "donation" else {"line_items": [TEA]})}
    return await ask(shop, "POST", "/v1/payment-links", body | params, seconds=seconds)


async def a_session(shop: Shop, **params: Any) -> dict[str, Any]:
    """A new session: a quick payment of 12 dollars unless said otherwise."""
    quick = {"name": "Tea", "amount_money": {"amount": 1200, "currency": "USD"}}
    origin = {} if "order_id" in params else {"quick_pay": quick}
    return await ask(shop, "POST", "/v1/checkout-sessions", origin | params)


async def session(shop: Shop, checkout_session_id: str) -> dict[str, Any]:
    """A session as it is now."""
    return await ask(shop, "GET", f"/v1/checkout-sessions/{checkout_session_id}")


async def order_of(shop: Shop, checkout_session_id: str) -> dict[str, Any]:
    """The order that a session is for."""
    order_id = (await session(shop, checkout_session_id))["order_id"]
    return await ask(shop, "GET", f"/v1/orders/{order_id}")


def payments_of(order: dict[str, Any]) -> list[int]:
    """The payments in an order's history, in minor units."""
    return [
        -activity["balance_delta"]["amount"]
        for activity in order["activities"]
        if activity["type"] == "payment"
    ]
