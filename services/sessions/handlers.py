"""What sessions answers, hears and does by itself: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.sessions import opening, store
from services.sessions.domain import Facts, Session
from shared.bus.room import Handler, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Context, Message
from shared.contracts.links import LinkDeactivated, LinkResolved
from shared.contracts.lists import Page
from shared.contracts.orders import (
    AttemptRefused,
    OrderClosed,
    OrderPaid,
    OrderUnpayable,
    OrderUpdated,
)
from shared.contracts.payments import (
    PaymentIntentCanceled,
    PaymentIntentFact,
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
)
from shared.contracts.sessions import (
    CheckoutSession,
    CloseSession,
    CreateSession,
    GetSession,
    ListSessions,
    PayAccepted,
    PaySession,
    ShownSession,
    ShowSession,
    UpdateSession,
)


async def create(msg: CreateSession, tx: Tx) -> CheckoutSession:
    opening.refuse_unless_one(msg.params)
    session, *facts = opening.by_api(
        msg.params,
        ulid=tx.new_ulid(),
        balance=msg.order_balance_money,
        plan=msg.plan,
        merchant_id=tx.merchant_id,
        mode_environment=tx.context.mode,
        origin=tx.public_url,
        now=tx.now,
    )
    for was in await store.lock_open(tx, msg.params.order_id):
        await _end(tx, was, was.supersede(tx.now))
    await store.add(tx, session)
    tx.emit(*facts)
    return session.resource()


async def get(msg: GetSession, tx: Tx) -> CheckoutSession:
    session = await store.find(tx, msg.checkout_session_id)
    return session.resource()


async def list_sessions(msg: ListSessions, tx: Tx) -> Page[CheckoutSession]:
    return await store.list_sessions(tx, msg)


async def update(msg: UpdateSession, tx: Tx) -> CheckoutSession:
    was = await store.lock(tx, msg.checkout_session_id)
    session = was.described(msg.params.metadata or {}, tx.now)
    await store.save(tx, session, was=was)
    return session.resource()


async def close(msg: CloseSession, tx: Tx) -> CheckoutSession:
    was = await store.lock(tx, msg.checkout_session_id)
    session = await _end(tx, was, was.close(msg.params.reason, tx.now))
    return session.resource()


async def show(msg: ShowSession, tx: Tx) -> ShownSession:
    session = await store.find_for_buyer(tx, msg.checkout_session_id)
    return session.shown()


async def pay(msg: PaySession, tx: Tx) -> PayAccepted:
    was = await store.lock_for_buyer(tx, msg.checkout_session_id)
    session, ask = was.pay(msg, attempt_id=tx.new_id("pi"), now=tx.now)
    await store.save(tx, session, was=was)
    tx.send(ask, context=_context(tx, session))
    return PayAccepted(
        attempt_id=ask.attempt_id,
        checkout_session_id=session.checkout_session_id,
        order_id=session.order_id,
    )


async def on_link_resolved(msg: LinkResolved, tx: Tx) -> None:
    session, fact = opening.by_link(msg, origin=tx.public_url)
    if await store.add_once(tx, session):
        tx.emit(fact)
        return
    # Known already; or the merchant's newer session for this order got here before the news of it.
    late, facts = session.supersede(tx.now)
    if await store.add_once(tx, late):
        tx.emit(fact, *facts)


async def on_link_deactivated(msg: LinkDeactivated, tx: Tx) -> None:
    if msg.close_open_sessions:
        await store.remember_closed_link(tx, msg)


async def on_order_updated(msg: OrderUpdated, tx: Tx) -> None:
    for was in await store.lock_of_order(tx, msg):
        await store.save(tx, was.order_revised(msg, tx.now), was=was)


async def on_order_paid(msg: OrderPaid, tx: Tx) -> None:
    for was in await store.lock_of_order(tx, msg, msg.paid_session_id):
        await _end(tx, was, was.order_paid(msg, tx.now))


async def on_order_closed(msg: OrderClosed, tx: Tx) -> None:
    for was in await store.lock_of_order(tx, msg):
        await _end(tx, was, was.invalidate("order_closed", tx.now))


async def on_order_unpayable(msg: OrderUnpayable, tx: Tx) -> None:
    was = await store.lock_said(tx, msg.checkout_session_id)
    await _end(tx, was, was.invalidate(msg.reason, tx.now))


async def on_attempt_refused(msg: AttemptRefused, tx: Tx) -> None:
    if msg.checkout_session_id is None:
        return
    was = await store.lock_said(tx, msg.checkout_session_id)
    moved = was.attempt_failed(
        msg.attempt_id, code=msg.failure_code, message=msg.failure_message, now=tx.now
    )
    await _end(tx, was, moved)


async def on_intent_processing(msg: PaymentIntentProcessing, tx: Tx) -> None:
    if msg.checkout_session_id is None:
        return
    was = await store.lock_said(tx, msg.checkout_session_id)
    await store.save(tx, was.intent_known(msg, tx.now), was=was)


async def on_intent_requires_action(msg: PaymentIntentRequiresAction, tx: Tx) -> None:
    if msg.checkout_session_id is None:
        return
    was = await store.lock_said(tx, msg.checkout_session_id)
    await store.save(tx, was.action_required(msg, tx.now), was=was)


async def on_intent_failed(msg: PaymentIntentFact, tx: Tx) -> None:
    if msg.checkout_session_id is None:
        return
    was = await store.lock_said(tx, msg.checkout_session_id)
    await _end(tx, was, was.intent_failed(msg, tx.now))


async def expire(tx: Tx) -> int:
    sessions = await store.lock_expired(tx)
    await _end_all(tx, [was.expire(tx.now) for was in sessions])
    return len(sessions)


async def close_with_links(tx: Tx) -> int:
    sessions = await store.lock_of_closed_links(tx)
    await _end_all(tx, [was.close_with_link(tx.now) for was in sessions])
    if not sessions:
        await store.forget_closed_links(tx)
    return len(sessions)


async def ask_again(tx: Tx) -> int:
    sessions = await store.lock_unanswered(tx)
    asked = [was.ask_again(tx.now) for was in sessions]
    await store.save_all(tx, [session for session, _ in asked])
    for session, ask in asked:
        tx.send(ask, context=_context(tx, session))
    return len(sessions)


async def _end(tx: Tx, was: Session, moved: tuple[Session, Facts]) -> Session:
    session, facts = moved
    await store.save(tx, session, was=was)
    tx.emit(*facts)
    return session


async def _end_all(tx: Tx, moved: Sequence[tuple[Session, Facts]]) -> None:
    await store.save_all(tx, [session for session, _ in moved])
    for _, facts in moved:
        tx.emit(*facts)


def _context(tx: Tx, session: Session) -> Context:
    """A buyer's request and a sweep name no merchant: the session does."""
    words = (tx.context.request_id, tx.context.traceparent)
    return Context(session.merchant_id, session.mode_environment, *words)


HANDLERS: Final[Mapping[type[Message], Handler]] = {
    CreateSession: create,
    GetSession: get,
    ListSessions: list_sessions,
    UpdateSession: update,
    CloseSession: close,
    ShowSession: show,
    PaySession: pay,
    LinkResolved: on_link_resolved,
    LinkDeactivated: on_link_deactivated,
    OrderUpdated: on_order_updated,
    OrderPaid: on_order_paid,
    OrderClosed: on_order_closed,
    OrderUnpayable: on_order_unpayable,
    AttemptRefused: on_attempt_refused,
    PaymentIntentProcessing: on_intent_processing,
    PaymentIntentRequiresAction: on_intent_requires_action,
    PaymentIntentFailed: on_intent_failed,
    PaymentIntentCanceled: on_intent_failed,
}
SWEEPS: Final[Sequence[Sweep]] = (
    Sweep("sessions.expire", 1.0, expire),
    Sweep("sessions.close_with_links", 1.0, close_with_links),
    Sweep("sessions.ask_again", 5.0, ask_again),
)
