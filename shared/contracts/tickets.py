"""Tickets: one for each seat of a paid order, numbered without a gap per link. Orders owns them."""

from __future__ import annotations

from shared.contracts.base import Event
from shared.contracts.links import TicketedEvent
from shared.contracts.types import ModeEnvironment, Resource, Time


class Ticket(Resource):
    """One seat. `code` is for people (`GALA-000347`), `ticket_id` is what nobody can guess."""

    ticket_id: str
    code: str
    number: int
    name: str  # of the tier
    event: TicketedEvent
    order_id: str
    order_line_item_id: str
    payment_link_id: str
    merchant_id: str
    mode_environment: ModeEnvironment
    issued_at: Time


class TicketIssued(Ticket, Event, topic="ticket.issued", subject="ticket_id"):
    """A seat was paid for."""
