"""What can be wrong with pages and places, each written into the books by hand."""

from __future__ import annotations

from typing import Final

from tests.faults.breaches import ULID, Breach, another, another_fact

REOPENED: Final = """
    UPDATE sessions SET status = 'open', terminal_reason = NULL, completed_at = NULL
    WHERE checkout_session_id = '{id}'
"""

PAGES: Final = (
    Breach(
        "an order has two open sessions",
        "{unpaid_order}",
        {
            "sessions": "DROP INDEX sessions_one_open_per_order;"
            + REOPENED.replace("{id}", "{closed}")
            + "; UPDATE sessions SET order_id = '{unpaid_order}'"
            + " WHERE checkout_session_id = '{closed}'"
        },
    ),
    Breach(
        "an order has two paid sessions",
        "{paid_order}",
        {
            "sessions": "UPDATE sessions SET order_id = '{paid_order}'"
            " WHERE checkout_session_id = '{retried}'"
        },
    ),
    Breach(
        "a session is open after its time",
        "{unpaid}",
        {
            "sessions": "UPDATE sessions SET expires_at = now() - interval '11 s'"
            " WHERE checkout_session_id = '{unpaid}'"
        },
    ),
    Breach(
        "a session's attempt is stuck",
        "{unpaid}",
        {
            "sessions": "UPDATE sessions SET attempt_moved_at = now() - interval '121 s',"
            ' attempt = attempt || \'{{"status": "processing"}}\''
            " WHERE checkout_session_id = '{unpaid}'"
        },
    ),
    Breach(
        "a session has no order",
        "{closed}",
        {"orders": "DELETE FROM orders WHERE id = '{closed_order}'"},
    ),
    Breach(
        "a session is paid and its order is not",
        "{paid}",
        {
            "orders": "UPDATE orders SET status = 'open', paid_attempt_id = NULL"
            " WHERE id = '{paid_order}'"
        },
    ),
    Breach(
        "an order is paid and its session is still open",
        "{paid}",
        {"sessions": REOPENED.replace("{id}", "{paid}")},
    ),
    Breach(
        "an order is closed and its session is still open",
        "{closed}",
        {"sessions": REOPENED.replace("{id}", "{closed}")},
    ),
    Breach(
        "a page has ended and its order is still open",
        "{closed_order}",
        {"orders": "UPDATE orders SET status = 'open' WHERE id = '{closed_order}'"},
    ),
    Breach(
        "a payment has ended and its page does not know",
        "{unpaid}",
        {
            "sessions": 'UPDATE sessions SET attempt = attempt || \'{{"status": "processing"}}\''
            " WHERE checkout_session_id = '{unpaid}'"
        },
    ),
    Breach(
        "a session that had ended is open again",
        "{closed}",
        {"sessions": REOPENED.replace("{id}", "{closed}")},
    ),
    Breach(
        "a session ended more than once",
        "{paid}",
        {
            "gateway": another_fact(
                "subject = '{paid}' AND type = 'checkout_session.completed'",
                "type = 'checkout_session.expired', sequence = sequence + 1",
            )
        },
    ),
    Breach(
        "a session has ended and nobody was told",
        "{closed}",
        {"gateway": "DELETE FROM events WHERE type = 'checkout_session.closed'"},
    ),
    Breach(
        "an order was closed and paid",
        "{paid_order}",
        {
            "gateway": "UPDATE events SET type = 'order.closed'"
            " WHERE subject = '{paid_order}' AND sequence = 1"
        },
    ),
    Breach(
        "what was said of an order's payment is not so",
        "{paid_order}",
        {"gateway": "DELETE FROM events WHERE subject = '{paid_order}' AND type = 'order.paid'"},
    ),
    Breach(
        "what was said of an order's closing is not so",
        "{closed_order}",
        {"orders": "UPDATE orders SET status = 'open' WHERE id = '{closed_order}'"},
    ),
)

PLACES: Final = (
    Breach(
        "a link sold more than it has",
        "{pot}",
        {
            "links": "ALTER TABLE links DROP CONSTRAINT no_place_twice;"
            "UPDATE links SET completed_count = 3 WHERE payment_link_id = '{pot}'"
        },
    ),
    Breach(
        "a link sold more than it has",
        "{tea}",
        {
            "links": "ALTER TABLE links DROP CONSTRAINT no_seat_twice;"
            "UPDATE links SET template = template ||"
            " '{{\"event_config\": {{\"max_total_quantity\": 1}}}}' WHERE payment_link_id = '{tea}'"
        },
    ),
    Breach(
        "a link's claimed places are not its claims",
        "{pot}",
        {"links": "UPDATE links SET claimed_count = 1 WHERE payment_link_id = '{pot}'"},
    ),
    Breach(
        "a link's claimed places are not its claims",
        "{pot}",
        {"links": "UPDATE links SET claimed_quantity = 1 WHERE payment_link_id = '{pot}'"},
    ),
    Breach(
        "a link's slugs are not those that lead to it",
        "{tea}",
        {"links": "UPDATE slugs SET removed_at = now() WHERE payment_link_id = '{tea}'"},
    ),
    Breach(
        "a link's slugs are not those that lead to it",
        "{pot}",
        {"links": "UPDATE links SET slugs = '{{one,more}}' WHERE payment_link_id = '{pot}'"},
    ),
    Breach(
        "an order has two places",
        "{placed_order}",
        {
            "links": "DROP INDEX claims_one_live_per_order;"
            + another("claims", "order_id = '{placed_order}'", f"attempt_id = 'pi_{ULID}'")
        },
    ),
    Breach(
        "a link's completions are not its paid orders",
        "{tea}",
        {"links": "UPDATE links SET completed_count = 3 WHERE payment_link_id = '{tea}'"},
    ),
    Breach(
        "a link's completions are not its paid orders",
        "{tea}",
        {
            "links": "UPDATE links SET completed_count = 1 WHERE payment_link_id = '{tea}'",
            "orders": "UPDATE orders SET updated_at = now() - interval '11 s'",
        },
    ),
    Breach(
        "a link's sold quantity is not that of its paid orders",
        "{tea}",
        {"links": "UPDATE links SET total_quantity_sold = 3 WHERE payment_link_id = '{tea}'"},
    ),
    Breach(
        "a place is held by a payment that has ended",
        "{placed_attempt}",
        {"links": "UPDATE claims SET state = 'held'"},
    ),
    Breach(
        "a place was sold and its order is not paid",
        "{failed}",
        {
            "links": another(
                "claims",
                "order_id = '{placed_order}'",
                "attempt_id = '{failed}', order_id = '{unpaid_order}'",
            )
        },
    ),
    Breach(
        "an order of a limited link was paid without a place",
        "{placed_order}",
        {"links": "UPDATE claims SET state = 'released'"},
    ),
    Breach(
        "a resolved link has no session",
        "{unpaid}",
        {"sessions": "DELETE FROM sessions WHERE checkout_session_id = '{unpaid}'"},
    ),
    Breach(
        "a resolved link has no order",
        "{closed_order}",
        {"orders": "DELETE FROM orders WHERE id = '{closed_order}'"},
    ),
)
