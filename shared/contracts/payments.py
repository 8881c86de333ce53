"""Payment intents, the effects that reach a provider, and what comes back from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contracts.base import Command, Effect, Event, Query
from shared.contracts.types import CardBrand, ModeEnvironment, Resource, Source, Time
from shared.money import Money

DisputeStatus = Literal[
    "none",
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
]
PaymentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
    "expired",
]
FailureCode = Literal[
    "card_declined",
    "insufficient_funds",
    "expired_card",
    "incorrect_cvc",
    "authentication_required",
    "processing_error",
    "payment_action_expired",
    "payment_failed",
]
Step = Literal["charge", "authorize", "capture", "void", "look_up"]
Outcome = Literal[
    "succeeded",  # the money is taken (charge, capture)
    "authorized",  # the money is held
    "declined",  # final no: `failure_code` says why
    "action_required",  # the buyer has to go to `redirect_url`
    "pending",  # the provider knows the payment and has not decided
    "voided",  # the hold is gone
    "unknown",  # no answer: ask again by the same key, never start another
    "absent",  # the provider has never heard of this key: it is safe to send it again
]


class PaymentActivity(Resource):
    """One change of a payment intent."""

    activity_id: str
    type: Literal[
        "created",
        "updated",
        "status_changed",
        "failed",
        "canceled",
        "expired",
        "refund_created",
        "refund_status_changed",
        "dispute_status_changed",
        "receipt_sent",
    ]
    description: str
    from_status: PaymentStatus | None = None
    to_status: PaymentStatus | None = None
    from_dispute_status: DisputeStatus | None = None
    to_dispute_status: DisputeStatus | None = None
    created_at: Time
    order_id: str | None = None
    refund_id: str | None = None
    checkout_session_id: str | None = None
    dispute_id: str | None = None


class PaymentIntent(Resource):
    """One try to move money for an order."""

    payment_intent_id: str
    amount_money: Money
    tip_money: Money | None = None
    refunded_amount_money: Money | None = None
    status: PaymentStatus
    lifecycle_state: Literal["none", "partially_refunded", "refunded", "disputed"] = "none"
    dispute_status: DisputeStatus | None = None
    order_id: str | None = None
    checkout_session_id: str | None = None
    payment_link_id: str | None = None
    customer_id: str | None = None
    source: Source
    external_reference_id: str | None = None
    payment_source_token: str | None = None  # shown to the key that sent it, said to nobody else
    receipt_email: str | None = None
    payment_method_last_four: str | None = None
    payment_method_brand: CardBrand | None = None
    failure_code: FailureCode | str | None = None
    failure_message: str | None = None
    next_action_url: str | None = None
    cancellation_reason: str | None = None
    activities: list[PaymentActivity] = []
    processor_details: dict[str, dict[str, str]] = {"stripe": {}}
    metadata: dict[str, str] = {}
    merchant_id: str
    mode_environment: ModeEnvironment
    created_at: Time
    updated_at: Time


class GetPaymentIntent(Query[PaymentIntent], topic="payments.get"):
    payment_intent_id: str


class ResumePayment(Command[PaymentIntent], topic="payments.resume"):
    """The buyer is back from the provider's page: ask the provider now, do not wait for a sweep."""

    payment_intent_id: str


class ProviderCall(Effect):
    """One call to a provider. The key is `<attempt_id>:<step>`; every retry uses the same."""

    attempt_id: str
    order_id: str
    provider: str
    amount_money: Money
    attempt_version: int  # fencing: an answer to an older version of the attempt is only a hint
    merchant_id: str = ""
    mode_environment: ModeEnvironment = "test"
    checkout_session_id: str | None = None  # so that its log lines name the page it is for


class ChargePayment(ProviderCall, topic="payments.charge"):
    """Take the money at once (unlimited offers)."""

    payment_source_token: str
    return_url: str | None = None


class AuthorizePayment(ProviderCall, topic="payments.authorize"):
    """Hold the money: first step where a place has to be claimed."""

    payment_source_token: str
    return_url: str | None = None


class CapturePayment(ProviderCall, topic="payments.capture"):
    """Take what is held: only for an attempt whose place is claimed."""

    provider_ref: Annotated[str, Field(max_length=255)]


class VoidPayment(ProviderCall, topic="payments.void"):
    """Give a hold back: the place was gone."""

    provider_ref: Annotated[str, Field(max_length=255)]


class LookUpPayment(ProviderCall, topic="payments.look_up"):
    """Ask what became of `step`: after an unknown outcome, a browser return, a restart."""

    step: Step


class ChargeSettled(Event, topic="charge.settled", subject="attempt_id", public=False):
    """What the provider said: the one door for charge, return, sweep and provider webhook."""

    attempt_id: str
    order_id: str
    step: Step
    outcome: Outcome
    provider_ref: str | None = None
    failure_code: FailureCode | None = None
    failure_message: str | None = None
    redirect_url: str | None = None
    card_brand: CardBrand | None = None
    card_last_four: str | None = None
    attempt_version: int = 0
    checkout_session_id: str | None = None


class PaymentIntentFact(PaymentIntent, Event):
    """The intent as the API shows it, its token left out, and the old values of what changed."""

    payment_source_token: str | None = Field(default=None, exclude=True)
    previous: dict[str, Any] = {}


class PaymentIntentProcessing(
    PaymentIntentFact, topic="payment_intent.processing", subject="payment_intent_id"
):
    """A payment is under way: just started, or undecided by the provider."""


class PaymentIntentRequiresAction(
    PaymentIntentFact, topic="payment_intent.requires_action", subject="payment_intent_id"
):
    """The buyer has to confirm the payment at `next_action_url`."""


class PaymentIntentSucceeded(
    PaymentIntentFact, topic="payment_intent.succeeded", subject="payment_intent_id"
):
    """The money is taken."""


class PaymentIntentFailed(
    PaymentIntentFact, topic="payment_intent.payment_failed", subject="payment_intent_id"
):
    """The payment ended without money: `failure_code` says why. The order stays payable."""


class PaymentIntentCanceled(
    PaymentIntentFact, topic="payment_intent.canceled", subject="payment_intent_id"
):
    """The payment was called off before any money was taken."""


class PaymentIntentLate(
    PaymentIntentFact, topic="payment_intent.late", subject="payment_intent_id"
):
    """Money arrived for an order that no longer waited for it: kept, and up to the merchant."""
