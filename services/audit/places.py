"""Places: no link sells more than it has, and every sale of a limited one has its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.audit.report import Report
from shared.db.pool import Pool, fetch

BATCH: Final = 2_000

OVERSOLD: Final = """
    SELECT payment_link_id FROM links
    WHERE completed_count - returned_count + claimed_count > max_completions + overbooked_places
       OR total_quantity_sold - returned_quantity + claimed_quantity
          > max_quantity + overbooked_quantity
"""
MISCOUNTED: Final = """
    SELECT payment_link_id FROM links AS l
    WHERE (claimed_count, claimed_quantity) <> (
        SELECT count(*), coalesce(sum(quantity), 0)::bigint FROM claims AS c
        WHERE c.merchant_id = l.merchant_id AND c.payment_link_id = l.payment_link_id
          AND c.state = 'held')
"""
TIER_MISCOUNTED: Final = """
    SELECT payment_link_id FROM links AS l
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(key, pieces) AS held FROM (
            SELECT key, sum(taken::bigint) AS pieces
            FROM claims AS c, jsonb_each_text(quantities) AS of_tier (key, taken)
            WHERE c.merchant_id = l.merchant_id AND c.payment_link_id = l.payment_link_id
              AND c.state = 'held'
            GROUP BY key) AS of_key
    ) AS claimed ON true
    WHERE mode = 'event' AND EXISTS (
        SELECT 1 FROM jsonb_each_text(tiers_claimed || coalesce(held, '{}')) AS tier (key, pieces)
        WHERE coalesce((tiers_claimed ->> key)::bigint, 0) <> coalesce((held ->> key)::bigint, 0))
"""
RETURNS_MISCOUNTED: Final = """
    SELECT payment_link_id FROM links AS l
    WHERE (returned_count, returned_quantity) <> (
        SELECT count(*), coalesce(sum(quantity), 0)::bigint FROM returns AS r
        WHERE r.merchant_id = l.merchant_id AND r.payment_link_id = l.payment_link_id)
"""
TWO_PLACES: Final = """
    SELECT order_id FROM claims WHERE state IN ('held', 'final')
    GROUP BY merchant_id, order_id HAVING count(*) > 1
"""
# Both ways: a slug on a link that leads elsewhere or nowhere, and one that leads to a link
# without being among its own.
MISNAMED: Final = """
    SELECT coalesce(named.payment_link_id, there.payment_link_id)
    FROM (SELECT merchant_id, payment_link_id, unnest(slugs) AS slug FROM links) AS named
    FULL JOIN (SELECT merchant_id, payment_link_id, slug FROM slugs
               WHERE removed_at IS NULL) AS there
        USING (merchant_id, payment_link_id, slug)
    WHERE named.payment_link_id IS NULL OR there.payment_link_id IS NULL
"""

COUNTS: Final = """
    SELECT payment_link_id, completed_count AS sales, total_quantity_sold AS quantity FROM links
    WHERE payment_link_id > $1 ORDER BY payment_link_id LIMIT $2
"""
# Sales up to `$2` ago: on a shop that sells, the last ones are still on their way to the link.
SOLD: Final = """
    SELECT payment_link_id, count(*) AS sales, coalesce(sum(bought.quantity), 0)::bigint AS quantity
    FROM orders, LATERAL (
        SELECT sum((line ->> 'quantity')::bigint) AS quantity
        FROM jsonb_array_elements(line_items) AS line
        WHERE NOT details ? 'line_keys'
           OR details -> 'line_keys' ? (line ->> 'order_line_item_id')
    ) AS bought
    WHERE payment_link_id = ANY($1::text[]) AND paid_attempt_id IS NOT NULL
      AND updated_at <= now() - make_interval(secs => $2)
    GROUP BY payment_link_id
"""
ON_THEIR_WAY_SECONDS: Final = 10.0

CLAIMS: Final = """
    SELECT merchant_id, attempt_id, order_id, state FROM claims
    WHERE state IN ('held', 'final') AND (merchant_id, attempt_id) > ($1, $2)
    ORDER BY merchant_id, attempt_id LIMIT $3
"""
LIVE: Final = """
    SELECT id FROM payment_intents WHERE id = ANY($1::text[]) AND next_action_at IS NOT NULL
"""
PAID: Final = """
    SELECT id FROM orders WHERE id = ANY($1::text[]) AND paid_attempt_id IS NOT NULL
"""
LIMITED_SALES: Final = """
    SELECT merchant_id, id, paid_attempt_id FROM orders
    WHERE is_limited AND paid_attempt_id IS NOT NULL AND id > $1 ORDER BY id LIMIT $2
"""
PLACES_OF: Final = """
    SELECT attempt_id FROM claims
    JOIN unnest($1::text[], $2::text[]) AS asked (merchant_id, attempt_id)
        USING (merchant_id, attempt_id)
    WHERE state IN ('held', 'final')
