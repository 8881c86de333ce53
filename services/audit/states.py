"""States across services: sessions, orders and links have to tell one story."""

from __future__ import annotations

from typing import Final

from services.audit.report import Report
from shared.db.pool import Pool

BATCH: Final = 2_000

TWO_OPEN: Final = """
    SELECT order_id FROM sessions WHERE status = 'open'
    GROUP BY merchant_id, order_id HAVING count(*) > 1
"""

OVERDUE: Final = """
    SELECT s.checkout_session_id FROM sessions AS s
    WHERE s.status = 'open' AND s.expires_at < now() - interval '10 seconds'
      AND s.live_attempt_id IS NULL
"""

# A buyer may take a while at the bank's page; everything else is answered within seconds.
STUCK: Final = """
    SELECT checkout_session_id FROM sessions
    WHERE live_attempt_id IS NOT NULL AND attempt ->> 'status' = 'processing'
      AND attempt_moved_at < now() - interval '2 minutes'
"""

PAID_SESSIONS: Final = """
    SELECT checkout_session_id, order_id, status FROM sessions
    WHERE checkout_session_id > $1 ORDER BY checkout_session_id LIMIT $2
"""

ORDERS: Final = """
    SELECT id, status, source, payment_link_id FROM orders WHERE id = ANY($1::text[])
"""

COMPLETIONS: Final = """
    SELECT payment_link_id, completed_count, claimed_count FROM links
    WHERE payment_link_id > $1 ORDER BY payment_link_id LIMIT $2
"""

SOLD: Final = """
    SELECT payment_link_id, count(*) AS sold FROM orders
    WHERE payment_link_id = ANY($1::text[]) AND paid_attempt_id IS NOT NULL
    GROUP BY payment_link_id
"""

HELD: Final = "SELECT attempt_id FROM claims WHERE state = 'held'"
CLAIMS: Final = """
    SELECT payment_link_id FROM links AS l
    WHERE claimed_count <> (SELECT count(*) FROM claims AS c
                            WHERE c.merchant_id = l.merchant_id
                              AND c.payment_link_id = l.payment_link_id AND c.state = 'held')
"""
LIVE: Final = """
    SELECT id FROM payment_intents WHERE id = ANY($1::text[]) AND next_action_at IS NOT NULL
"""


async def check(sessions: Pool, orders: Pool, links: Pool, report: Report) -> None:
    """All rules that hold between services."""
    report.breach("an order has two open sessions", await _ids(sessions, TWO_OPEN))
    report.breach("a session is open after its time", await _ids(sessions, OVERDUE))
    report.breach("a session's attempt is stuck", await _ids(sessions, STUCK))
    await _sessions_and_orders(sessions, orders, report)
    await _links_and_orders(links, orders, report)
    await _claims(links, orders, report)


async def _sessions_and_orders(sessions: Pool, orders: Pool, report: Report) -> None:
    last = ""
    while rows := await sessions.fetch(PAID_SESSIONS, last, BATCH):
        last = rows[-1]["checkout_session_id"]
        report.count("checkout sessions", len(rows))
        order_ids = list({row["order_id"] for row in rows})
        known = {row["id"]: row["status"] for row in await orders.fetch(ORDERS, order_ids)}
        for row in rows:
            status = known.get(row["order_id"])
            name = row["checkout_session_id"]
            if status is None:
                report.breach("a session has no order", [name])
            elif row["status"] == "paid" and status in ("open", "closed"):
                report.breach("a session is paid and its order is not", [name])
            elif row["status"] == "open" and status not in ("open", "closed"):
                report.breach("an order is paid and its session is still open", [name])


async def _links_and_orders(links: Pool, orders: Pool, report: Report) -> None:
    last = ""
    while rows := await links.fetch(COMPLETIONS, last, BATCH):
        last = rows[-1]["payment_link_id"]
        report.count("payment links", len(rows))
        ids = [row["payment_link_id"] for row in rows]
        sold = {r["payment_link_id"]: r["sold"] for r in await orders.fetch(SOLD, ids)}
        wrong = [
            row["payment_link_id"]
            for row in rows
            if row["completed_count"] != sold.get(row["payment_link_id"], 0)
        ]
        report.breach("a link's completions are not its paid orders", wrong)


async def _claims(links: Pool, orders: Pool, report: Report) -> None:
    report.breach("a link's claimed count is not its claims", await _ids(links, CLAIMS))
    held = await _ids(links, HELD)
    report.count("places held now", len(held))
    live = {row["id"] for row in await orders.fetch(LIVE, held)}
    report.breach("a place is held by a payment that has ended", set(held) - live)


async def _ids(pool: Pool, sql: str) -> list[str]:
    return [row[0] for row in await pool.fetch(sql)]
