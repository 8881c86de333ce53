"""Pages: sessions and their orders tell one story, and an end is for ever."""

from __future__ import annotations

from typing import Any, Final

from services.audit.messages import Log, is_old
from services.audit.report import Report
from shared.contracts.orders import OrderClosed, OrderPaid
from shared.db.pool import Pool, Record, fetch

BATCH: Final = 2_000

TWO_OPEN: Final = """
    SELECT order_id FROM sessions WHERE status = 'open'
    GROUP BY merchant_id, order_id HAVING count(*) > 1
"""
TWO_PAID: Final = """
    SELECT order_id FROM sessions WHERE status = 'paid'
    GROUP BY merchant_id, order_id HAVING count(*) > 1
"""

OVERDUE: Final = """
    SELECT checkout_session_id FROM sessions
    WHERE status = 'open' AND expires_at < now() - interval '10 seconds'
      AND live_attempt_id IS NULL
"""

# A buyer may take a while at the bank's page; everything else is answered within seconds.
STUCK: Final = """
    SELECT checkout_session_id FROM sessions
    WHERE live_attempt_id IS NOT NULL AND attempt ->> 'status' = 'processing'
      AND attempt_moved_at < now() - interval '2 minutes'
"""

SESSIONS: Final = """
    SELECT checkout_session_id, order_id, status, live_attempt_id FROM sessions
    WHERE checkout_session_id > $1 ORDER BY checkout_session_id LIMIT $2
"""
ORDERS_OF: Final = """
    SELECT id, status, payment_link_id, live_attempt_id,
           checkout_session_ids[cardinality(checkout_session_ids)] AS last_session
    FROM orders WHERE id = ANY($1::text[])
"""
ENDED: Final = """
    SELECT id FROM payment_intents WHERE id = ANY($1::text[]) AND next_action_at IS NULL
"""
ORDERS: Final = """
    SELECT id, status, paid_attempt_id IS NOT NULL AS is_paid FROM orders
    WHERE id > $1 ORDER BY id LIMIT $2
"""


RULES: Final = {
    "an order has two open sessions": TWO_OPEN,
    "an order has two paid sessions": TWO_PAID,
    "a session is open after its time": OVERDUE,
    "a session's attempt is stuck": STUCK,
}


async def check(sessions: Pool, orders: Pool, log: Log, report: Report) -> None:
    """All rules about the life of sessions and orders."""
    for rule, sql in RULES.items():
        report.breach(rule, [row[0] for row in await fetch(sessions, sql)])
    last = ""
    while rows := await fetch(sessions, SESSIONS, last, BATCH):
        last = rows[-1]["checkout_session_id"]
        report.count("checkout sessions", len(rows))
        await _check_sessions(rows, orders, log, report)
    last = ""
    while rows := await fetch(orders, ORDERS, last, BATCH):
        last = rows[-1]["id"]
        for row in rows:
            _check_end_of_order(row, log, report)


async def _check_sessions(rows: list[Record], orders: Pool, log: Log, report: Report) -> None:
    order_ids = list({row["order_id"] for row in rows})
    known = {row["id"]: row for row in await fetch(orders, ORDERS_OF, order_ids)}
    live = [row["live_attempt_id"] for row in rows if row["live_attempt_id"] is not None]
    ended = {row["id"] for row in await fetch(orders, ENDED, live)} if live else set()
    for row in rows:
        name, order = row["checkout_session_id"], known.get(row["order_id"])
        if order is None:
            report.breach("a session has no order", [name])
        else:
            _check_with_order(row, order, report)
        if row["live_attempt_id"] in ended:
            report.breach("a payment has ended and its page does not know", [name])
        _check_end_of_session(name, row["status"], log, report)


def _check_with_order(row: Record, order: Record, report: Report) -> None:
    name, status, theirs = row["checkout_session_id"], row["status"], order["status"]
    is_unpaid = theirs in ("open", "closed")
    if status == "paid" and is_unpaid:
        report.breach("a session is paid and its order is not", [name])
    if status == "open" and not is_unpaid:
        report.breach("an order is paid and its session is still open", [name])
    if status == "open" and theirs == "closed" and row["live_attempt_id"] is None:
        report.breach("an order is closed and its session is still open", [name])
    # A payment link's order ends with its last page, unless a payment is under way.
    is_last = order["payment_link_id"] is not None and order["last_session"] == name
    is_left = is_last and order["live_attempt_id"] is None
    if status in ("expired", "closed") and theirs == "open" and is_left:
        report.breach("a page has ended and its order is still open", [order["id"]])


def _check_end_of_session(name: str, status: str, log: Log, report: Report) -> None:
    ends = log.ends_of(name)
    if status == "open" and ends:
        report.breach("a session that had ended is open again", [name])
    if len(ends) > 1:
        report.breach("a session ended more than once", [name])
    if status != "open" and not ends and not is_old(name):
        report.breach("a session has ended and nobody was told", [name])


def _check_end_of_order(row: Any, log: Log, report: Report) -> None:
    name, ends = row["id"], log.ends_of(row["id"])
    if len(set(ends)) > 1:
        report.breach("an order was closed and paid", [name])
    if is_old(name):
        return
    if row["is_paid"] != (OrderPaid.topic in ends):
        report.breach("what was said of an order's payment is not so", [name])
    if (row["status"] == "closed") != (OrderClosed.topic in ends):
        report.breach("what was said of an order's closing is not so", [name])
