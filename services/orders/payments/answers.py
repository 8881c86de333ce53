"""What each answer makes of a payment and of its order. Pure; the table at the bottom is the whole.

Money is certain only when the provider said so: no answer is no news, and nothing ends before
it is certain that no money was or will be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.orders.ordering import domain as ordering
from services.orders.ordering.domain import Moment, Sale, fact
from services.orders.payments import calls
from services.orders.payments.calls import Call
from services.orders.payments.payment import (
    ACTION_WAIT,
    CLAIM_WAIT,
    STATUSES,
    Payment,
    Phase,
    VoidReason,
    calling,
    moved,
    shown_as,
    undecided,
    waiting,
)
from shared.contracts.base import Event
from shared.contracts.orders import AttemptRefused
from shared.contracts.payments import (
    ChargeSettled,
    Outcome,
    PaymentIntent,
    PaymentIntentCanceled,
    PaymentIntentFact,
    PaymentIntentFailed,
    PaymentIntentLate,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
    PaymentIntentSucceeded,
)

NOT_CHARGED: Final = "Nothing was charged."
MESSAGES: Final = {
    "PAYMENT_LINK_MAX_COMPLETIONS_REACHED": f"This link has just been used up. {NOT_CHARGED}",
    "EVENT_SOLD_OUT": f"It has just sold out. {NOT_CHARGED}",
    "EVENT_ENDED": f"The event is over. {NOT_CHARGED}",
    "PAYMENT_LINK_INACTIVE": f"This link takes no more payments. {NOT_CHARGED}",
    "ORDER_CLOSED": f"The order can no longer be paid. {NOT_CHARGED}",
    "payment_action_expired": f"The payment was not confirmed in time. {NOT_CHARGED}",
    "card_declined": "The card was declined.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no money was taken, for programs and for people."""

    code: str
    message: str


def failure(code: str | None, message: str | None = None) -> Failure:
    """The provider's own words if it has any, else ours."""
    code = code or "payment_failed"
    return Failure(code, message or MESSAGES.get(code, f"The payment failed. {NOT_CHARGED}"))


@dataclass(frozen=True, slots=True)
class Move:
    """What comes of a message. An unchanged sale or payment is the very object that came in.

    `is_overdue`: its outcome has been unknown for so long that a person has to know.
    """

    sale: Sale
    payment: Payment | None
    facts: Sequence[Event] = ()
    calls: Sequence[Call] = ()
    is_overdue: bool = False


def learned(payment: Payment, msg: ChargeSettled) -> Payment:
    """What an answer tells beside its outcome."""
    intent = payment.intent
    update = {
        "payment_method_brand": msg.card_brand or intent.payment_method_brand,
        "payment_method_last_four": msg.card_last_four or intent.payment_method_last_four,
    }
    return replace(
        payment,
        intent=intent.model_copy(update=update),
        provider_ref=msg.provider_ref or payment.provider_ref,
    )


