"""The whole shop over its API, once per transport: the main path, end to end."""

from __future__ import annotations

from tests.support.buying import pay_order, resolve
from tests.support.shops import Shop


async def test_a_link_is_resolved_and_its_order_paid(shop: Shop) -> None:
    bought = await resolve(shop, quantities={"tin": 3})

    paid = await pay_order(shop, bought.order_id, "tok_visa")

    assert paid["status"] == "paid"
    assert paid["net_amounts"]["paid_money"] == {"amount": 3600, "currency": "USD"}


async def test_a_declined_card_leaves_the_order_payable(shop: Shop) -> None:
    bought = await resolve(shop)

    async with shop.api() as http:
        answer = await http.post(
            f"/v1/orders/{bought.order_id}/pay", json={"payment_source_token": "tok_declined"}
        )
        error = (await answer.json())["error"]
    paid = await pay_order(shop, bought.order_id, "tok_visa")

    assert (answer.status, error["code"]) == (422, "card_declined")
    assert paid["status"] == "paid"
