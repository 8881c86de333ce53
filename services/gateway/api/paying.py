"""Paying an order over the API: which token, what became of it, and how it is told."""

from __future__ import annotations

from typing import Final

from services.gateway.api.operation import ApiCall
from shared.contracts.orders import PayOrderParams
from shared.contracts.payments import GetPaymentIntent, PaymentIntent
from shared.contracts.sessions import Payer
from shared.errors import Refusal, invalid, not_found
from shared.redaction import clean

OUTCOME_SECONDS: Final = 10.0
DECIDED_SOON_SECONDS: Final = 0.15
# Facts after which it is worth asking again how the payment stands.
DECIDING: Final = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.canceled",
    }
)
UNDECIDED: Final = frozenset({"processing", "requires_confirmation"})


def token_of(params: PayOrderParams) -> str | None:
    """The one token. A map of one entry needs no matching key: there is one payment."""
    tokens = [params.payment_source_token, *params.payment_source_tokens.values()]
    given = list(dict.fromkeys(token for token in tokens if token is not None))
    if any(clean(token) != token for token in [*given, params.setup_payment_source_token or ""]):
        raise invalid("payment_source_token", "Send the provider's token, never a card number.")
    methods = [params.payment_method_id, *params.payment_method_ids.values()]
    if len(given) > 1 or (given and any(methods)):
        raise invalid("payment_source_token", "Send one payment source for the whole balance.")
    if any(methods):
        raise not_found("payment method", "payment_method_id")
    return given[0] if given else None


def payer_of(params: PayOrderParams) -> Payer:
    """What is known of the buyer."""
    return Payer(
        email=params.buyer_email,
        phone_number=params.buyer_phone,
        billing_address=params.billing_address,
        shipping_address=params.shipping_address,
    )


async def outcome_of(call: ApiCall, attempt_id: str) -> PaymentIntent | None:
    """The payment once it is decided; None when it is not after `OUTCOME_SECONDS`."""

    async def look() -> PaymentIntent | None:
        intent = await call.ask(GetPaymentIntent(payment_intent_id=attempt_id))
        return None if intent.status in UNDECIDED else intent

    return await call.gateway.hub.until(
        attempt_id,
        look,
        seconds=OUTCOME_SECONDS,
        topics=DECIDING,
        pause_seconds=DECIDED_SOON_SECONDS,
    )


def refusal_of(intent: PaymentIntent) -> Refusal | None:
    """The 'no' of a payment that failed: the card's is 422, the link's own state is 409."""
    if intent.failure_code is None or intent.status in ("succeeded", "requires_action"):
        return None
    is_cards = intent.failure_code.islower()
    return Refusal(
        "unprocessable" if is_cards else "conflict",
        intent.failure_code,
        intent.failure_message or "The payment failed.",
        next_actions=("Pay again with another payment source.",) if is_cards else (),
    )
