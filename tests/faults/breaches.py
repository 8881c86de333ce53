"""What can be wrong in a shop's books, each written into them by hand.

A breach names the rule, the id that the audit has to find, and the SQL by database. `{names}` are
those of `histories`; constraints that would have refused it are dropped first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Breach:
    rule: str
    found: str
    plant: Mapping[str, str]


ULID: Final = "01JAAAAAAAAAAAAAAAAAAAAAAA"


def _another(table: str, where: str, changes: str, generated: str = "") -> str:
    """A row like the one there, but for some columns."""
    drop = f"ALTER TABLE another DROP COLUMN {generated};" if generated else ""
    return f"""
        CREATE TEMP TABLE another AS SELECT * FROM {table} WHERE {where};
        {drop}
        UPDATE another SET {changes};
        INSERT INTO {table} SELECT * FROM another;
    """


def _fact(where: str, changes: str) -> str:
    return _another("events", where, f"event_id = 'evt_{ULID}', {changes}")


LIVE: Final = """
    UPDATE payment_intents SET phase = 'charge', status = 'processing', next_action_at = now()
    WHERE id = '{failed}';
"""
LEDGER: Final = """
    INSERT INTO sandbox_ledger (provider_ref, attempt_id, kind, amount_minor, currency, at)
    SELECT provider_ref, attempt_id, '{kind}', amount_minor, currency, now()
    FROM sandbox_payments WHERE attempt_id = '{attempt}';
