"""What each answer makes of a payment and of its order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.orders.ordering.domain import Moment, Sale
from services.orders.payments import domain
from services.orders.payments.answers import Move
from services.orders.payments.payment import ENDED, MOVES
from shared.contracts.links import ClaimPlace, ReleasePlace
from shared.contracts.orders import AttemptRefused, OrderClosed, OrderPaid, PayOrder
from shared.contracts.payments import (
    AuthorizePayment,
    CapturePayment,
    ChargePayment,
    LookUpPayment,
    PaymentIntentCanceled,
    PaymentIntentFailed,
    PaymentIntentLate,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
    PaymentIntentSucceeded,
    VoidPayment,
)
from shared.errors import Refusal
from shared.ids import new_ulid
from tests.builders_orders import (
    NOON,
    a_moment,
    a_sale,
    line,
    paying,
    usd,
)
from tests.builders_payments import Case, begun, capturing, charging, limited


def starting(sale: Sale, **more: Any) -> Move | Refusal:
    return domain.start(sale, paying(sale.order.order_id, **more), a_moment())


def code_of(refusal: Move | Refusal) -> str:
    assert isinstance(refusal, Refusal)
    return refusal.code


def test_every_phase_has_its_legal_moves_and_every_end_is_one():
    assert set(MOVES) == {phase for after in MOVES.values() for phase in after} | set(MOVES)
    assert all(MOVES[end] <= {"succeeded"} for end in ENDED)


def test_an_unlimited_offer_is_charged_at_once():
    case = charging()

    assert case.facts == [PaymentIntentProcessing]
    assert case.calls == [ChargePayment]
    assert case.sale.live_attempt_id == case.intent.payment_intent_id
    assert case.sale.order.payment_intent_ids == [case.intent.payment_intent_id]
    assert case.payment.next_action_at == NOON + timedelta(seconds=15)


def test_a_limited_offer_is_only_held_until_its_place_is_claimed():
    case = limited()

    assert case.calls == [AuthorizePayment]
    case = case.hear("authorized")
    assert (case.calls, case.facts) == ([ClaimPlace], [])
    case = case.place()
    assert (case.calls, case.payment.phase) == ([CapturePayment], "capture")
    case = case.hear("succeeded")
    assert case.facts == [PaymentIntentSucceeded, OrderPaid]


def test_money_in_hand_pays_the_order():
    case = charging().hear("succeeded", card_brand="visa", card_last_four="4242")

    assert case.facts == [PaymentIntentSucceeded, OrderPaid]
    assert (case.sale.order.status, case.intent.status) == ("paid", "succeeded")
    assert case.intent.payment_method_last_four == "4242"
    assert (case.payment.next_action_at, case.payment.payment_source_token) == (None, None)


def test_the_same_answer_again_changes_nothing():
    for outcome in ("succeeded", "declined"):
        once = charging().hear(outcome)
        again = once.hear(outcome, "charge")

        assert again.last.sale is once.sale
        assert again.last.payment is once.payment
        assert (again.facts, again.calls) == ([], [])


def test_a_decline_is_final_for_the_attempt_and_opens_the_order_for_another():
    case = charging().hear("declined", failure_code="insufficient_funds", failure_message="No.")

    assert case.facts == [PaymentIntentFailed]
    assert (case.intent.status, case.payment.phase) == ("requires_payment_method", "failed")
    assert (case.intent.failure_code, case.intent.failure_message) == ("insufficient_funds", "No.")
    assert case.sale.live_attempt_id is None
    assert case.sale.order.activities[-1].type == "payment_failed"
    assert isinstance(starting(case.sale), Move)


def test_a_challenge_sends_the_buyer_away_and_is_polled_until_it_is_over():
    case = charging().hear("action_required", redirect_url="https://bank.example/3ds")

    assert case.facts == [PaymentIntentRequiresAction]
    assert case.intent.next_action_url == "https://bank.example/3ds"
    again = case.hear("action_required", redirect_url="https://bank.example/3ds")
    assert again.facts == []
    assert again.payment.next_action_at == NOON + timedelta(seconds=4)
    done = again.hear("succeeded")
    assert done.facts == [PaymentIntentSucceeded, OrderPaid]
    assert done.intent.next_action_url is None


def test_silence_is_asked_about_with_growing_pauses_and_never_charged_again():
    case, pauses = charging(), []

    for _ in range(7):
        case = case.hear("unknown")
        assert case.payment.next_action_at is not None
        pauses.append((case.payment.next_action_at - NOON).seconds)
        asked = case.sweep(NOON)
        assert asked.calls == [LookUpPayment]

    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    assert case.intent.status == "processing"


def test_a_call_that_never_arrived_is_sent_again_under_the_same_key():
    case = charging().hear("unknown").hear("absent")

    (call,) = case.last.calls
    assert isinstance(call, ChargePayment)
    assert call.attempt_id == case.intent.payment_intent_id
    assert call.payment_source_token == "tok_visa"


@pytest.mark.parametrize("outcome", ["unknown", "pending", "absent", "action_required"])
def test_an_old_answer_that_decides_nothing_does_not_undo_a_newer_one(outcome):
    case = charging().hear("action_required", redirect_url="https://bank.example/3ds")

    old = case.hear(outcome, attempt_version=1)

    assert old.last.payment is case.payment
    assert old.calls == []


def test_an_old_answer_that_decides_counts_whenever_it_comes():
    case = charging().hear("unknown").hear("unknown")

    assert case.hear("succeeded", attempt_version=1).facts == [PaymentIntentSucceeded, OrderPaid]


def test_who_does_not_confirm_in_time_is_given_up_on_at_the_provider_first():
    case = charging().hear("action_required", redirect_url="https://bank.example/3ds")

    early = case.sweep(NOON + timedelta(minutes=14))
    late = case.sweep(NOON + timedelta(minutes=15))
    ended = late.hear("voided")

    assert (early.calls, late.calls) == ([LookUpPayment], [VoidPayment])
    assert late.sale.live_attempt_id is not None  # until it is certain
    assert ended.facts == [PaymentIntentFailed]
    assert (ended.intent.status, ended.intent.failure_code) == ("expired", "payment_action_expired")
    assert ended.sale.live_attempt_id is None


def test_who_confirmed_just_before_being_given_up_on_has_paid():
    case = charging().hear("action_required", redirect_url="https://bank.example/3ds")
    given_up = case.sweep(NOON + timedelta(minutes=15))

    for step in ("void", "charge"):
        assert given_up.hear("succeeded", step).facts == [PaymentIntentSucceeded, OrderPaid]


def test_the_one_who_comes_too_late_for_a_place_is_voided_and_never_captured():
    case = limited().hear("authorized").place("EVENT_SOLD_OUT")

    assert case.calls == [VoidPayment]
    case = case.hear("voided")
    assert case.facts == [PaymentIntentCanceled]
    assert (case.intent.status, case.intent.failure_code) == ("canceled", "EVENT_SOLD_OUT")
    assert case.calls == []  # nothing was claimed, nothing is given back


def test_a_hold_that_cannot_be_captured_gives_its_place_back_after_the_void():
    case = capturing().hear("declined", failure_code="card_declined")

    assert (case.calls, case.facts) == ([VoidPayment], [])
    case = case.hear("voided")
    assert case.facts == [PaymentIntentFailed]
    assert case.calls == [ReleasePlace]


def test_a_link_that_does_not_answer_for_an_hour_is_given_up_on_and_the_place_given_back():
    case = limited().hear("authorized")

    again = case.sweep(NOON + timedelta(minutes=59))
    given_up = case.sweep(NOON + timedelta(hours=1))
    ended = given_up.hear("voided")
    too_late = ended.place()

    assert (again.calls, given_up.calls) == ([ClaimPlace], [VoidPayment])
    assert ended.calls == [ReleasePlace]
    assert too_late.last.payment is ended.payment


def test_a_place_granted_to_a_payment_that_has_ended_is_given_back():
    ended = limited().hear("declined")

    granted = ended.place()

    assert granted.calls == [ReleasePlace]
    assert granted.place().calls == []  # once


@pytest.mark.parametrize("make", [capturing, lambda: capturing().hear("succeeded")])
def test_a_place_that_is_in_use_is_not_given_back_by_a_repeated_grant(make):
    case = make()

    again = case.place()

    assert again.last.payment is case.payment
    assert again.calls == []


def test_a_hold_that_turns_up_after_the_end_is_freed():
    ended = limited().hear("declined")

    (call,) = ended.hear("authorized", "authorize", provider_ref="sbx_9").last.calls

    assert isinstance(call, VoidPayment)
    assert call.provider_ref == "sbx_9"


def test_money_that_arrives_after_the_end_pays_an_order_that_still_waits_for_it():
    ended = charging().hear("declined")

    late = ended.hear("succeeded", "charge")

    assert late.facts == [PaymentIntentSucceeded, OrderPaid]
    assert late.intent.failure_code is None


def test_money_that_arrives_for_an_order_paid_otherwise_is_told_as_late_and_kept():
    first = charging().hear("declined")
    second = begun(starting(first.sale)).hear("succeeded")

    late = replace_sale(first, second.sale).hear("succeeded", "charge")

    assert late.facts == [PaymentIntentLate]
    assert late.sale.order.net_amounts.paid_money == usd(2400)
    assert late.sale.order.status == "paid"


def test_a_second_payment_that_holds_money_while_late_money_pays_the_order_lets_it_go():
    first = limited().hear("declined")
    move = domain.start(first.sale, paying_again(first), a_moment())
    second = begun(move)
    paid = replace_sale(first, second.sale).hear("succeeded", "capture")

    held = replace_sale(second, paid.sale).hear("authorized")

    assert paid.facts == [PaymentIntentSucceeded, OrderPaid]
    assert held.calls == [VoidPayment]
    assert held.hear("voided").sale.order.status == "paid"


def paying_again(case: Case) -> PayOrder:
    order = case.sale.order
    session_id = order.checkout_session_ids[-1]
    return paying(order.order_id, attempt_id=f"pi_{new_ulid()}", checkout_session_id=session_id)


def replace_sale(case: Case, sale: Sale) -> Case:
    return replace(case, sale=sale)


def test_nothing_due_is_paid_at_once_without_an_intent():
    sale = a_sale(line(0))

    move = starting(sale, token=None, attempt_id="pi_free")

    assert isinstance(move, Move)
    assert [type(fact) for fact in move.facts] == [OrderPaid]
    assert (move.payment, move.calls) == (None, ())
    assert move.sale.order.payment_intent_ids == []
    again = domain.start(move.sale, paying("", None, attempt_id="pi_free"), a_moment())
    assert isinstance(again, Move)
    assert again.sale is move.sale


def test_nothing_due_still_claims_its_place_where_places_are_limited():
    case = limited(0)

    assert (case.calls, case.facts) == ([ClaimPlace], [])
    granted, refused = case.place(), case.place("EVENT_SOLD_OUT")
    assert granted.facts == [OrderPaid]
    assert granted.sale.order.payment_intent_ids == []
    assert refused.facts == [AttemptRefused]
    assert refused.sale.live_attempt_id is None
    assert case.sweep(NOON + timedelta(days=1)).calls == [ClaimPlace]


@pytest.mark.parametrize(
    "more, code",
    [
        ({"expected_amount_money": usd(1)}, "ORDER_CONFLICT"),
        ({"token": None}, "FIELD_REQUIRED"),
    ],
)
def test_a_payment_that_does_not_fit_the_order_is_refused(more, code):
    assert code_of(starting(a_sale(), **more)) == code


def test_an_order_over_or_under_way_takes_no_other_payment():
    case = charging()

    assert code_of(starting(case.sale)) == "ORDER_PAYMENT_ATTEMPT_ACTIVE"
    assert code_of(starting(case.hear("succeeded").sale)) == "ORDER_CLOSED"


def test_a_known_attempt_is_answered_as_it_stands():
    case = charging()
    msg = paying(case.sale.order.order_id, attempt_id=case.intent.payment_intent_id)

    for sale in (case.sale, case.hear("succeeded").sale, case.hear("declined").sale):
        move = domain.start(sale, msg, a_moment())

        assert isinstance(move, Move)
        assert (move.sale, move.payment, move.facts) == (sale, None, ())


def test_the_sandbox_never_takes_real_money():
    sale = a_sale()
    live = replace(sale, order=sale.order.model_copy(update={"mode_environment": "live"}))

    assert code_of(starting(live)) == "payment_failed"


def test_a_page_that_ended_while_its_payment_failed_takes_its_order_along():
    case = charging()
    case.sale = replace(case.sale, is_closing=True)

    assert case.hear("declined").facts == [PaymentIntentFailed, OrderClosed]


def test_a_buyer_who_is_back_is_asked_for_once():
    at = a_moment()
    case = charging().hear("action_required", redirect_url="https://bank.example/3ds")

    payment, calls = domain.ask_now(case.payment, at)
    again, no_calls = domain.ask_now(payment, Moment(NOON + timedelta(seconds=0.5), at.new_id))

    assert [type(call) for call in calls] == [LookUpPayment]
    assert (again, no_calls) == (payment, [])


def test_asking_for_a_payment_that_is_not_with_the_buyer_asks_nobody():
    for case in (charging(), charging().hear("succeeded"), charging().hear("declined")):
        assert domain.ask_now(case.payment, a_moment()) == (case.payment, [])
