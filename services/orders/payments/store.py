"""All SQL about payments. Where an order changes with its payment, one statement writes both.

Locks are taken in one order everywhere: the order, then its payment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from services.orders.ordering import store as orders
from services.orders.ordering.domain import Sale
from services.orders.payments.answers import Move
from services.orders.payments.payment import ANSWER_WAIT, Payment
from shared.bus.room import SWEEP_BATCH
from shared.bus.tx import Tx
from shared.contracts.payments import PaymentActivity, PaymentIntent
from shared.db.pool import Record
from shared.errors import not_found
from shared.money import money

NAMES: Final = (
    "merchant_id",
    "id",
    "mode",
    "order_id",
    "checkout_session_id",
    "payment_link_id",
    "customer_id",
    "source",
    "provider",
    "amount_minor",
    "currency",
    "return_url",
    "receipt_email",
    "quantities",
    "created_at",
    # From here on: what changes, in the order of `_changing`.
    "phase",
    "status",
    "provider_ref",
    "payment_source_token",
    "failure_code",
    "failure_message",
    "next_action_url",
    "card_brand",
    "card_last_four",
    "is_claimed",
    "void_reason",
    "next_action_at",
    "give_up_at",
    "asked",
    "tell_at",
    "activities",
    "updated_at",
    "version",
)
CHANGING: Final = NAMES[NAMES.index("phase") :]
COLUMNS: Final = ", ".join(NAMES)


def _parameters(first: int, count: int) -> str:
    return ", ".join(f"${number}" for number in range(first, first + count))


def _with_order(sql: str) -> str:
    """The statement, its parameters following those of the order's, which is saved along."""
    offset = orders.SAVE_LIFE.count("$")
    moved = re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + offset}", sql)
    return f"""
        WITH saved AS ({orders.SAVE_LIFE} RETURNING 1)
        {moved}
        RETURNING (SELECT count(*) FROM saved)
    """  # noqa: S608 the only things put in are our own statements


ADD: Final = _with_order(f"""
    INSERT INTO payment_intents ({COLUMNS}) VALUES ({_parameters(1, len(NAMES))})
""")  # noqa: S608 the only things put in are our own names
SAVE: Final = f"""
    UPDATE payment_intents SET ({", ".join(CHANGING)}) = ROW ({_parameters(3, len(CHANGING))})
    WHERE merchant_id = $1 AND id = $2 AND version = ${len(CHANGING) + 2} - 1
"""  # noqa: S608 the only things put in are our own names
SAVE_WITH_ORDER: Final = _with_order(SAVE)
# An intent of nothing (only a place is claimed) is ours, not the merchant's.
FIND: Final = f"""
    SELECT {COLUMNS} FROM payment_intents
    WHERE merchant_id = $1 AND mode = $2 AND id = $3 AND amount_minor > 0
"""  # noqa: S608 the only thing put in is our own constant
LOCK_FOR_BUYER: Final = f"""
    SELECT {COLUMNS} FROM payment_intents WHERE id = $1 AND amount_minor > 0 FOR UPDATE
"""  # noqa: S608 the only thing put in is our own constant
LOCK_WITH_ORDER: Final = f"""
    SELECT {", ".join(f"o.{name.strip()}" for name in orders.COLUMNS.split(","))},
        {", ".join(f"i.{name} AS i_{name}" for name in NAMES)}
    FROM orders o JOIN payment_intents i ON i.merchant_id = o.merchant_id AND i.order_id = o.id
    WHERE o.id = $1 AND i.id = $2
    FOR UPDATE OF o, i
"""  # noqa: S608 the only things put in are our own names
TAKE_DUE: Final = f"""
    UPDATE payment_intents i SET next_action_at = $2, version = version + 1
    FROM (
        SELECT merchant_id AS merchant, id AS due_id FROM payment_intents
        WHERE next_action_at <= $1
        ORDER BY next_action_at LIMIT {SWEEP_BATCH} FOR UPDATE SKIP LOCKED
    ) due
    WHERE i.merchant_id = due.merchant AND i.id = due.due_id
    RETURNING {COLUMNS}
"""  # noqa: S608 the only things put in are our own constants

_activities: Final = TypeAdapter(list[PaymentActivity])


async def find(tx: Tx, payment_intent_id: str) -> PaymentIntent:
    """The merchant's intent. Raises not_found."""
    row = await tx.db.fetchrow(FIND, tx.merchant_id, tx.mode, payment_intent_id)
    return _found(row).intent


async def lock_for_buyer(tx: Tx, payment_intent_id: str) -> Payment:
    """By id alone, for one that came back from the provider's page. Raises not_found."""
    return _found(await tx.db.fetchrow(LOCK_FOR_BUYER, payment_intent_id))


