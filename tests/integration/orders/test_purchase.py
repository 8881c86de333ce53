"""The walk of a purchase through orders: resolved, paid, charged, settled."""

from __future__ import annotations

from shared.contracts.orders import GetOrder, OrderCreated, OrderPaid
from shared.contracts.payments import (
    GetPaymentIntent,
    PaymentIntentProcessing,
    PaymentIntentSucceeded,
)
from tests.builders_orders import Shop, from_page, resolved, usd


async def test_a_buyer_of_a_link_pays_once_and_everybody_hears_it(shop: Shop):
    link = resolved(1200, 300)
    await shop.tell(link)
    pay = from_page(link, expected_amount_money=usd(1500))

    await shop.tell(pay)

    assert [type(event) for event in shop.events] == [
        OrderCreated,
        PaymentIntentProcessing,
        PaymentIntentSucceeded,
        OrderPaid,
    ]
    (paid,) = shop.said(OrderPaid)
    assert (paid.attempt_id, paid.paid_session_id) == (pay.attempt_id, link.checkout_session_id)
    assert (paid.payment_link_id, paid.quantity_sold) == (link.payment_link_id, 2)
    assert paid.line_quantities == {"line-1": 1, "line-2": 1}
    order = (await shop.desk(GetOrder(order_id=link.order_id))).reply
    assert (order.status, order.buyer_email) == ("paid", "ada@example.com")
    assert order.net_amounts.paid_money == usd(1500)
    assert order.net_amounts.balance_money == usd(0)
    assert [(one.type, one.balance_delta.amount) for one in order.activities] == [
        ("created", 1500),
        ("payment_intent_created", 0),
        ("payment", -1500),
    ]
    intent = (await shop.desk(GetPaymentIntent(payment_intent_id=pay.attempt_id))).reply
    assert (intent.status, intent.payment_method_last_four) == ("succeeded", "4242")
    assert [one.kind async for one in shop.sandbox.entries()] == ["charge"]
