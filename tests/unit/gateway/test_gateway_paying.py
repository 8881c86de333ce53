"""Which token pays an order, and how a payment that failed is told."""

from __future__ import annotations

import pytest

from services.gateway.api import paying
from shared.contracts.orders import PayOrderParams
from shared.contracts.payments import PaymentIntent
from shared.errors import Refusal
from shared.money import Money
from tests.builders_gateway import NOON, ULID_A


def intent(status, failure_code=None):
    return PaymentIntent(
        payment_intent_id=f"pi_{ULID_A}",
        amount_money=Money(amount=100, currency="USD"),
        status=status,
        source="api",
        failure_code=failure_code,
        merchant_id=f"mer_{ULID_A}",
        mode_environment="test",
        created_at=NOON,
        updated_at=NOON,
    )


@pytest.mark.parametrize(
    "given, token",
    [
        ({}, None),
        ({"payment_source_token": "tok_a"}, "tok_a"),
        ({"payment_source_tokens": {"anything": "tok_a"}}, "tok_a"),
        ({"payment_source_token": "tok_a", "payment_source_tokens": {"x": "tok_a"}}, "tok_a"),
    ],
)
def test_one_token_pays_however_it_is_sent(given, token):
    assert paying.token_of(PayOrderParams(**given)) == token


@pytest.mark.parametrize(
    "given",
    [
        {"payment_source_token": "tok_a", "payment_source_tokens": {"x": "tok_b"}},
        {"payment_source_token": "tok_a", "payment_method_id": "pm_1"},
    ],
)
def test_two_sources_are_refused(given):
    with pytest.raises(Refusal) as caught:
        paying.token_of(PayOrderParams(**given))

    assert caught.value.kind == "invalid"


@pytest.mark.parametrize(
    "given", [{"payment_method_id": "pm_1"}, {"payment_method_ids": {"x": "pm_1"}}]
)
def test_a_saved_method_nobody_has_is_not_found(given):
    with pytest.raises(Refusal) as caught:
        paying.token_of(PayOrderParams(**given))

    assert caught.value.kind == "not_found"


@pytest.mark.parametrize(
    "status, code, kind",
    [
        ("requires_payment_method", "card_declined", "unprocessable"),
        ("canceled", "payment_action_expired", "unprocessable"),
        ("canceled", "PAYMENT_LINK_MAX_COMPLETIONS_REACHED", "conflict"),
    ],
)
def test_a_card_is_declined_with_422_and_a_full_link_with_409(status, code, kind):
    refusal = paying.refusal_of(intent(status, code))

    assert refusal is not None
    assert (refusal.kind, refusal.code) == (kind, code)


@pytest.mark.parametrize("status", ["succeeded", "requires_action", "canceled"])
def test_what_has_no_failure_is_no_refusal(status):
    assert paying.refusal_of(intent(status)) is None
