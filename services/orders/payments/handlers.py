"""What orders answers and hears about payments: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from services.orders.ordering import store as orders
from services.orders.ordering.domain import Moment, Sale
from services.orders.payments import domain, store
from services.orders.payments.answers import Move
from services.orders.payments.payment import Payment
from services.orders.tickets import domain as tickets
from services.orders.tickets import store as register
from shared.bus.room import Handler, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Context, Message
from shared.contracts.links import ClaimSettled
from shared.contracts.orders import AttemptRefused, Order, PaymentStarted, PayOrder
from shared.contracts.payments import (
    ChargeSettled,
    GetPaymentIntent,
    PaymentIntent,
    ResumePayment,
)
from shared.errors import Refusal, Unavailable, not_found

log = structlog.get_logger("flint.orders")


async def pay(msg: PayOrder, tx: Tx) -> PaymentStarted:
    was = await _order_to_pay(msg, tx)
    move = domain.start(was, msg, _moment(tx))
    if isinstance(move, Refusal):
        tx.emit(_said_no(msg, move))
        return PaymentStarted(attempt_id=msg.attempt_id, order=was.order)
    move = await _with_tickets(tx, move)
    await store.begin(tx, move, was=was)
    _tell(tx, move)
    return PaymentStarted(attempt_id=msg.attempt_id, order=move.sale.order)


async def get(msg: GetPaymentIntent, tx: Tx) -> PaymentIntent:
    return await store.find(tx, msg.payment_intent_id)


async def resume(msg: ResumePayment, tx: Tx) -> PaymentIntent:
    was = await store.lock_for_buyer(tx, msg.payment_intent_id)
    payment, calls = domain.ask_now(was, _moment(tx))
    await store.save(tx, payment, was=was)
    tx.send(*calls, context=_context(tx, payment.intent))
    return payment.intent


async def on_charge_settled(msg: ChargeSettled, tx: Tx) -> None:
    sale, payment = await store.lock_with_order(tx, msg.order_id, msg.attempt_id)
    move = await _with_tickets(tx, domain.settle(sale, payment, msg, _moment(tx)))
    await store.save_move(tx, move, was=(sale, payment))
    _tell(tx, move)
    if move.is_overdue:
        _tell_operator(payment, tx)


async def on_claim_settled(msg: ClaimSettled, tx: Tx) -> None:
    sale, payment = await store.lock_with_order(tx, msg.order_id, msg.attempt_id)
    move = await _with_tickets(tx, domain.settle_claim(sale, payment, msg, _moment(tx)))
    await store.save_move(tx, move, was=(sale, payment))
    _tell(tx, move)


async def resume_due(tx: Tx) -> int:
    """Ask for every payment whose answer is late, each under its own key."""
    due = await store.take_due(tx, tx.now)
    for was in due:
        payment, calls = domain.resume(was, _moment(tx))
        await store.save(tx, payment, was=was)
        tx.send(*calls, context=_context(tx, payment.intent))
    return len(due)


async def _order_to_pay(msg: PayOrder, tx: Tx) -> Sale:
    sale = await orders.lock_if_there(tx, msg.order_id)
    if sale is not None:
        return sale
    if msg.checkout_session_id is not None:
        # The page exists, so its order is on its way: overtaken, not unknown.
        raise Unavailable(f"{msg.order_id} is not here yet")
    raise not_found("order")


async def _with_tickets(tx: Tx, move: Move) -> Move:
    """A move that paid for seats takes their numbers along, in the same transaction."""
    count = tickets.due(move)
    if not count:
        return move
    ids = [tx.new_id("tkt") for _ in range(count)]
    first = await register.take_numbers(tx, move.sale.order, ids)
    return tickets.issued(move, ids, first, _moment(tx))


def _said_no(msg: PayOrder, refusal: Refusal) -> AttemptRefused:
    """To a page it is said; to the API it is the answer itself."""
    if msg.checkout_session_id is None:
        raise refusal
    return AttemptRefused(
        attempt_id=msg.attempt_id,
        order_id=msg.order_id,
        checkout_session_id=msg.checkout_session_id,
        failure_code=refusal.code,
        failure_message=refusal.message,
    )


def _tell(tx: Tx, move: Move) -> None:
    context = _context(tx, move.sale.order)
    tx.emit(*move.facts, context=context)
    tx.send(*move.calls, context=context)


def _tell_operator(payment: Payment, tx: Tx) -> None:
    """Nothing is charged twice meanwhile; but only a person can find out what the provider did."""
    intent = payment.intent
    log.error(
        "payment.unresolved",
        payment_intent_id=intent.payment_intent_id,
        order_id=intent.order_id,
        merchant_id=intent.merchant_id,
        provider=payment.provider,
        step=payment.phase,
        asked=payment.asked,
        started_minutes_ago=round((tx.now - intent.created_at).total_seconds() / 60),
        next_step="look the payment up at the provider; it settles by itself once that answers",
    )


def _context(tx: Tx, of: Order | PaymentIntent) -> Context:
    """Sweeps and answers come without a merchant: what they cause belongs to the order's."""
    request = tx.context
    return Context(of.merchant_id, of.mode_environment, request.request_id, request.traceparent)


def _moment(tx: Tx) -> Moment:
    return Moment(tx.now, tx.new_id)


HANDLERS: Final[Mapping[type[Message], Handler]] = {
    PayOrder: pay,
    GetPaymentIntent: get,
    ResumePayment: resume,
    ChargeSettled: on_charge_settled,
    ClaimSettled: on_claim_settled,
}
SWEEPS: Final[Sequence[Sweep]] = (Sweep("payments.resume_due", 1.0, resume_due),)