def taken(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The money is in hand: the order is paid by it, or keeps it as money that came too late."""
    before = payment.intent
    payment = moved(learned(payment, msg), "succeeded", at)
    cleared = {"failure_code": None, "failure_message": None}
    payment = shown_as(payment, "succeeded", "Payment succeeded.", at, **cleared)
    intent_id, amount = before.payment_intent_id, before.amount_money.amount
    if not ordering.can_be_settled_by(sale, amount):
        sale = ordering.received_late(sale, intent_id, amount, at)
        return Move(sale, payment, [fact(PaymentIntentLate, payment.intent, before)])
    sale, facts = ordering.paid(sale, intent_id, amount, before.checkout_session_id, at)
    return Move(sale, payment, [fact(PaymentIntentSucceeded, payment.intent, before), *facts])


def free_success(sale: Sale, payment: Payment, at: Moment) -> Move:
    """The place is claimed and nothing is due."""
    intent = payment.intent
    payment = shown_as(moved(payment, "succeeded", at), "succeeded", "Nothing was due.", at)
    sale, facts = ordering.paid(sale, intent.payment_intent_id, 0, intent.checkout_session_id, at)
    return Move(sale, payment, facts)


def _held(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The card works: now the place, and only then the money."""
    del msg
    before = payment.intent
    if sale.order.status != "open":
        return refused(sale, payment, "ORDER_CLOSED", at)
    payment = moved(payment, "claim", at)
    payment = shown_as(payment, "processing", "Payment authorized.", at)
    payment = replace(payment, give_up_at=at.now + CLAIM_WAIT)
    facts = _if_changed(PaymentIntentProcessing, payment.intent, before)
    return Move(sale, payment, facts, [calls.first_call(payment)])


def _declined(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    why = failure(msg.failure_code, msg.failure_message)
    return _ended(sale, payment, "failed", why, at)


def _uncapturable(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The hold cannot be taken: give it back, and the place only after that is certain."""
    why = failure(msg.failure_code, msg.failure_message)
    payment = voiding(payment, "uncapturable", why, at)
    return Move(sale, payment, (), [calls.first_call(payment)])


def _voided(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    del msg
    ends: dict[VoidReason | None, Phase] = {"refused": "canceled", "expired": "expired"}
    phase = ends.get(payment.void_reason, "failed")
    why = failure(payment.intent.failure_code, payment.intent.failure_message)
    return _ended(sale, payment, phase, why, at)


def _action(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The buyer has to confirm on the provider's page, for at most `ACTION_WAIT`."""
    before = payment.intent
    payment = shown_as(
        waiting(payment, at),
        "requires_action",
        "Waiting for the buyer's confirmation.",
        at,
        next_action_url=msg.redirect_url,
    )
    give_up_at = payment.give_up_at or at.now + ACTION_WAIT
    payment = replace(payment, give_up_at=give_up_at, tell_at=None)
    return Move(sale, payment, _if_changed(PaymentIntentRequiresAction, payment.intent, before))


def _pending(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The provider knows it and has not decided; the buyer has nothing more to do."""
    del msg
    before = payment.intent
    payment = shown_as(waiting(payment, at), "processing", "Payment processing.", at)
    payment = replace(payment, give_up_at=None, tell_at=None)
    return Move(sale, payment, _if_changed(PaymentIntentProcessing, payment.intent, before))


def _unknown(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """No answer is no news: whatever it was, it still is; ask again by the same key."""
    del msg
    payment, is_overdue = undecided(payment, at)
    return Move(sale, payment, is_overdue=is_overdue)


def _absent(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """The call never arrived: send it, under the same key."""
    del msg
    payment = calling(payment, at)
    return Move(sale, payment, (), [calls.first_call(payment)])


def refused(sale: Sale, payment: Payment, code: str, at: Moment) -> Move:
    """No place for this buyer: what is held goes back."""
    if payment.is_free:
        return _ended(sale, payment, "canceled", failure(code), at)
    payment = voiding(payment, "refused", failure(code), at)
    return Move(sale, payment, (), [calls.first_call(payment)])


def voiding(payment: Payment, reason: VoidReason, why: Failure, at: Moment) -> Payment:
    """On its way to an end without money; the reason is kept until that is certain."""
    update = {"failure_code": why.code, "failure_message": why.message}
    intent = payment.intent.model_copy(update=update)
    return moved(replace(payment, intent=intent), "void", at, void_reason=reason)


def _ended(sale: Sale, payment: Payment, phase: Phase, why: Failure, at: Moment) -> Move:
    """Certainly no money: the order may be paid again, a claimed place goes back."""
    before = payment.intent
    told = {"failure_code": why.code, "failure_message": why.message}
    payment = shown_as(moved(payment, phase, at), STATUSES[phase], why.message, at, **told)
    sale, facts = ordering.attempt_failed(
        sale, before.payment_intent_id, at, why=why.message, is_free=payment.is_free
    )
    sent = [calls.release(payment)] if payment.is_claimed else []
    if payment.is_free:
        return Move(sale, payment, [_attempt_refused(before, why), *facts], sent)
    kind = PaymentIntentCanceled if phase == "canceled" else PaymentIntentFailed
    return Move(sale, payment, [fact(kind, payment.intent, before), *facts], sent)


def _attempt_refused(intent: PaymentIntent, why: Failure) -> AttemptRefused:
    return AttemptRefused(
        attempt_id=intent.payment_intent_id,
        order_id=intent.order_id or "",
        checkout_session_id=intent.checkout_session_id,
        failure_code=why.code,
        failure_message=why.message,
    )


def _if_changed(
    kind: type[PaymentIntentFact], intent: PaymentIntent, before: PaymentIntent
) -> list[Event]:
    return [] if intent.status == before.status else [fact(kind, intent, before)]


Answer = Callable[[Sale, Payment, ChargeSettled, Moment], Move]
# Every answer that decides or moves something. Whatever is not here changes nothing.
ANSWERS: Final[Mapping[tuple[Phase, Outcome], Answer]] = {
    ("charge", "declined"): _declined,
    ("charge", "voided"): _declined,
    ("charge", "action_required"): _action,
    ("charge", "pending"): _pending,
    ("charge", "unknown"): _unknown,
    ("charge", "absent"): _absent,
    ("authorize", "authorized"): _held,
    ("authorize", "declined"): _declined,
    ("authorize", "voided"): _declined,
    ("authorize", "action_required"): _action,
    ("authorize", "pending"): _pending,
    ("authorize", "unknown"): _unknown,
    ("authorize", "absent"): _absent,
    ("capture", "declined"): _uncapturable,
    ("capture", "voided"): _declined,
    ("capture", "pending"): _unknown,
    ("capture", "unknown"): _unknown,
    ("capture", "absent"): _absent,
    ("void", "voided"): _voided,
    ("void", "declined"): _unknown,
    ("void", "pending"): _unknown,
    ("void", "unknown"): _unknown,
    ("void", "absent"): _absent,
}