"""

RESOLUTIONS: Final = """
    SELECT merchant_id, context_id, choices_hash, checkout_session_id, order_id FROM resolutions
    WHERE (merchant_id, context_id, choices_hash) > ($1, $2, $3)
    ORDER BY merchant_id, context_id, choices_hash LIMIT $4
"""
SESSIONS: Final = """
    SELECT checkout_session_id FROM sessions WHERE checkout_session_id = ANY($1::text[])
"""
ORDERS: Final = "SELECT id FROM orders WHERE id = ANY($1::text[])"


RULES: Final = {
    "a link sold more than it has": OVERSOLD,
    "a link's claimed places are not its claims": MISCOUNTED,
    "an event's claimed tickets of a tier are not its claims": TIER_MISCOUNTED,
    "a link's returned places are not its returns": RETURNS_MISCOUNTED,
    "an order has two places": TWO_PLACES,
    "a link's slugs are not those that lead to it": MISNAMED,
}
COUNTED: Final = {
    "sales": "a link's completions are not its paid orders",
    "quantity": "a link's sold quantity is not that of its paid orders",
}


async def check(links: Pool, sessions: Pool, orders: Pool, report: Report) -> None:
    """All rules about links, their places, and what their resolutions became."""
    for rule, sql in RULES.items():
        report.breach(rule, await _ids(links, sql))
    await _sales(links, orders, report)
    await _claims(links, orders, report)
    await _limited_sales(links, orders, report)
    await _resolutions(links, sessions, orders, report)


async def _sales(links: Pool, orders: Pool, report: Report) -> None:
    last = ""
    while rows := await fetch(links, COUNTS, last, BATCH):
        last = rows[-1]["payment_link_id"]
        report.count("payment links", len(rows))
        ids = [row["payment_link_id"] for row in rows]
        # What had certainly arrived before we looked, and what there was after.
        least = await _sold(orders, ids, ON_THEIR_WAY_SECONDS)
        rows = await fetch(links, COUNTS.replace("> $1", ">= $1"), ids[0], len(ids))
        most = await _sold(orders, ids, 0.0)
        for row in rows:
            name = row["payment_link_id"]
            for what, rule in COUNTED.items():
                if not least(name)[what] <= row[what] <= most(name)[what]:
                    report.breach(rule, [name])


async def _sold(orders: Pool, ids: Sequence[str], seconds: float) -> Any:
    sold = {row["payment_link_id"]: row for row in await fetch(orders, SOLD, ids, seconds)}
    nothing: Mapping[str, int] = {"sales": 0, "quantity": 0}
    return lambda name: sold.get(name, nothing)


async def _claims(links: Pool, orders: Pool, report: Report) -> None:
    last = ("", "")
    while rows := await fetch(links, CLAIMS, *last, BATCH):
        last = (rows[-1]["merchant_id"], rows[-1]["attempt_id"])
        held = [row["attempt_id"] for row in rows if row["state"] == "held"]
        report.count("places held now", len(held))
        live = await _ids(orders, LIVE, held)
        report.breach("a place is held by a payment that has ended", set(held) - set(live))
        final = {row["order_id"]: row["attempt_id"] for row in rows if row["state"] == "final"}
        paid = await _ids(orders, PAID, list(final))
        unpaid = [final[order_id] for order_id in final.keys() - set(paid)]
        report.breach("a place was sold and its order is not paid", unpaid)


async def _limited_sales(links: Pool, orders: Pool, report: Report) -> None:
    last = ""
    while rows := await fetch(orders, LIMITED_SALES, last, BATCH):
        last = rows[-1]["id"]
        report.count("sales of limited links", len(rows))
        merchants = [row["merchant_id"] for row in rows]
        attempts = [row["paid_attempt_id"] for row in rows]
        with_place = set(await _ids(links, PLACES_OF, merchants, attempts))
        without = [row["id"] for row in rows if row["paid_attempt_id"] not in with_place]
        report.breach("an order of a limited link was paid without a place", without)


async def _resolutions(links: Pool, sessions: Pool, orders: Pool, report: Report) -> None:
    last: tuple[str, str, bytes] = ("", "", b"")
    while rows := await fetch(links, RESOLUTIONS, *last, BATCH):
        last = (rows[-1]["merchant_id"], rows[-1]["context_id"], rows[-1]["choices_hash"])
        report.count("resolutions", len(rows))
        promised = {row["checkout_session_id"] for row in rows}
        there = set(await _ids(sessions, SESSIONS, list(promised)))
        report.breach("a resolved link has no session", promised - there)
        promised = {row["order_id"] for row in rows}
        there = set(await _ids(orders, ORDERS, list(promised)))
        report.breach("a resolved link has no order", promised - there)


async def _ids(pool: Pool, sql: str, *args: Any) -> list[str]:
    return [row[0] for row in await fetch(pool, sql, *args)]
