"""Tickets: a paid order of an event gets one for each of its seats. Pure.

Numbers come from the register, as many as are `due`; whatever was not paid by this move gets none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.orders.ordering.domain import Moment, Sale
from services.orders.payments.answers import Move
from shared.contracts.base import Event
from shared.contracts.orders import OrderLineItem, OrderPaid
from shared.contracts.tickets import Ticket, TicketIssued


def due(move: Move) -> int:
    """How many tickets this move has to issue: the seats of an order that it has just paid."""
    is_paid = any(isinstance(fact, OrderPaid) for fact in move.facts)
    if not is_paid or move.sale.order.event is None:
        return 0
    return move.sale.quantity_sold


def issued(move: Move, ids: Sequence[str], first_number: int, at: Moment) -> Move:
    """The same move with its tickets, on the order and in what is said of it."""
    seats = zip(_seats(move.sale), ids, strict=True)
    tickets = [
        _ticket(move.sale, line, ticket_id, number, at)
        for number, (line, ticket_id) in enumerate(seats, start=first_number)
    ]
    order = move.sale.order.model_copy(update={"tickets": tickets})
    facts = [_with_tickets(fact, tickets) for fact in move.facts]
    told = [TicketIssued(**vars(ticket)) for ticket in tickets]
    return replace(move, sale=replace(move.sale, order=order), facts=[*facts, *told])


def _seats(sale: Sale) -> Iterator[OrderLineItem]:
    """Each line as often as it was bought, in the order's own order."""
    lines = (line for line in sale.order.line_items if line.order_line_item_id in sale.line_keys)
    return (line for line in lines for _ in range(line.quantity))


def _ticket(sale: Sale, line: OrderLineItem, ticket_id: str, number: int, at: Moment) -> Ticket:
    order = sale.order
    assert order.event is not None, "only an event has seats"
    assert order.payment_link_id is not None, "only a link sells an event"
    return Ticket(
        ticket_id=ticket_id,
        code=f"{sale.ticket_prefix}-{number:06d}",
        number=number,
        name=line.name,
        event=order.event,
        order_id=order.order_id,
        order_line_item_id=line.order_line_item_id,
        payment_link_id=order.payment_link_id,
        merchant_id=order.merchant_id,
        mode_environment=order.mode_environment,
        issued_at=at.now,
    )


def _with_tickets(fact: Event, tickets: Sequence[Ticket]) -> Event:
    if not isinstance(fact, OrderPaid):
        return fact
    previous = fact.previous | {"tickets": []}
    return fact.model_copy(update={"tickets": tickets, "previous": previous})
