"""The tickets of a paid order as pages show them, and its event as a calendar file (RFC 5545).

What a code says to a scanner is for people and for programs: `GALA-000347 tkt_01…`. The first is
read aloud at the door; the second cannot be guessed from the ticket before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from services.gateway.pages import views
from shared.contracts.links import TicketedEvent
from shared.contracts.orders import Order
from shared.contracts.tickets import Ticket

CALENDAR_TYPE: Final = "text/calendar"
PRODUCT: Final = "-//Flint//Flint//EN"


def shown(tickets: Sequence[Ticket]) -> tuple[views.Ticket, ...]:
    """Each ticket with what its QR code says."""
    return tuple(
        views.Ticket(code=one.code, name=one.name, scanned=f"{one.code} {one.ticket_id}")
        for one in tickets
    )


def event_of(order: Order) -> TicketedEvent | None:
    """What the order's tickets admit to."""
    return order.tickets[0].event if order.tickets else None


def shown_event(event: TicketedEvent) -> views.Event:
    """When and where, as it was when the tickets were offered."""
    return views.Event(
        starts_at=event.event_date,
        ends_at=event.event_end_date,
        timezone=event.timezone,
        location=event.location or "",
    )


def calendar(order: Order, event: TicketedEvent, receipt_url: str) -> bytes | None:
    """The event as a file that every calendar takes; None for an event without a date."""
    if event.event_date is None:
        return None
    from icalendar import Calendar, Event  # 55 ms, for the few who ask

    zone, issued_at = ZoneInfo(event.timezone), order.tickets[0].issued_at
    entry = Event()
    entry.add("uid", f"{order.order_id}@{urlsplit(receipt_url).hostname}")
    entry.add("dtstamp", issued_at)
    entry.add("summary", event.name)
    entry.add("dtstart", event.event_date.astimezone(zone))
    if event.event_end_date is not None:
        entry.add("dtend", event.event_end_date.astimezone(zone))
    if event.location:
        entry.add("location", event.location)
    entry.add("description", _words(order.tickets, receipt_url))
    entry.add("url", receipt_url)
    made = Calendar()
    made.add("prodid", PRODUCT)
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add_component(entry)
    made.add_missing_timezones()
    return bytes(made.to_ical())


def _words(tickets: Sequence[Ticket], receipt_url: str) -> str:
    codes = [f"{ticket.code} ({ticket.name})" for ticket in tickets]
    return "\n".join([*codes, receipt_url])
