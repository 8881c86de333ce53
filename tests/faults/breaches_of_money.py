"""What can be wrong with messages and money, each written into the books by hand."""

from __future__ import annotations

from typing import Final

from tests.faults.breaches import ULID, Breach, another, another_fact

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
        {"gateway": another_fact("subject = '{paid_order}' AND sequence = 1", "mode = 'test'")},
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
        {
            "gateway": another_fact(
                "subject = '{paid_order}' AND type = 'order.paid'", "sequence = 3"
            )
        },
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
        {"orders": another("payment_intents", "id = '{paid_attempt}'", f"id = 'pi_{ULID}'")},
    ),
    Breach(
        "an order has two payments under way",
        "{unpaid_order}",
        {
            "orders": "DROP INDEX payment_intents_one_live;"
            + LIVE
            + another("payment_intents", "id = '{failed}'", f"id = 'pi_{ULID}'")
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
