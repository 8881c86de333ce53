"""All SQL of sessions. Every move is one locking read and one write guarded by the version."""

# ruff: noqa: S608  (what is put into SQL here is this file's own list of columns)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from services.sessions.domain import Session
from shared.bus.room import SWEEP_BATCH
from shared.bus.tx import Tx
from shared.contracts.link_requests import CustomField
from shared.contracts.links import LinkDeactivated
from shared.contracts.lists import Page
from shared.contracts.orders import OrderFact, PayOrder
from shared.contracts.plans import SubscriptionTerms
from shared.contracts.sessions import Attempt, CheckoutSession, ListSessions, SessionConfigs
from shared.db import keyset
from shared.db.pool import Record
from shared.errors import Refusal, Unavailable, not_found
from shared.money import money

_COLUMNS: Final = """
    checkout_session_id, merchant_id, mode_environment, order_id, payment_link_id, source, name,
    status, terminal_reason, closed_reason, amount, currency, order_revision,
    client_reference_id, payment_intent_ids, frozen, metadata, attempt, attempt_moved_at,
    pay_order, ask_again_at, asked, failed_attempts, owed_end, expires_at, expired_at,
    completed_at, created_at, updated_at, version
"""

ADD: Final = """
    INSERT INTO sessions (merchant_id, checkout_session_id, mode_environment, order_id,
                          payment_link_id, source, name, status, terminal_reason, amount,
                          currency, client_reference_id, frozen, metadata, expires_at,
                          created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

ADD_ONCE: Final = ADD + " ON CONFLICT DO NOTHING"

SAVE: Final = """
    UPDATE sessions
    SET status = $4, terminal_reason = $5, closed_reason = $6, amount = $7, order_revision = $8,
        payment_intent_ids = $9, metadata = $10, attempt = $11, pay_order = $12,
        ask_again_at = $13, asked = $14, failed_attempts = $15, owed_end = $16,
        expired_at = $17, completed_at = $18, updated_at = $19, attempt_moved_at = $20,
        version = version + 1
    WHERE merchant_id = $1 AND checkout_session_id = $2 AND version = $3
    RETURNING version
"""

FIND: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE merchant_id = $1 AND checkout_session_id = $2 AND mode_environment = $3
"""

LOCK: Final = FIND + " FOR UPDATE"

FIND_FOR_BUYER: Final = f"SELECT {_COLUMNS} FROM sessions WHERE checkout_session_id = $1"

LOCK_FOR_BUYER: Final = FIND_FOR_BUYER + " FOR UPDATE"

# Who opens a session for an order waits for who is doing it now; without a row there is nothing
# else to wait on, and of ten at once nine would have to begin again, and again.
LOCK_ORDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"

LOCK_OPEN: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE merchant_id = $1 AND order_id = $2 AND mode_environment = $3 AND status = 'open'
    FOR UPDATE
"""

# At most two rows: the open one, and the one that an order was paid through.
LOCK_OF_ORDER: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE merchant_id = $1 AND order_id = $2 AND mode_environment = $3
      AND (status = 'open' OR checkout_session_id = $4)
    ORDER BY checkout_session_id
    FOR UPDATE
"""

ORDER_IS_KNOWN: Final = """
    SELECT EXISTS (SELECT 1 FROM sessions WHERE merchant_id = $1 AND order_id = $2)
"""

LOCK_EXPIRED: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE status = 'open' AND live_attempt_id IS NULL AND expires_at <= $1
    ORDER BY expires_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
"""

LOCK_UNANSWERED: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE ask_again_at <= $1
    ORDER BY ask_again_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
"""

REMEMBER_CLOSED_LINK: Final = """
    INSERT INTO closed_links (merchant_id, payment_link_id, closed_at, heard_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (merchant_id, payment_link_id) DO UPDATE
    SET closed_at = greatest(closed_links.closed_at, excluded.closed_at),
        heard_at = excluded.heard_at
"""

# Lateral: whatever the planner believes, it begins with the closed links, not with all sessions.
LOCK_OF_CLOSED_LINKS: Final = f"""
    SELECT {_COLUMNS}
    FROM closed_links AS gone (seller, link, closed_at), LATERAL (
        SELECT {_COLUMNS} FROM sessions
        WHERE merchant_id = seller AND payment_link_id = link AND created_at <= closed_at
          AND status = 'open' AND live_attempt_id IS NULL
        FOR UPDATE SKIP LOCKED
    ) AS left_open
    LIMIT $1
"""

# Kept a minute for a session that comes late, and while a payment is in flight: it may yet fail.
FORGET_CLOSED_LINKS: Final = """
    DELETE FROM closed_links
    WHERE heard_at < $1::timestamptz - interval '1 minute' AND NOT EXISTS (
        SELECT FROM sessions AS s WHERE s.status = 'open' AND s.created_at <= closed_at
          AND s.merchant_id = closed_links.merchant_id
          AND s.payment_link_id = closed_links.payment_link_id)
"""

