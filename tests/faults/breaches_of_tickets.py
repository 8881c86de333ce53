"""What can be wrong with an event's tiers and tickets, each written into the books by hand."""

from __future__ import annotations

from typing import Final

from tests.faults.breaches import Breach

TICKETS: Final = (
    Breach(
        "an order's tickets are not its paid seats",
        "{seated_order}",
        {"orders": "UPDATE orders SET tickets = '[]' WHERE id = '{seated_order}'"},
    ),
    Breach(
        "an order's tickets are not its paid seats",
        "{seatless_order}",
        {
            "orders": "UPDATE orders SET tickets ="
            " (SELECT tickets FROM orders WHERE id = '{seated_order}')"
            " WHERE id = '{seatless_order}'"
        },
    ),
    Breach(
        "a link's ticket numbers have a gap",
        "{gala}",
        {"orders": "UPDATE tickets SET number = number + 1"},
    ),
    Breach(
        "a link's ticket numbers have a gap",
        "{gala}",
        {"orders": "UPDATE ticket_counters SET issued = issued + 1"},
    ),
    Breach(
        "an order's tickets are not those of the register",
        "{seated_order}",
        {"orders": "UPDATE tickets SET ticket_id = 'tkt_01JAAAAAAAAAAAAAAAAAAAAAAA'"},
    ),
    Breach(
        "an event's sold tickets of a tier are not those of its paid orders",
        "{gala} tea",
        {"links": "UPDATE links SET tiers_sold = '{{\"tea\": 2}}' WHERE mode = 'event'"},
    ),
    Breach(
        "an event's sold tickets of a tier are not those of its paid orders",
        "{gala} tea",
        {
            "links": "UPDATE links SET tiers_sold = '{{}}' WHERE payment_link_id = '{gala}'",
            "orders": "UPDATE orders SET updated_at = now() - interval '11 s'",
        },
    ),
    Breach(
        "an event's claimed tickets of a tier are not its claims",
        "{gala}",
        {"links": "UPDATE links SET tiers_claimed = '{{\"tea\": 1}}'"},
    ),
    Breach(
        "a link's returned places are not its returns",
        "{gala}",
        {"links": "UPDATE links SET returned_count = 1 WHERE payment_link_id = '{gala}'"},
    ),
)
