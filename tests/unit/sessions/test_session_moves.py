"""A session's life, move by move: how it opens, is paid, and goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.sessions import opening
from services.sessions.domain import Session
from shared.contracts.orders import OrderUpdated
from shared.contracts.payments import (
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
)
from shared.contracts.plans import SubscriptionPlan
from shared.contracts.sessions import (
    CheckoutSessionCreateParams,
)
from shared.errors import Refusal
from shared.money import money
from tests.builders_links import NOON, usd
from tests.builders_plans import PLAN, a_plan
from tests.builders_sessions import (
    DAY,
    LATER,
    a_session,
    cs,
    failed,
    ord_,
    paid_through,
    payer,
    paying,
    paying_session,
    quick,
    resolved,
    said_of_intent,
    said_of_order,
    ulid,
)
from tests.support.desk import MERCHANT, ORIGIN

ADDRESS = {"line1": "Storgata 1", "city": "Oslo", "postal_code": "0155", "country": "NO"}


def refusal_of(session: Session, **given: Any) -> tuple[str, str, str | None]:
    with pytest.raises(Refusal) as caught:
        session.pay(paying(**given), attempt_id="pi_9", now=NOON)
    return caught.value.kind, caught.value.code, caught.value.param


# ---- opening ---------------------------------------------------------------------------------


def test_a_resolved_link_opens_a_session_of_the_same_ulid():
    session, fact = opening.by_link(
        resolved(amount=1200, expiration={"expiration_seconds": 600}), origin=ORIGIN
    )

    assert (session.checkout_session_id, session.order_id) == (cs(), ord_())
    assert session.amount_money == money(1200, "USD")
    assert session.expires_at == NOON + timedelta(seconds=600)
    assert (fact.source, fact.url) == ("payment_link", f"{ORIGIN}/c/{cs()}")


def test_a_session_lives_a_day_unless_told_otherwise():
    assert a_session().expires_at == NOON + DAY


@pytest.mark.parametrize("sold_for, open_for", [(600, 600), (90_000, 3600)])
def test_a_page_does_not_outlive_what_it_sells(sold_for: int, open_for: int):
    offer = resolved().offer.model_copy(update={"sold_until": NOON + timedelta(seconds=sold_for)})

    session = a_session(offer=offer, expiration={"expiration_seconds": 3600})

    assert session.expires_at == NOON + timedelta(seconds=open_for)


def by_api(balance: int | None = None, plan: SubscriptionPlan | None = None, **given: Any):
    params = CheckoutSessionCreateParams.model_validate(given)
    opening.refuse_unless_one(params)
    return opening.by_api(
        params,
        ulid=ulid(),
        balance=None if balance is None else money(balance, "USD"),
        plan=plan,
        merchant_id=MERCHANT,
        mode_environment="test",
        origin=ORIGIN,
        now=NOON,
    )


def test_a_quick_payment_tells_orders_what_to_make():
    session, _, fact = by_api(quick_pay=quick(700))

    assert (session.order_id, session.amount_money.amount) == (ord_(), 700)
    assert fact.quick_pay is not None
    assert fact.quick_pay.name == "Tea"


def test_a_session_for_an_order_owes_its_balance():
    session, _, fact = by_api(balance=300, order_id=ord_(7))

    assert (session.order_id, session.amount_money.amount) == (ord_(7), 300)
    assert fact.quick_pay is None


def test_a_session_for_a_plan_is_the_page_of_its_first_payment():
    plan = a_plan(setup_fee_money=usd(500))

    session, said, fact = by_api(plan_id=PLAN, plan=plan)

    assert (session.source, session.amount_money.amount) == ("subscription", 1700)
    assert session.order_id == f"ord_{ulid()}"
    assert (said.plan_id, said.subscription_terms) == (PLAN, plan.terms())
    assert fact.offer is not None
    assert [(line.key, line.is_counted) for line in fact.offer.lines] == [
        ("item-1", True),
        ("setup-fee", False),
    ]


@pytest.mark.parametrize(
    "plan, kind, code",
    [
        (None, "not_found", "RESOURCE_NOT_FOUND"),
        (a_plan(status="archived"), "conflict", "SUBSCRIPTION_PLAN_ARCHIVED"),
        (a_plan(trial_period_days=14), "invalid", "INVALID_VALUE"),
    ],
)
def test_a_plan_that_cannot_be_paid_opens_nothing(
    plan: SubscriptionPlan | None, kind: str, code: str
):
    with pytest.raises(Refusal) as caught:
        by_api(plan_id=PLAN, plan=plan)

    assert (caught.value.kind, caught.value.code, caught.value.param) == (kind, code, "plan_id")


@pytest.mark.parametrize(
    "given, kind, code, param",
    [
        ({}, "invalid", "FIELD_REQUIRED", "quick_pay"),
        ({"quick_pay": quick(), "order_id": ord_()}, "invalid", "INVALID_VALUE", "order_id"),
        ({"order_id": ord_()}, "not_found", "RESOURCE_NOT_FOUND", "order_id"),
        ({"quick_pay": quick(), "plan_id": PLAN}, "invalid", "INVALID_VALUE", "plan_id"),
    ],
)
def test_exactly_one_thing_is_paid(given: dict[str, Any], kind: str, code: str, param: str):
    with pytest.raises(Refusal) as caught:
        by_api(**given)

    assert (caught.value.kind, caught.value.code, caught.value.param) == (kind, code, param)


# ---- paying ----------------------------------------------------------------------------------


def test_pressing_pay_starts_one_attempt_and_asks_orders():
    session, ask = a_session().pay(paying(), attempt_id="pi_1", now=NOON)

    assert session.is_live
    assert session.resource().is_payment_in_progress
    assert (ask.attempt_id, ask.order_id, ask.checkout_session_id) == ("pi_1", ord_(), cs())
    assert session.ask_again_at == NOON + timedelta(seconds=20)
    assert session.pay_order == ask


@pytest.mark.parametrize(
    "revision, amount, is_refused",
    [
        (1, 1200, True),
        (1, 1500, False),  # changed, and changed back
        (2, 1500, False),
        (3, 1800, False),  # the page knows more than the session
        (None, 1200, False),
    ],
)
def test_a_page_older_than_the_order_starts_nothing_at_another_price(
    revision: int | None, amount: int, is_refused: bool
):
    news = said_of_order(OrderUpdated, revision=2, balance_money=1500)
    session = a_session().order_revised(news, NOON)
    page: dict[str, Any] = {"order_revision": revision, "expected_amount_money": usd(amount)}

    if is_refused:
        assert refusal_of(session, **page) == ("conflict", "ORDER_CONFLICT", None)
    else:
        assert session.pay(paying(**page), attempt_id="pi_1", now=NOON)[0].is_live


def test_a_second_press_waits_for_the_first():
    assert refusal_of(paying_session()) == ("conflict", "CHECKOUT_PAYMENT_RESOLVING", None)


@pytest.mark.parametrize(
    "session",
    [
        a_session(expires_at=NOON),
        a_session().close(None, NOON)[0],
        a_session().invalidate("order_closed", NOON)[0],
        a_session().order_paid(paid_through(1, "pi_1"), NOON)[0],
    ],
)
def test_an_ended_session_cannot_be_paid(session: Session):
    assert refusal_of(session)[:2] == ("conflict", "CHECKOUT_SESSION_NOT_OPEN")


@pytest.mark.parametrize(
    "asked, param, given",
    [
        ({"require_email": True}, "email", {"email": "a@example.com"}),
        ({"require_phone": True}, "phone_number", {"phone_number": "+47 22 00 00 00"}),
        ({"require_billing_address": True}, "billing_address", {"billing_address": ADDRESS}),
        ({"require_shipping_address": True}, "shipping_address", {"shipping_address": ADDRESS}),
    ],
)
def test_what_the_merchant_asks_for_has_to_be_there(
    asked: dict[str, Any], param: str, given: dict[str, Any]
):
    session = a_session(customer=asked)

    assert refusal_of(session) == ("invalid", "FIELD_REQUIRED", param)
    assert session.pay(paying(payer=payer(**given)), attempt_id="pi_1", now=NOON)


def test_terms_have_to_be_accepted_where_there_are_any():
    session = a_session(legal={"requires_terms_of_service": True})

    assert refusal_of(session)[1:] == ("FIELD_REQUIRED", "has_accepted_terms")
    assert session.pay(paying(has_accepted_terms=True), attempt_id="pi_1", now=NOON)


def test_a_token_is_needed_unless_nothing_is_due():
    free = paying(payment_source_token=None, expected_amount_money=usd(0))

    assert refusal_of(a_session(), payment_source_token=None)[2] == "payment_source_token"
    assert a_session(amount=0).pay(free, attempt_id="pi_1", now=NOON)


def test_after_more_than_ten_failures_the_page_takes_no_more_cards():
    assert a_session(failed_attempts=10).pay(paying(), attempt_id="pi_1", now=NOON)
    assert refusal_of(a_session(failed_attempts=11))[:2] == ("rate_limited", "RATE_LIMIT_EXCEEDED")


def test_silent_orders_are_asked_again_ever_more_patiently():
    session, waits = paying_session(), []
    for _ in range(6):
        session, ask = session.ask_again(NOON)
        assert ask.attempt_id == "pi_1"
        assert session.ask_again_at is not None
        waits.append((session.ask_again_at - NOON).total_seconds())

    assert waits == [40, 80, 160, 300, 300, 300]


# ---- how an attempt goes on ------------------------------------------------------------------


def test_what_the_buyer_typed_is_forgotten_once_orders_has_the_attempt():
    session = paying_session()

    known = session.intent_known(said_of_intent(PaymentIntentProcessing, "pi_1"), LATER)

    assert (known.pay_order, known.ask_again_at) == (None, None)
    assert known.payment_intent_ids == ("pi_1",)
    assert known.is_live
    assert known.intent_known(said_of_intent(PaymentIntentProcessing, "pi_1"), LATER) is known


def test_a_buyer_is_sent_to_the_provider_whatever_was_heard_first():
    act = said_of_intent(PaymentIntentRequiresAction, "pi_1", next_action_url="https://3ds.test/")
    processing = said_of_intent(PaymentIntentProcessing, "pi_1")

    session = paying_session().action_required(act, LATER).intent_known(processing, LATER)

    assert session.attempt is not None
    assert (session.attempt.status, session.attempt.redirect_url) == (
        "requires_action",
        "https://3ds.test/",
    )
    assert session.is_live


def test_a_failed_attempt_opens_the_page_again_and_says_why():
    session, facts = failed(
        paying_session(), failure_code="insufficient_funds", failure_message="Too little money."
    )

    assert facts == []
    assert (session.status, session.is_live, session.failed_attempts) == ("open", False, 1)
    assert session.attempt is not None
    assert (session.attempt.failure_code, session.attempt.failure_message) == (
        "insufficient_funds",
        "Too little money.",
    )


def test_a_failure_of_an_earlier_attempt_is_no_news():
    session, _ = failed(paying_session("pi_1"))
    session, _ = session.pay(paying(), attempt_id="pi_2", now=LATER)

    again, facts = failed(session, "pi_1")

    assert (again.is_live, again.failed_attempts, facts) == (True, 1, [])


def test_a_failure_that_comes_after_the_success_is_no_news():
    session, _ = paying_session().order_paid(paid_through(1, "pi_1"), LATER)

    assert failed(session) == (session.intent_known(
        said_of_intent(PaymentIntentFailed, "pi_1"), LATER), [])  # fmt: skip
    assert session.attempt is not None
    assert session.attempt.status == "succeeded"
