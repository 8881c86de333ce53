"""Tickets: one for each paid seat, numbered without a gap, whatever comes twice or at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.orders.payments import store as payments
from shared.contracts.links import LinkResolved, Offer, OfferLine, TicketedEvent
from shared.contracts.orders import GetOrder, Order, OrderPaid
from shared.contracts.payments import ChargePayment, ChargeSettled
from shared.contracts.tickets import Ticket, TicketIssued
from shared.ids import new_ulid
from tests.builders_orders import NOON, Shop, from_page, resolved, usd

GALA = f"pl_{new_ulid()}"
EVENT = TicketedEvent(
    name="Winter gala",
    event_date=NOON + timedelta(days=30),
    timezone="Europe/Berlin",
    location="Concert hall",
)


def choosing(
    *seats: int, link_id: str = GALA, prefix: str = "GALA", amount: int = 2500, **more: Any
) -> LinkResolved:
    """A buyer took so many tickets of each tier."""
    lines = [
        OfferLine(key=f"tier-{n}", name=f"Tier {n}", quantity=count, unit_price_money=usd(amount))
        for n, count in enumerate(seats, 1)
    ]
    offer = Offer(
        name="Gala", currency="USD", lines=lines, event=EVENT, ticket_prefix=prefix, **more
    )
    return resolved(payment_link_id=link_id, offer=offer)


async def bought(shop: Shop, link: LinkResolved, token: str | None = "tok_visa") -> Order:
    await shop.tell(link)
    await shop.tell(from_page(link, token))
    order: Order = (await shop.desk(GetOrder(order_id=link.order_id))).reply
    return order


def codes(tickets: list[Ticket]) -> list[str]:
    return [ticket.code for ticket in tickets]


async def test_a_paid_order_has_a_ticket_for_each_seat_and_says_so_of_each(shop: Shop):
    order = await bought(shop, choosing(2, 1))

    assert codes(order.tickets) == ["GALA-000001", "GALA-000002", "GALA-000003"]
    assert [ticket.name for ticket in order.tickets] == ["Tier 1", "Tier 1", "Tier 2"]
    assert [ticket.order_line_item_id for ticket in order.tickets] == [
        order.line_items[0].order_line_item_id,
        order.line_items[0].order_line_item_id,
        order.line_items[1].order_line_item_id,
    ]
    assert {ticket.event for ticket in order.tickets} == {EVENT}
    (paid,) = shop.said(OrderPaid)
    assert (paid.tickets, paid.previous["tickets"]) == (order.tickets, [])
    issued = shop.said(TicketIssued)
    assert [Ticket(**vars(one)) for one in issued] == order.tickets
    assert len({one.ticket_id for one in issued}) == 3


async def test_the_next_order_goes_on_where_the_last_one_ended_and_each_link_counts_alone(
    shop: Shop,
):
    first = await bought(shop, choosing(2))
    other = await bought(shop, choosing(1, link_id=f"pl_{new_ulid()}", prefix="JAZZ"))
    second = await bought(shop, choosing(1))

    assert codes(first.tickets) == ["GALA-000001", "GALA-000002"]
    assert codes(other.tickets) == ["JAZZ-000001"]
    assert codes(second.tickets) == ["GALA-000003"]


@pytest.mark.parametrize("token", ["tok_declined", "tok_3ds", "tok_unknown"])
async def test_what_is_not_paid_has_no_ticket_and_takes_no_number(shop: Shop, token: str):
    unpaid = await bought(shop, choosing(2), token)
    paid = await bought(shop, choosing(1))

    assert unpaid.tickets == []
    assert codes(paid.tickets) == ["GALA-000001"]


async def test_a_free_order_has_tickets_with_and_without_a_place_to_claim(shop: Shop):
    free = await bought(shop, choosing(1, amount=0), None)
    limited = await bought(shop, choosing(2, amount=0, is_limited=True), None)

    assert codes([*free.tickets, *limited.tickets]) == ["GALA-000001", "GALA-000002", "GALA-000003"]


async def test_an_order_whose_place_was_gone_has_no_ticket(shop: Shop):
    shop.refuses = lambda _: "EVENT_SOLD_OUT"

    order = await bought(shop, choosing(2, is_limited=True))

    assert (order.status, order.tickets) == ("open", [])
    assert await shop.desk.rows("SELECT 1 FROM ticket_counters") == []


async def test_good_news_twenty_times_at_once_issues_once(shop: Shop):
    link = choosing(3)
    await shop.tell(link)
    told = await shop.desk(from_page(link))
    (charge,) = [one for one in told.messages if isinstance(one, ChargePayment)]
    settled = await shop.desk.room.effects[ChargePayment](charge)
    assert isinstance(settled, ChargeSettled)

    await asyncio.gather(*(shop.tell(settled) for _ in range(20)))

    assert [one.number for one in shop.said(TicketIssued)] == [1, 2, 3]
    (counter,) = await shop.desk.rows("SELECT issued FROM ticket_counters")
    assert counter["issued"] == 3


async def test_many_buyers_at_once_get_every_number_once(shop: Shop):
    links = [choosing(1 + number % 3) for number in range(24)]

    orders = await asyncio.gather(*(bought(shop, link) for link in links))

    numbers = [ticket.number for order in orders for ticket in order.tickets]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) == sum(1 + number % 3 for number in range(24))
    for order in orders:
        mine = [ticket.number for ticket in order.tickets]
        assert mine == list(range(mine[0], mine[0] + len(mine))), "seats together"
    register = await shop.desk.rows("SELECT number, order_id FROM tickets ORDER BY number")
    assert {row["number"]: row["order_id"] for row in register} == {
        ticket.number: order.order_id for order in orders for ticket in order.tickets
    }


async def test_a_payment_that_is_undone_leaves_no_gap(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    async def breaks(*_: Any, **__: Any) -> None:
        raise ConnectionError("the database is gone")

    link = choosing(2)
    await shop.tell(link)
    with monkeypatch.context() as broken:
        broken.setattr(payments, "save_move", breaks)
        with pytest.raises(ConnectionError):
            await shop.tell(from_page(link))

    after = await bought(shop, choosing(1))

    assert codes(after.tickets) == ["GALA-000001"]


async def test_what_is_no_event_has_no_tickets(shop: Shop):
    order = await bought(shop, resolved(1200))

    assert order.tickets == []
    assert shop.said(TicketIssued) == []
