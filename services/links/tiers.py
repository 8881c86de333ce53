"""An event's lines are tiers: a buyer takes tickets of one or several, and each has its own cap.

Pure. A tier that is sold out is shown and never sold. Of several tiers any may be left out, of
all together at least one ticket is bought; the only tier of an event is bought as any line is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import available_timezones

from services.links import lines
from services.links.domain import Link
from services.links.template import Template, known
from shared.contracts.link_requests import EventConfig, LinkLineItem
from shared.contracts.links import Choices, OfferLine, ResolvedLine, TicketedEvent
from shared.errors import invalid, required

TICKETS_MAX: Final = 100  # of one order: each is a row, a fact and a code on the receipt
PREFIX_DEFAULT: Final = "TICKET"
ZONE_DEFAULT: Final = "UTC"
_UNSHOWN: Final = ("max_total_quantity", "ticket_prefix", "send_ticket_emails")
ZONES: Final = frozenset(available_timezones())  # read once: the table comes with the installation


def check(template: Template) -> None:
    """Refuse an event that contradicts itself. Raises the first refusal found."""
    event = template.event_config
    if event.timezone is not None and event.timezone not in ZONES:
        raise invalid("event_config.timezone", f"'{event.timezone}' is not an IANA time zone.")
    if event.event_end_date is not None:
        if event.event_date is None:
            raise required("event_config.event_date")
        if event.event_end_date <= event.event_date:
            param = "event_config.event_end_date"
            raise invalid(param, "'event_end_date' is not after 'event_date'.")
    for index, line in enumerate(template.line_items):
        _check_tier(line, f"line_items[{index}]")


def _check_tier(line: LinkLineItem, param: str) -> None:
    for name in ("quantity", "min_quantity"):
        if (getattr(line, name) or 1) > TICKETS_MAX:
            message = f"One order takes at most {TICKETS_MAX} tickets."
            raise invalid(f"{param}.{name}", message, "LINE_ITEM_INVALID_QUANTITY")
    if line.max_total_quantity is not None and line.max_total_quantity < _least(line):
        param = f"{param}.max_total_quantity"
        raise invalid(param, "The tier has fewer tickets than one order has to take.")


def refuse_caps(template: Template) -> None:
    """Caps of single lines are an event's."""
    for index, line in enumerate(template.line_items):
        if line.max_total_quantity is not None:
            param = f"line_items[{index}].max_total_quantity"
            raise invalid(param, "'max_total_quantity' of a line is for links of mode 'event'.")


def shown(link: Link) -> list[ResolvedLine]:
    """The tiers as a buyer sees them."""
    return list(_shown(link))


def _shown(link: Link) -> Iterator[ResolvedLine]:
    is_only, capacity = len(link.template.line_items) == 1, link.capacity
    for line in link.template.line_items:
        left, least = capacity.left_of(known(line.key)), _least(line)
        is_sold_out = capacity.exhausted_by is not None or (left is not None and left < least)
        yield lines.resolved(
            line,
            quantity=(line.quantity or 1) if is_only else 0,
            allow_quantity_adjustment=not (is_only and _is_block(line)),
            min_quantity=least,
            max_quantity=_most(line),
            is_optional=not is_only,
            is_sold_out=is_sold_out,
            quantity_available=left,
        )


def _is_block(line: LinkLineItem) -> bool:
    """A table of eight: sold whole, `quantity` seats at a time."""
    return line.allow_quantity_adjustment is False


def _least(line: LinkLineItem) -> int:
    return (line.quantity if _is_block(line) else line.min_quantity) or 1


def _most(line: LinkLineItem) -> int:
    return _least(line) if _is_block(line) else min(line.max_quantity or TICKETS_MAX, TICKETS_MAX)


def bought(link: Link, choices: Choices) -> list[OfferLine]:
    """The tickets of one buyer. Raises the refusal of the first choice that cannot be accepted."""
    chosen = lines.bought(link, shown(link), choices)
    tickets, left = sum(line.quantity for line in chosen), link.capacity.remaining_seats
    if not tickets:
        message = "Choose at least one ticket."
        raise invalid("quantity_overrides", message, "EVENT_TICKET_QUANTITY_REQUIRED")
    if left is not None and tickets > left:
        raise invalid("quantity_overrides", f"Only {left} left.", "LINE_ITEM_INVALID_QUANTITY")
    if tickets > TICKETS_MAX:
        message = f"One order takes at most {TICKETS_MAX} tickets."
        raise invalid("quantity_overrides", message, "LINE_ITEM_INVALID_QUANTITY")
    return chosen


def invitation(config: EventConfig) -> EventConfig:
    """When and where; how many may come and what is done with tickets is the merchant's."""
    return config.model_copy(update=dict.fromkeys(_UNSHOWN))


def admission(template: Template) -> dict[str, Any]:
    """What an offer says of its event, frozen as it is now."""
    config = template.event_config
    event = TicketedEvent.model_construct(
        name=template.name,
        event_date=config.event_date,
        event_end_date=config.event_end_date,
        timezone=config.timezone or ZONE_DEFAULT,
        location=config.location,
    )
    return {
        "event": event,
        "ticket_prefix": config.ticket_prefix or PREFIX_DEFAULT,
        "sold_until": config.sold_until,
    }