async def lock_with_order(tx: Tx, order_id: str, attempt_id: str) -> tuple[Sale, Payment]:
    """Both, nobody else's until the commit: no answer can overtake another."""
    row = await tx.db.fetchrow(LOCK_WITH_ORDER, order_id, attempt_id)
    assert row is not None, f"{attempt_id} of {order_id} was asked for before it was written"
    return orders.sale_of(row), _payment(row, "i_")


async def take_due(tx: Tx, now: datetime) -> Sequence[Payment]:
    """Those that are due, for this sweep alone; until they are answered they are not due again."""
    rows = await tx.db.fetch(TAKE_DUE, now, now + ANSWER_WAIT)
    return [_payment(row) for row in rows]


async def begin(tx: Tx, move: Move, *, was: Sale) -> None:
    """Write what pressing pay has made, if it made anything."""
    if move.payment is None:
        if move.sale is not was:
            await orders.save_life(tx, move.sale)
        return
    arguments = (*orders.life_of(move.sale), *_fixed(move.payment), *_changing(move.payment))
    assert await tx.db.fetchval(ADD, *arguments) == 1, "the order is locked and there"


async def save(tx: Tx, payment: Payment, *, was: Payment) -> None:
    """Write a locked payment that changed."""
    if payment is not was:
        done = await tx.db.execute(SAVE, *_key(payment), *_changing(payment))
        assert done == "UPDATE 1", f"{payment.intent.payment_intent_id} was overtaken"


async def save_move(tx: Tx, move: Move, *, was: tuple[Sale, Payment]) -> None:
    """Write whatever changed of the two."""
    assert move.payment is not None, "an answer is about a payment"
    if move.sale is was[0]:
        await save(tx, move.payment, was=was[1])
        return
    payment = move.payment
    arguments = (*orders.life_of(move.sale), *_key(payment), *_changing(payment))
    saved = await tx.db.fetchval(SAVE_WITH_ORDER, *arguments)
    assert saved == 1, f"{payment.intent.payment_intent_id} was overtaken"


def _found(row: Record | None) -> Payment:
    if row is None:
        raise not_found("payment intent")
    return _payment(row)


def _payment(row: Record, prefix: str = "") -> Payment:
    """The one place where a row becomes a payment."""
    of = {name: row[prefix + name] for name in NAMES}
    intent = PaymentIntent(
        payment_intent_id=of["id"],
        amount_money=money(of["amount_minor"], of["currency"]),
        status=of["status"],
        order_id=of["order_id"],
        checkout_session_id=of["checkout_session_id"],
        payment_link_id=of["payment_link_id"],
        customer_id=of["customer_id"],
        source=of["source"],
        receipt_email=of["receipt_email"],
        payment_method_last_four=of["card_last_four"],
        payment_method_brand=of["card_brand"],
        failure_code=of["failure_code"],
        failure_message=of["failure_message"],
        next_action_url=of["next_action_url"],
        activities=_activities.validate_python(of["activities"]),
        merchant_id=of["merchant_id"],
        mode_environment=of["mode"],
        created_at=of["created_at"],
        updated_at=of["updated_at"],
    )
    return Payment(
        intent=intent,
        phase=of["phase"],
        provider=of["provider"],
        next_action_at=of["next_action_at"],
        payment_source_token=of["payment_source_token"],
        return_url=of["return_url"],
        payment_link_id=of["payment_link_id"],
        quantities=of["quantities"],
        provider_ref=of["provider_ref"],
        is_claimed=of["is_claimed"],
        void_reason=of["void_reason"],
        give_up_at=of["give_up_at"],
        asked=of["asked"],
        tell_at=of["tell_at"],
        version=of["version"],
    )


def _key(payment: Payment) -> tuple[str, str]:
    return payment.intent.merchant_id, payment.intent.payment_intent_id


def _fixed(payment: Payment) -> tuple[Any, ...]:
    intent = payment.intent
    return (
        *_key(payment),
        intent.mode_environment,
        intent.order_id,
        intent.checkout_session_id,
        payment.payment_link_id,
        intent.customer_id,
        intent.source,
        payment.provider,
        intent.amount_money.amount,
        intent.amount_money.currency,
        payment.return_url,
        intent.receipt_email,
        dict(payment.quantities),
        intent.created_at,
    )


def _changing(payment: Payment) -> tuple[Any, ...]:
    intent = payment.intent
    return (
        payment.phase,
        intent.status,
        payment.provider_ref,
        payment.payment_source_token,
        intent.failure_code,
        intent.failure_message,
        intent.next_action_url,
        intent.payment_method_brand,
        intent.payment_method_last_four,
        payment.is_claimed,
        payment.void_reason,
        payment.next_action_at,
        payment.give_up_at,
        payment.asked,
        payment.tell_at,
        _activities.dump_python(intent.activities, mode="json", exclude_none=True),
        intent.updated_at,
        payment.version,
    )
