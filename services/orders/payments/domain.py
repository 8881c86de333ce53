"""How a payment goes: what starts it, the one door for every answer, and who asks when nobody does.

Pure. Charge, the buyer's return, sweep and provider webhook all come in by `settle`; the same
answer twice, or an old one after a newer one, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from services.orders.ordering import domain as ordering
from services.orders.ordering.domain import Moment, Sale, fact
from services.orders.payments import calls
from services.orders.payments.answers import (
    ANSWERS,
    NOT_CHARGED,
    Move,
    failure,
    free_success,
    learned,
    refused,
    taken,
    voiding,
)
from services.orders.payments.calls import Call
from services.orders.payments.payment import ANSWER_WAIT, Payment, Phase, calling, moved
from shared.contracts.links import ClaimSettled
from shared.contracts.orders import PayOrder
from shared.contracts.payments import (
    ChargeSettled,
    Outcome,
    PaymentActivity,
    PaymentIntent,
    PaymentIntentProcessing,
)
from shared.errors import Refusal, required

# A live provider is a later adapter; the sandbox never pretends to move real money.
PROVIDERS: Final = {"test": "sandbox"}
UNDECIDED: Final[frozenset[Outcome]] = frozenset(
    {"action_required", "pending", "unknown", "absent"}
)
TAKEN: Final = frozenset({"charge", "capture", "void"})  # whose success is money in hand
JUST_ASKED: Final = ANSWER_WAIT - timedelta(seconds=1)


def start(sale: Sale, msg: PayOrder, at: Moment) -> Move | Refusal:
    """Begin to pay the whole balance, or the reason why not. A known attempt changes nothing."""
    if msg.attempt_id in sale.attempt_ids:
        return Move(sale, None)
    refusal = _refusal_of(sale, msg)
    if refusal is not None:
        return refusal
    if sale.balance == 0 and not sale.is_limited:
        sale = ordering.buyer_known(sale, msg.checkout_session_id, msg.payer.email)
        sale, facts = ordering.paid(sale, msg.attempt_id, 0, msg.checkout_session_id, at)
        return Move(sale, None, facts)
    payment = _new_payment(sale, msg, at)
    sale = ordering.attempt_started(
        sale,
        msg.attempt_id,
        at,
        session_id=msg.checkout_session_id,
        email=msg.payer.email,
        is_free=payment.is_free,
    )
    told = [] if payment.is_free else [fact(PaymentIntentProcessing, payment.intent)]
    return Move(sale, payment, told, [calls.first_call(payment)])


def settle(sale: Sale, payment: Payment, msg: ChargeSettled, at: Moment) -> Move:
    """What the provider said of one step of this payment."""
    was = payment
    payment = replace(payment, version=was.version + 1)
    if msg.outcome == "succeeded" and msg.step in TAKEN:
        return Move(sale, was) if was.phase == "succeeded" else taken(sale, payment, msg, at)
    if was.has_ended and msg.outcome == "authorized":
        return _let_go(sale, was, msg)
    is_stale = msg.outcome in UNDECIDED and msg.attempt_version != was.version
    answer = ANSWERS.get((was.phase, msg.outcome))
    if msg.step != was.phase or is_stale or answer is None:
        return Move(sale, was)
    return answer(sale, learned(payment, msg), msg, at)


def settle_claim(sale: Sale, payment: Payment, msg: ClaimSettled, at: Moment) -> Move:
    """What the link said of the place. Only a granted place lets money be taken."""
    was = payment
    payment = replace(payment, version=was.version + 1)
    if was.phase != "claim":
        return _late_claim(sale, was, payment, msg)
    if not msg.is_granted:
        code = msg.refusal_code or "payment_failed"
        return refused(sale, payment, code, at)
    payment = replace(payment, is_claimed=True)
    if sale.order.status != "open":
        return refused(sale, payment, "ORDER_CLOSED", at)
    if payment.is_free:
        return free_success(sale, payment, at)
    payment = moved(payment, "capture", at)
    return Move(sale, payment, (), [calls.first_call(payment)])


def resume(payment: Payment, at: Moment) -> tuple[Payment, Sequence[Call]]:
    """A due payment: ask what became of it, or give up on whoever did not answer in time."""
    if payment.give_up_at is None or payment.give_up_at > at.now:
        return payment, [calls.next_call(payment)]
    payment = replace(payment, version=payment.version + 1)
    is_claiming = payment.phase == "claim"
    code = "payment_failed" if is_claiming else "payment_action_expired"
    # Perhaps the place was granted and the answer got lost: it is given back at the end.
    payment = replace(payment, is_claimed=payment.is_claimed or is_claiming)
    payment = voiding(payment, "expired", failure(code), at)
    return payment, [calls.first_call(payment)]


def ask_now(payment: Payment, at: Moment) -> tuple[Payment, Sequence[Call]]:
    """The buyer is back: ask at once, but not again and again."""
    is_asked = payment.next_action_at is not None and payment.next_action_at > at.now + JUST_ASKED
    if payment.intent.status != "requires_action" or payment.phase == "void" or is_asked:
        return payment, []
    payment = replace(calling(payment, at), version=payment.version + 1)
    return payment, [calls.next_call(payment)]


def _refusal_of(sale: Sale, msg: PayOrder) -> Refusal | None:
    if sale.order.status != "open":
        return ordering.order_closed(sale)
    if sale.live_attempt_id is not None:
        return ordering.attempt_active()
    return _mismatch(sale, msg)


def _mismatch(sale: Sale, msg: PayOrder) -> Refusal | None:
    """Whether what was sent fits what is due: nobody pays another price than the one they saw."""
    due, expected = (sale.balance, sale.currency), msg.expected_amount_money
    if expected is not None and (expected.amount, expected.currency) != due:
        message = f"The price changed. {NOT_CHARGED}"
        return Refusal("conflict", "ORDER_CONFLICT", message, next_actions=("reload_order",))
    if not sale.balance:
        return None if sale.order.line_items else required("line_items")
    if not msg.payment_source_token:
        return required("payment_source_token")
    if sale.order.mode_environment not in PROVIDERS:
        message = f"No payment provider is set up for live payments. {NOT_CHARGED}"
        return Refusal("unprocessable", "payment_failed", message)
    return None


def _new_payment(sale: Sale, msg: PayOrder, at: Moment) -> Payment:
    phase: Phase = "charge"
    if sale.is_limited:
        phase = "authorize" if sale.balance else "claim"
    return Payment(
        intent=_new_intent(sale, msg, at),
        phase=phase,
        provider=PROVIDERS[sale.order.mode_environment] if sale.balance else "none",
        next_action_at=at.now + ANSWER_WAIT,
        payment_source_token=msg.payment_source_token if sale.balance else None,
        return_url=msg.return_url,
        payment_link_id=sale.order.payment_link_id,
        quantities=sale.line_quantities if sale.is_limited else {},
    )


def _new_intent(sale: Sale, msg: PayOrder, at: Moment) -> PaymentIntent:
    order = sale.order
    created = PaymentActivity(
        activity_id=at.new_id("act"),
        type="created",
        description="Payment started.",
        to_status="processing",
        created_at=at.now,
        order_id=order.order_id,
        checkout_session_id=msg.checkout_session_id,
    )
    return PaymentIntent(
        payment_intent_id=msg.attempt_id,
        amount_money=order.net_amounts.balance_money,
        status="processing",
        order_id=order.order_id,
        checkout_session_id=msg.checkout_session_id,
        payment_link_id=order.payment_link_id,
        customer_id=order.customer_id,
        source=order.source,
        receipt_email=msg.payer.email or order.buyer_email,
        activities=[created],
        merchant_id=order.merchant_id,
        mode_environment=order.mode_environment,
        created_at=at.now,
        updated_at=at.now,
    )


def _late_claim(sale: Sale, was: Payment, payment: Payment, msg: ClaimSettled) -> Move:
    """A place that was granted to a payment which no longer wants it is given back."""
    is_wanted = was.phase in ("authorize", "capture", "succeeded") or was.is_claimed
    if is_wanted or not msg.is_granted:
        return Move(sale, was)
    payment = replace(payment, is_claimed=True)
    return Move(sale, payment, (), [calls.release(payment)] if was.has_ended else [])


def _let_go(sale: Sale, payment: Payment, msg: ChargeSettled) -> Move:
    """A hold that turns up after the end will never be taken: free it."""
    if payment.phase == "succeeded" or msg.provider_ref is None:
        return Move(sale, payment)
    held = replace(payment, phase="void", provider_ref=msg.provider_ref)
    return Move(sale, payment, (), [calls.first_call(held)])