_LIST: Final = f"""
    SELECT {_COLUMNS} FROM sessions
    WHERE :common
      AND ($9::timestamptz IS NULL OR expired_at > $9)
      AND ($10::timestamptz IS NULL OR expired_at < $10)
      AND ($11::text IS NULL OR name ILIKE $11 OR client_reference_id ILIKE $11
           OR checkout_session_id ILIKE $11 OR order_id ILIKE $11)
      AND ($12::text IS NULL OR status = $12)
      AND ($13::text IS NULL OR order_id = $13)
      AND ($14::text IS NULL OR source = $14)
      AND ($15::text IS NULL OR payment_link_id = $15)
    :order
    LIMIT $16
"""

LIST: Final = keyset.statements(_LIST, ("created_at", "updated_at"), id_name="checkout_session_id")


def no_such_session() -> Refusal:
    """Unknown, another merchant's, of the other mode: one answer."""
    return not_found("checkout session")


def _session(row: Record, origin: str) -> Session:
    frozen, attempt, pay_order = row["frozen"], row["attempt"], row["pay_order"]
    return Session(
        checkout_session_id=row["checkout_session_id"],
        merchant_id=row["merchant_id"],
        mode_environment=row["mode_environment"],
        order_id=row["order_id"],
        source=row["source"],
        amount_money=money(row["amount"], row["currency"]),
        configs=SessionConfigs.model_validate(frozen["configs"]),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        origin=origin,
        name=row["name"],
        payment_link_id=row["payment_link_id"],
        status=row["status"],
        terminal_reason=row["terminal_reason"],
        closed_reason=row["closed_reason"],
        payment_intent_ids=tuple(row["payment_intent_ids"]),
        custom_fields=tuple(CustomField.model_validate(one) for one in frozen["custom_fields"]),
        custom_field_values=frozen["custom_field_values"],
        client_reference_id=row["client_reference_id"],
        donation_frequency=frozen.get("donation_frequency"),
        subscription_terms=_terms(frozen.get("subscription_terms")),
        expired_at=row["expired_at"],
        completed_at=row["completed_at"],
        metadata=row["metadata"],
        order_revision=row["order_revision"],
        attempt=None if attempt is None else Attempt.model_validate(attempt),
        attempt_moved_at=row["attempt_moved_at"],
        pay_order=None if pay_order is None else PayOrder.model_validate(pay_order),
        ask_again_at=row["ask_again_at"],
        asked=row["asked"],
        failed_attempts=row["failed_attempts"],
        owed_end=row["owed_end"],
        version=row["version"],
    )


def _frozen(session: Session) -> dict[str, Any]:
    dump = session.configs.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    fields = [one.model_dump(mode="json", exclude_none=True) for one in session.custom_fields]
    answers, terms = dict(session.custom_field_values), session.subscription_terms
    return {
        "configs": dump,
        "custom_fields": fields,
        "custom_field_values": answers,
        "donation_frequency": session.donation_frequency,
        "subscription_terms": terms and terms.model_dump(mode="json", exclude_none=True),
    }


def _terms(frozen: Any) -> SubscriptionTerms | None:
    return None if frozen is None else SubscriptionTerms.model_validate(frozen)


def _new_row(session: Session) -> tuple[Any, ...]:
    return (
        session.merchant_id,
        session.checkout_session_id,
        session.mode_environment,
        session.order_id,
        session.payment_link_id,
        session.source,
        session.name,
        session.status,
        session.terminal_reason,
        session.amount_money.amount,
        session.amount_money.currency,
        session.client_reference_id,
        _frozen(session),
        dict(session.metadata),
        session.expires_at,
        session.created_at,
        session.updated_at,
    )


async def add(tx: Tx, session: Session) -> None:
    """A new session. Raises UniqueViolation if a link just opened one too: the bus looks again."""
    await tx.db.execute(ADD, *_new_row(session))


async def add_once(tx: Tx, session: Session) -> bool:
    """Whether it was new: an event may come twice, or a newer session of its order be open."""
    return await tx.db.execute(ADD_ONCE, *_new_row(session)) == "INSERT 0 1"


async def save(tx: Tx, session: Session, *, was: Session) -> None:
    """A locked session's next state; one that did not move is not written."""
    if session is was:
        return
    written = await tx.db.fetchval(SAVE, *_moved_row(session))
    assert written is not None, f"{session.checkout_session_id} changed under its lock"


async def save_all(tx: Tx, sessions: Sequence[Session]) -> None:
    """Many locked sessions' next states in one round trip."""
    await tx.db.executemany(SAVE, [_moved_row(session) for session in sessions])


def _moved_row(session: Session) -> tuple[Any, ...]:
    attempt, pay_order = session.attempt, session.pay_order
    return (
        session.merchant_id,
        session.checkout_session_id,
        session.version,
        session.status,
        session.terminal_reason,
        session.closed_reason,
        session.amount_money.amount,
        session.order_revision,
        list(session.payment_intent_ids),
        dict(session.metadata),
        attempt and attempt.model_dump(mode="json", exclude_none=True),
        pay_order and pay_order.model_dump(mode="json", exclude_none=True),
        session.ask_again_at,
        session.asked,
        session.failed_attempts,
        session.owed_end,
        session.expired_at,
        session.completed_at,
        session.updated_at,
        session.attempt_moved_at,
    )