"""
CHANGEABLE: Final = "ALTER TABLE sandbox_ledger DISABLE TRIGGER append_only;"


def _entry(attempt: str, kind: str = "charge") -> str:
    return LEDGER.replace("{attempt}", attempt).replace("{kind}", kind)


def _sums(plant: str) -> Breach:
    free = """
        ALTER TABLE orders DROP CONSTRAINT amounts_add_up,
            DROP CONSTRAINT balance_is_what_is_left,
            DROP CONSTRAINT history_ends_at_the_balance,
            DROP CONSTRAINT paid_is_settled;
    """
    where = "WHERE id = '{paid_order}'"
    plant = f"{free} UPDATE orders SET {plant} {where}"
    return Breach("an order's amounts do not add up", "{paid_order}", {"orders": plant})


def _line(path: str, text: str) -> Breach:
    return _sums(f"line_items = jsonb_set(line_items, '{{{{{path}}}}}', '{text}')")


MESSAGES: Final = (
    Breach(
        "a message is older than a minute in its outbox",
        "links: link.updated evt_old",
        {
            "links": """
                INSERT INTO outbox (message_id, kind, topic, body, mode, said_at)
                VALUES ('evt_old', 'event', 'link.updated', '', 'test', now() - interval '61 s')
            """
        },
    ),
    Breach(
        "the sequence of a subject has a gap",
        "orders {paid_order}",
        {"gateway": "DELETE FROM events WHERE subject = '{paid_order}' AND sequence = 1"},
    ),
    Breach(
        "the sequence of a subject has a gap",
        "orders {paid_order}",
        {
            "gateway": "UPDATE events SET sequence = 3"
            " WHERE subject = '{paid_order}' AND sequence = 2"
        },
    ),
    Breach(
        "two facts of a subject have one number",
        "orders {paid_order}",
        {"gateway": _fact("subject = '{paid_order}' AND sequence = 1", "mode = 'test'")},
    ),
    Breach(
        "a fact was said that nobody recorded",
        "orders {paid_order}",
        {"gateway": "DELETE FROM events WHERE subject = '{paid_order}' AND sequence = 2"},
    ),
    Breach(
        "a fact was said that nobody recorded",
        "orders {paid_order}",
        {"gateway": "DELETE FROM events WHERE subject = '{paid_order}'"},
    ),
    Breach(
        "a fact was recorded that nobody said",
        "orders {paid_order}",
        {"orders": "DELETE FROM subject_sequences WHERE subject = '{paid_order}'"},
    ),
    Breach(
        "an end was said more than once",
        "{paid_order}",
        {"gateway": _fact("subject = '{paid_order}' AND type = 'order.paid'", "sequence = 3")},
    ),
)

MONEY: Final = (
    _sums("total_minor = total_minor + 1"),
    _sums("tip_minor = 1, total_minor = total_minor + 1, paid_minor = paid_minor + 1"),
    _sums("tax_minor = 1, total_minor = total_minor + 1, paid_minor = paid_minor + 1"),
    _sums("balance_minor = 1"),
    _sums("activities = activities - 0"),
    _sums("activities = '[]'"),
    _line("0,gross_money,amount", "1"),
    _line("0,net_money,amount", "1"),
    _line("0,quantity", "2"),
    _line("0,discount_money,amount", "1"),
    Breach(
        "an order's paid sum is not that of its payments",
        "{paid_order}",
        {"orders": "UPDATE orders SET paid_minor = paid_minor + 1 WHERE id = '{paid_order}'"},
    ),
    Breach(
        "an order's paid sum is not that of its payments",
        "{paid_order}",
        {"orders": "UPDATE payment_intents SET currency = 'EUR' WHERE id = '{paid_attempt}'"},
    ),
    Breach(
        "an order was paid more than once",
        "{paid_order}",
        {"orders": _another("payment_intents", "id = '{paid_attempt}'", f"id = 'pi_{ULID}'")},
    ),
    Breach(
        "an order has two payments under way",
        "{unpaid_order}",
        {
            "orders": "DROP INDEX payment_intents_one_live;"
            + LIVE
            + _another("payment_intents", "id = '{failed}'", f"id = 'pi_{ULID}'")
        },
    ),
    Breach(
        "a payment is stuck",
        "{failed}",
        {
            "orders": LIVE
            + "UPDATE payment_intents SET next_action_at = now() - interval '61 s'"
            + " WHERE id = '{failed}'"
        },
    ),
    Breach(
        "an order waits for a payment that has ended",
        "{unpaid_order}",
        {"orders": "UPDATE orders SET live_attempt_id = '{failed}' WHERE id = '{unpaid_order}'"},
    ),
    Breach(
        "the provider charged an attempt more than once",
        "{paid_attempt}",
        {
            "sandbox": "ALTER TABLE sandbox_ledger"
            " DROP CONSTRAINT sandbox_ledger_provider_ref_kind_key;" + _entry("{paid_attempt}")
        },
    ),
    Breach(
        "the provider charged what we do not know",
        f"pi_{ULID}",
        {
            "sandbox": "UPDATE sandbox_payments SET attempt_id = "
            f"'pi_{ULID}' WHERE attempt_id = '{{failed}}';" + _entry(f"pi_{ULID}")
        },
    ),
    Breach(
        "an order was charged more than once",
        "{retried_order}",
        {"sandbox": _entry("{failed_first}")},
    ),
    Breach(
        "an order's refunded sum is not the provider's",
        "{paid_order}",
        {"orders": "UPDATE orders SET refunded_minor = 1 WHERE id = '{paid_order}'"},
    ),
    Breach(
        "a payment succeeded that the provider never charged",
        "{paid_attempt}",
        {"sandbox": CHANGEABLE + "DELETE FROM sandbox_ledger WHERE attempt_id = '{paid_attempt}'"},
    ),
    Breach(
        "the provider charged another sum",
        "{paid_attempt}",
        {
            "sandbox": CHANGEABLE + "UPDATE sandbox_ledger SET amount_minor = amount_minor + 1"
            " WHERE attempt_id = '{paid_attempt}'"
        },
    ),
    Breach(
        "the provider charged a payment that we call failed",
        "{failed}",
        {"sandbox": _entry("{failed}")},
    ),
    Breach(
        "a charge has not reached its order yet",
        "{failed}",
        {"sandbox": _entry("{failed}"), "orders": LIVE},
    ),
    Breach(
        "money is still held for a payment that has ended",
        "{failed}",
        {"sandbox": _entry("{failed}", "authorize")},
    ),
    Breach("a payment goes on after its end was said", "{failed}", {"orders": LIVE}),
    Breach(
        "a payment has ended and nobody was told",
        "{failed}",
        {"gateway": "DELETE FROM events WHERE type = 'payment_intent.payment_failed'"},
    ),
)

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
            "gateway": _fact(
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
        "an order has two places",
        "{placed_order}",
        {
            "links": "DROP INDEX claims_one_live_per_order;"
            + _another("claims", "order_id = '{placed_order}'", f"attempt_id = 'pi_{ULID}'")
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
            "links": _another(
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

BREACHES: Final = (*MESSAGES, *MONEY, *PAGES, *PLACES)
