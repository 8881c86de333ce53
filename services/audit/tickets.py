"""Tickets: one for each paid seat, numbered without a gap, and each tier sold what was bought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from services.audit.report import Report
from shared.db.pool import Pool, fetch, fetchval

ON_THEIR_WAY_SECONDS: Final = 10.0

SEATS: Final = """
    SELECT id FROM orders, LATERAL (
        SELECT coalesce(sum((line ->> 'quantity')::bigint), 0) AS seats
        FROM jsonb_array_elements(line_items) AS line
        WHERE details -> 'line_keys' ? (line ->> 'order_line_item_id')
    ) AS bought
    WHERE details ? 'event'
      AND jsonb_array_length(tickets) <> CASE WHEN paid_attempt_id IS NULL THEN 0 ELSE seats END
"""
GAPS: Final = """
    SELECT payment_link_id FROM ticket_counters AS c
    WHERE (issued, issued) <> (
        SELECT count(*), coalesce(max(number), 0) FROM tickets AS t
        WHERE t.merchant_id = c.merchant_id AND t.payment_link_id = c.payment_link_id)
"""
UNREGISTERED: Final = """
    SELECT id FROM orders AS o
    WHERE (details ? 'event' OR jsonb_array_length(tickets) > 0) AND (
        SELECT coalesce(jsonb_agg(jsonb_build_array(number, ticket_id) ORDER BY number), '[]')
        FROM tickets AS t WHERE t.merchant_id = o.merchant_id AND t.order_id = o.id
    ) <> (
        SELECT coalesce(jsonb_agg(jsonb_build_array(one -> 'number', one -> 'ticket_id')
                                  ORDER BY (one ->> 'number')::bigint), '[]')
        FROM jsonb_array_elements(o.tickets) AS one
    )
"""
RULES: Final = {
    "an order's tickets are not its paid seats": SEATS,
    "a link's ticket numbers have a gap": GAPS,
    "an order's tickets are not those of the register": UNREGISTERED,
}

TIERS: Final = "SELECT payment_link_id, tiers_sold FROM links WHERE mode = 'event'"
BOUGHT: Final = """
    SELECT payment_link_id, key, sum((line ->> 'quantity')::bigint)::bigint AS pieces
    FROM orders, jsonb_array_elements(line_items) AS line, LATERAL (
        SELECT details -> 'line_keys' ->> (line ->> 'order_line_item_id') AS key
    ) AS of_line
    WHERE details ? 'event' AND paid_attempt_id IS NOT NULL AND key IS NOT NULL
      AND updated_at <= now() - make_interval(secs => $1)
    GROUP BY payment_link_id, key
"""


async def check(links: Pool, orders: Pool, report: Report) -> None:
    """All rules about tickets, and what each tier of an event has sold."""
    report.count("tickets", await fetchval(orders, "SELECT count(*) FROM tickets"))
    for rule, sql in RULES.items():
        report.breach(rule, [row[0] for row in await fetch(orders, sql)])
    # What had certainly arrived before we looked, and what there was after.
    least = await _bought(orders, ON_THEIR_WAY_SECONDS)
    rows = await fetch(links, TIERS)
    most = await _bought(orders, 0.0)
    for row in rows:
        name, sold = row["payment_link_id"], row["tiers_sold"]
        wrong = [
            f"{name} {key}"
            for key in sold.keys() | least[name].keys()
            if not least[name].get(key, 0) <= sold.get(key, 0) <= most[name].get(key, 0)
        ]
        report.breach("an event's sold tickets of a tier are not those of its paid orders", wrong)


async def _bought(orders: Pool, seconds: float) -> Mapping[str, dict[str, int]]:
    bought: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in await fetch(orders, BOUGHT, seconds):
        bought[row["payment_link_id"]][row["key"]] = row["pieces"]
    return bought