async def find(tx: Tx, checkout_session_id: str) -> Session:
    """The merchant's session; raises not_found."""
    row = await tx.db.fetchrow(FIND, tx.merchant_id, checkout_session_id, tx.mode)
    return _found(row, tx)


async def lock(tx: Tx, checkout_session_id: str) -> Session:
    """The merchant's session, nobody else's until the commit; raises not_found."""
    row = await tx.db.fetchrow(LOCK, tx.merchant_id, checkout_session_id, tx.mode)
    return _found(row, tx)


async def find_for_buyer(tx: Tx, checkout_session_id: str) -> Session:
    """By id alone; raises not_found."""
    return _found(await tx.db.fetchrow(FIND_FOR_BUYER, checkout_session_id), tx)


async def lock_for_buyer(tx: Tx, checkout_session_id: str) -> Session:
    """By id alone, nobody else's until the commit; raises not_found."""
    return _found(await tx.db.fetchrow(LOCK_FOR_BUYER, checkout_session_id), tx)


def _found(row: Record | None, tx: Tx) -> Session:
    if row is None:
        raise no_such_session()
    return _session(row, tx.public_url)


async def lock_open(tx: Tx, order_id: str | None) -> list[Session]:
    """The order's open session, if it has one; none for an order that is yet to be made."""
    if order_id is None:
        return []
    await tx.db.execute(LOCK_ORDER, order_id)
    rows = await tx.db.fetch(LOCK_OPEN, tx.merchant_id, order_id, tx.mode)
    return [_session(row, tx.public_url) for row in rows]


async def lock_said(tx: Tx, checkout_session_id: str) -> Session:
    """The session an event is about. Raises Unavailable while it is not here yet.

    The event that opens a session may be slower than one that orders says about it: the bus
    brings the latter again, so nothing is lost and nothing has to arrive in order.
    """
    row = await tx.db.fetchrow(LOCK, tx.merchant_id, checkout_session_id, tx.mode)
    if row is None:
        raise Unavailable(f"{checkout_session_id} has not been opened here yet")
    return _session(row, tx.public_url)


async def lock_of_order(
    tx: Tx, msg: OrderFact, paid_session_id: str | None = None
) -> list[Session]:
    """The order's open session, and the one it was paid through; often none at all.

    An order made by the API needs no session. But a link's order always has one, and so has an
    order that was paid through one: where that is missing it is only late, see `lock_said`.
    """
    owner = (tx.merchant_id, msg.order_id)
    rows = await tx.db.fetch(LOCK_OF_ORDER, *owner, tx.mode, paid_session_id)
    found = {row["checkout_session_id"] for row in rows}
    is_late = paid_session_id is not None and paid_session_id not in found
    if not rows and msg.source == "payment_link":
        is_late = not await tx.db.fetchval(ORDER_IS_KNOWN, *owner)
    if is_late:
        raise Unavailable(f"no session of {msg.order_id} has been opened here yet")
    return [_session(row, tx.public_url) for row in rows]


async def lock_expired(tx: Tx) -> list[Session]:
    """Open sessions past their time with no payment in flight; others' rows are skipped."""
    return await _lock_batch(tx, LOCK_EXPIRED, tx.now)


async def lock_unanswered(tx: Tx) -> list[Session]:
    """Sessions whose payment request orders has not confirmed in time."""
    return await _lock_batch(tx, LOCK_UNANSWERED, tx.now)


async def lock_of_closed_links(tx: Tx) -> list[Session]:
    """Open sessions of links that were deactivated together with them."""
    return await _lock_batch(tx, LOCK_OF_CLOSED_LINKS)


async def _lock_batch(tx: Tx, statement: str, *args: object) -> list[Session]:
    rows = await tx.db.fetch(statement, *args, SWEEP_BATCH)
    return [_session(row, tx.public_url) for row in rows]


async def remember_closed_link(tx: Tx, msg: LinkDeactivated) -> None:
    """From now on the sweep closes the sessions that the link opened until it was deactivated."""
    link = (msg.merchant_id, msg.payment_link_id)
    await tx.db.execute(REMEMBER_CLOSED_LINK, *link, msg.updated_at, tx.now)


async def forget_closed_links(tx: Tx) -> None:
    """Once nothing is left to close: what was heard a minute ago is done."""
    await tx.db.execute(FORGET_CLOSED_LINKS, tx.now)


async def list_sessions(tx: Tx, msg: ListSessions) -> Page[CheckoutSession]:
    """One page of the merchant's sessions."""
    rows = await tx.db.fetch(
        LIST[msg.sort_field, msg.sort_direction],
        *keyset.common(tx, msg),
        msg.expired_after,
        msg.expired_before,
        keyset.like(msg.query),
        msg.status,
        msg.order_id,
        msg.source,
        msg.payment_link_id,
        msg.page_size + 1,
    )
    return keyset.page(
        rows,
        msg,
        make=lambda row: _session(row, tx.public_url).resource(),
        id_name="checkout_session_id",
    )
