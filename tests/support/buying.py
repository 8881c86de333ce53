"""Buying over the API, for tests that need something bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.shops import Shop


@dataclass(frozen=True)
class Bought:
    """What a resolve made."""

    checkout_session_id: str
    order_id: str
    url: str


async def resolve(
    shop: Shop, *, link_id: str | None = None, quantities: Mapping[str, int] | None = None
) -> Bought:
    """A fresh page's context, and a resolve with it."""
    link_id = link_id or shop.demo["links"]["standard"]["payment_link_id"]
    async with shop.api() as http:
        async with http.get(f"/v1/payment-links/{link_id}/public") as answer:
            assert answer.status == 200, await answer.text()
            context = (await answer.json())["data"]["resolution_context"]
        body = {"resolution_context": context, "quantity_overrides": dict(quantities or {})}
        async with http.post(f"/v1/payment-links/{link_id}/resolve", json=body) as answer:
            assert answer.status == 201, await answer.text()
            made = (await answer.json())["data"]
    session = made["checkout_session"]
    return Bought(session["checkout_session_id"], session["order_id"], made["checkout_url"])


async def pay_order(shop: Shop, order_id: str, token: str) -> dict[str, Any]:
    """Pay the whole balance; the order as it is then."""
    async with (
        shop.api() as http,
        http.post(f"/v1/orders/{order_id}/pay", json={"payment_source_token": token}) as answer,
    ):
        assert answer.status == 200, await answer.text()
        order: dict[str, Any] = (await answer.json())["data"]
    return order
