"""What a payment asks of others: the effects for its provider, the commands for its link."""

from __future__ import annotations

from typing import Any, Final, assert_never

from services.orders.payments.payment import Payment
from shared.contracts.base import Command, Effect
from shared.contracts.links import ClaimPlace, ReleasePlace
from shared.contracts.payments import (
    AuthorizePayment,
    CapturePayment,
    ChargePayment,
    LookUpPayment,
    Step,
    VoidPayment,
)

Call = Effect | Command[Any]


def first_call(payment: Payment) -> Call:
    """What a phase begins with; sent again, it is the same call under the same key."""
    common = _common(payment)
    match payment.phase:
        case "charge":
            return ChargePayment(**common, **_source(payment))
        case "authorize":
            return AuthorizePayment(**common, **_source(payment))
        case "claim":
            return claim(payment)
        case "capture":
            return CapturePayment(**common, provider_ref=payment.provider_ref or "")
        case "void":
            return VoidPayment(**common, provider_ref=payment.provider_ref or "")
        case "succeeded" | "failed" | "canceled" | "expired":
            raise AssertionError(f"{payment.intent.payment_intent_id} has ended")
        case _:
            assert_never(payment.phase)


def next_call(payment: Payment) -> Call:
    """How a live payment is asked about: a provider is asked, never told, a second time."""
    steps: Final[dict[str, Step]] = {
        "charge": "charge",
        "authorize": "authorize",
        "capture": "capture",
        "void": "void",
    }
    if payment.phase not in steps:
        return first_call(payment)
    return LookUpPayment(**_common(payment), step=steps[payment.phase])


def claim(payment: Payment) -> ClaimPlace:
    """A place of the link; asked again, it is answered the same."""
    return ClaimPlace(**_place(payment), quantities=dict(payment.quantities))


def release(payment: Payment) -> ReleasePlace:
    """The place given back: only once it is certain that no money was or will be taken."""
    return ReleasePlace(**_place(payment))


def _common(payment: Payment) -> dict[str, Any]:
    intent = payment.intent
    return {
        "attempt_id": intent.payment_intent_id,
        "order_id": intent.order_id,
        "provider": payment.provider,
        "amount_money": intent.amount_money,
        "attempt_version": payment.version,
        "merchant_id": intent.merchant_id,
        "mode_environment": intent.mode_environment,
        "checkout_session_id": intent.checkout_session_id,
    }


def _source(payment: Payment) -> dict[str, Any]:
    return {
        "payment_source_token": payment.payment_source_token,
        "return_url": payment.return_url,
    }


def _place(payment: Payment) -> dict[str, Any]:
    return {
        "attempt_id": payment.intent.payment_intent_id,
        "order_id": payment.intent.order_id,
        "payment_link_id": payment.payment_link_id,
        "checkout_session_id": payment.intent.checkout_session_id,
    }
