"""Orders over a real database: made, found, listed, changed and closed, in whatever order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.lists import Page
from shared.contracts.orders import (
    CloseOrder,
    CloseOrderParams,
    GetOrder,
    ListOrders,
    Order,
    OrderClosed,
    OrderCreated,
    OrderUnpayable,
    OrderUpdated,
    ReviseOrder,
    ShowOrder,
    TipInput,
)
from shared.errors import Refusal, Unavailable
from shared.ids import new_id
from tests.builders_orders import (
    NOON,
    Shop,
    creating,
    from_page,
    line,
    quick_pay,
    resolved,
    session_attached,
    session_closed,
    session_expired,
    usd,
)

A_SECOND = timedelta(seconds=1)
A_DOLLAR = {"amount": 100, "currency": "USD"}
RICH: dict[str, Any] = {
    "discounts": [{"manual": {"name": "Friends", "amount_money": A_DOLLAR}}],
    "tips": [{"percent": 12.5, "name": "Service", "metadata": {"to": "all"}}],
    "metadata": {"table": "7"},
    "buyer_note": "No sugar.",
    "merchant_note": "Regular.",
}


async def created(shop: Shop, *lines: dict[str, Any], **more: Any) -> Order:
    order = (await shop.tell(creating(*lines, **more))).reply
    assert isinstance(order, Order)
    return order


async def got(shop: Shop, order_id: str) -> Order:
    order = (await shop.desk(GetOrder(order_id=order_id))).reply
    assert isinstance(order, Order)
    return order


async def refused(shop: Shop, message: Any, **to: str) -> str:
    with pytest.raises(Refusal) as refusal:
        await shop.desk(message, **to)
    return refusal.value.code


def closing(order_id: str, reason: str | None = None) -> CloseOrder:
    return CloseOrder(order_id=order_id, params=CloseOrderParams(reason=reason))


async def test_what_was_created_is_what_is_read(shop: Shop):
    customer_id = new_id("cus")
    order = await created(
        shop, line(999, 3, sku="T-1", metadata={"k": "v"}), line(1), customer_id=customer_id, **RICH
    )

    assert await got(shop, order.order_id) == order
    assert (await shop.desk(ShowOrder(order_id=order.order_id))).reply == order
    assert (order.source, order.status, order.customer_id) == ("api", "open", customer_id)
    assert order.net_amounts.total_money == usd(2998 - 100 + 362)  # 12.5 % of 2 898
    assert [type(event) for event in shop.events] == [OrderCreated]


async def test_another_merchant_and_another_mode_see_nothing(shop: Shop):
    order = await created(shop)

    for message in (GetOrder(order_id=order.order_id), closing(order.order_id)):
        for to in ({"merchant_id": "mer_other"}, {"mode": "live"}):
            assert await refused(shop, message, **to) == "RESOURCE_NOT_FOUND"
    other = (await shop.desk(ListOrders(), merchant_id="mer_other")).reply
    assert other == Page[Order](rows=[])


async def test_an_unknown_order_is_not_found(shop: Shop):
    for message in (GetOrder(order_id="ord_none"), ShowOrder(order_id="ord_none")):
        assert await refused(shop, message) == "RESOURCE_NOT_FOUND"


async def test_a_link_resolved_twice_is_one_order(shop: Shop):
    link = resolved(1200, 300, customer={"email": "ada@example.com"})

    await asyncio.gather(*(shop.tell(link) for _ in range(5)))

    assert [event.order_id for event in shop.said(OrderCreated)] == [link.order_id]
    order = await got(shop, link.order_id)
    assert (order.net_amounts.total_money, order.buyer_email) == (usd(1500), "ada@example.com")


async def test_a_quick_pay_session_brings_its_order_once(shop: Shop):
    session = quick_pay(700, customer={"customer_id": new_id("cus")})

    await shop.tell(session)
    await shop.tell(session)

    order = await got(shop, session.order_id)
    assert [type(event) for event in shop.events] == [OrderCreated]
    assert (order.source, order.customer_id) == ("checkout", session.customer.customer_id)
    assert order.checkout_session_ids == [session.checkout_session_id]


async def test_a_session_of_an_order_is_noted_on_it_once(shop: Shop):
    order = await created(shop)
    session = session_attached(order.order_id)

    await shop.tell(session)
    await shop.tell(session)

    order = await got(shop, order.order_id)
    assert order.checkout_session_ids == [session.checkout_session_id]
    assert [one.type for one in order.activities] == ["created", "checkout_session_created"]


async def test_a_session_for_an_order_that_cannot_be_paid_is_told_so(shop: Shop):
    closed = await created(shop)
    await shop.tell(closing(closed.order_id))
    link = resolved()
    await shop.tell(link)
    await shop.tell(from_page(link))
    sessions = [session_attached(one) for one in ("ord_none", closed.order_id, link.order_id)]

    for session in sessions:
        await shop.tell(session)

    told = [(fact.checkout_session_id, fact.reason) for fact in shop.said(OrderUnpayable)]
    ids = [session.checkout_session_id for session in sessions]
    assert told == list(
        zip(ids, ("order_closed", "order_closed", "order_paid_elsewhere"), strict=True)
    )


async def test_the_session_through_which_an_order_was_paid_may_be_heard_of_later(shop: Shop):
    order = await created(shop)
    session = session_attached(order.order_id)
    link = resolved(order_id=order.order_id, checkout_session_id=session.checkout_session_id)

    await shop.tell(from_page(link))
    await shop.tell(session)

    assert shop.said(OrderUnpayable) == []
    assert (await got(shop, order.order_id)).status == "paid"


@pytest.mark.parametrize("ended", [session_expired, session_closed])
async def test_a_link_s_order_is_closed_with_its_page(shop: Shop, ended):
    link = resolved()
    await shop.tell(link)
    event = ended(link.order_id, link.checkout_session_id, link.payment_link_id)

    await shop.tell(event)
    await shop.tell(event)

    assert (await got(shop, link.order_id)).status == "closed"
    assert [type(one) for one in shop.events] == [OrderCreated, OrderClosed]


async def test_an_end_that_comes_before_the_beginning_waits_for_it(shop: Shop):
    link = resolved()
    ended = session_expired(link.order_id, link.checkout_session_id, link.payment_link_id)

    with pytest.raises(Unavailable):
        await shop.tell(ended)
    await shop.tell(link)
    await shop.tell(ended)

    assert (await got(shop, link.order_id)).status == "closed"


async def test_an_order_of_the_merchant_s_own_outlives_its_page(shop: Shop):
    session = quick_pay()
    await shop.tell(session)

    await shop.tell(session_expired(session.order_id, session.checkout_session_id))
    await shop.tell(session_expired("ord_none", session.checkout_session_id))

    order = await got(shop, session.order_id)
    assert (order.status, order.activities[-1].type) == ("open", "checkout_session_expired")


async def test_closing_says_so_once_and_is_kept(shop: Shop):
    order = await created(shop)

    first = (await shop.tell(closing(order.order_id, "Out of tea."))).reply
    again = (await shop.tell(closing(order.order_id, "Again."))).reply

    assert first == again == await got(shop, order.order_id)
    assert (first.status, first.closed_reason) == ("closed", "Out of tea.")
    assert [type(event) for event in shop.events] == [OrderCreated, OrderClosed]


async def test_the_buyer_s_tip_is_kept_with_everything_else(shop: Shop):
    order = await created(shop, line(1000), **RICH)
    asked = ReviseOrder(order_id=order.order_id, expected_revision=1, tip=TipInput(percent=20))

    revised = (await shop.tell(asked)).reply
    assert await refused(shop, asked) == "ORDER_CONFLICT"
    none = ReviseOrder(order_id=order.order_id, expected_revision=2)
    back = (await shop.tell(none)).reply

    assert [tip.amount_money.amount for tip in revised.tips] == [113, 180]  # 112.5 goes up
    assert (revised.revision, revised.net_amounts.tip_money) == (2, usd(293))
    assert (back.revision, back.tips) == (3, order.tips)
    assert await got(shop, order.order_id) == back
    updates = shop.said(OrderUpdated)
    assert [event.previous["revision"] for event in updates] == [1, 2]


async def test_two_buyers_of_one_page_cannot_both_revise_one_revision(shop: Shop):
    order = await created(shop, line(1000))
    tips = [TipInput(percent=percent) for percent in (10, 20, 30)]
    asked = [ReviseOrder(order_id=order.order_id, expected_revision=1, tip=tip) for tip in tips]

    answers = await asyncio.gather(*map(shop.desk, asked), return_exceptions=True)

    assert sum(isinstance(answer, Refusal) for answer in answers) == 2
    assert (await got(shop, order.order_id)).revision == 2


@pytest.mark.parametrize(
    "change",
    [
        "total_minor = total_minor + 1",
        "balance_minor = balance_minor - 1",
        "status = 'paid', paid_attempt_id = 'pi_1'",
        "discount_minor = subtotal_minor + 1",
        "activities = '[]'",
    ],
)
async def test_the_database_refuses_an_order_that_does_not_add_up(shop: Shop, change):
    await created(shop)

    with pytest.raises(Exception, match="violates check constraint"):
        await shop.desk.rows(f"UPDATE orders SET {change} RETURNING id")


async def pages(shop: Shop, **asked: Any) -> list[Order]:
    """All pages of a list; none but the last may be short."""
    rows: list[Order] = []
    after = None
    while True:
        page = (await shop.desk(ListOrders(page_size=2, after=after, **asked))).reply
        rows += page.rows
        if page.next is None:
            return rows
        assert len(page.rows) == 2
        after = page.next


@pytest.mark.parametrize("sort_field", ["created_at", "updated_at", "due_money"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_list_shows_every_order_once_in_its_order(shop: Shop, sort_field, direction):
    for amount in (300, 100, 200, 200, 200):
        await created(shop, line(amount))
        shop.desk.later(1 if amount != 200 else 0)

    rows = await pages(shop, sort_field=sort_field, sort_direction=direction)

    keys = [
        (row.net_amounts.balance_money.amount if sort_field == "due_money" else row.created_at,
         row.order_id)
        for row in rows
    ]  # fmt: skip
    assert len(set(keys)) == 5
    assert keys == sorted(keys, reverse=direction == "desc")


async def test_orders_inserted_meanwhile_do_not_shift_the_pages(shop: Shop):
    for _ in range(3):
        await created(shop)
        shop.desk.later(1)
    first = (await shop.desk(ListOrders(page_size=2))).reply
    await created(shop)

    second = (await shop.desk(ListOrders(page_size=2, after=first.next))).reply

    assert len({row.order_id for row in (*first.rows, *second.rows)}) == 3
    assert second.next is None


async def test_a_list_is_filtered_by_what_the_api_names(shop: Shop):
    customer_id = new_id("cus")
    order = await created(shop, customer_id=customer_id)
    closed = await created(shop, line(1))
    await shop.tell(closing(closed.order_id))
    link = resolved()
    await shop.tell(link)

    async def found(**asked: Any) -> list[str]:
        return [row.order_id for row in await pages(shop, **asked)]

    assert await found(customer_id=customer_id) == [order.order_id]
    assert await found(status="closed") == [closed.order_id]
    assert await found(source="payment_link") == [link.order_id]
    assert await found(order_number=order.order_number) == [order.order_id]
    assert await found(subscription_id="sub_1") == []
    assert await found(created_after=shop.desk.now) == []
    assert len(await found(updated_after=NOON - A_SECOND, created_before=NOON + A_SECOND)) == 3


@pytest.mark.parametrize(
    "query, finds",
    [
        ("green", True),
        ("GREEN TEA", True),
        ("T-42", True),
        ("100% leaf", True),
        ("ada@", True),
        ("%", True),
        ("g_een", False),
        ("black", False),
    ],
)
async def test_a_query_is_a_substring_and_nothing_more(shop: Shop, query, finds):
    tea = line(1, name="Green Tea", sku="t-42", description="100% leaf")
    order = await created(shop, tea)
    await shop.tell(from_page(resolved(order_id=order.order_id)))
    await created(shop, line(1, name="Water"))

    rows = await pages(shop, query=query)

    assert [row.order_id for row in rows] == ([order.order_id] if finds else [])


async def test_a_list_cannot_be_sorted_by_anything_else(shop: Shop):
    assert await refused(shop, ListOrders(sort_field="merchant_id")) == "INVALID_VALUE"
