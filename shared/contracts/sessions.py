"""What sessions owns: one hosted payment page, and the tries to pay through it (attempts)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict

from shared.contracts.base import Command, Event, Query
from shared.contracts.configs import HostedConfigs, PrefilledCustomer, ValidationCallbacks
from shared.contracts.link_requests import CustomField, Frequency
from shared.contracts.links import Offer
from shared.contracts.lists import ListQuery, Page
from shared.contracts.plans import SubscriptionPlan, SubscriptionTerms
from shared.contracts.types import (
    Address,
    Email,
    Metadata,
    MetadataPatch,
    ModeEnvironment,
    Name,
    Note,
    OrderId,
    PageUrl,
    Phone,
    PlanId,
    Resource,
    Source,
    Strict,
    Time,
    text,
)
from shared.money import Money

SessionStatus = Literal["open", "paid", "expired", "closed", "invalidated"]
TerminalReason = Literal[
    "payment_succeeded",
    "no_payment_required",
    "expired",
    "api",
    "order_mutated",
    "order_paid_elsewhere",
    "order_closed",
    "superseded",
]
AttemptStatus = Literal["processing", "requires_action", "succeeded", "failed"]


class QuickPay(Strict):
    """One exact sum for one named thing."""

    name: Name
    amount_money: Money


class SessionConfigs(HostedConfigs):
    """The hosted configs plus what only a session may carry."""

    validation_callbacks: ValidationCallbacks = ValidationCallbacks()


class CheckoutSessionCreateParams(SessionConfigs):
    """Exactly one of `quick_pay`, `order_id`, `plan_id`."""

    quick_pay: QuickPay | None = None
    order_id: OrderId | None = None
    plan_id: PlanId | None = None
    client_reference_id: Annotated[str, text(255)] | None = None
    metadata: Metadata = {}


class CheckoutSessionUpdateParams(Strict):
    """PATCH: metadata only; it merges, `null` removes a key."""

    metadata: MetadataPatch | None = None


class CloseCheckoutSessionParams(Strict):
    """Why the merchant closes it (private note)."""

    reason: Note | None = None


class CheckoutSession(Resource, SessionConfigs):
    """One hosted payment page: one buyer, one order, one payment."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    checkout_session_id: str
    status: SessionStatus
    terminal_reason: TerminalReason | None = None
    closed_reason: str | None = None
    source: Source
    order_id: str
    payment_link_id: str | None = None
    plan_id: str | None = None
    subscription_id: str | None = None
    payment_intent_ids: list[str] = []
    url: str = ""
    is_payment_in_progress: bool = False
    amount_money: Money
    custom_fields: list[CustomField] = []
    custom_field_values: dict[str, str] = {}
    client_reference_id: str | None = None
    donation_frequency: Frequency | None = None  # the donor's wish; this page is one payment
    subscription_terms: SubscriptionTerms | None = None  # frozen; this page is the first payment
    expires_at: Time
    expired_at: Time | None = None
    completed_at: Time | None = None
    metadata: dict[str, str] = {}
    merchant_id: str
    mode_environment: ModeEnvironment
    created_at: Time
    updated_at: Time


class Attempt(Resource):
    """One try to pay. Its id is the payment intent's and the provider's idempotency key."""

    attempt_id: str
    status: AttemptStatus
    failure_code: str | None = None
    failure_message: str | None = None
    redirect_url: str | None = None  # requires_action: the 3-D Secure page
    started_at: Time


class ShownSession(Resource):
    """Answer of `sessions.show`: the page's session and its latest attempt, if any."""

    checkout_session: CheckoutSession
    attempt: Attempt | None = None


class CreateSession(Command[CheckoutSession], topic="sessions.create"):
    """`order_balance_money`: what the order owed when the gateway asked; orders checks again.

    `plan`: what orders said of the `plan_id` then.
    """

    params: CheckoutSessionCreateParams
    order_balance_money: Money | None = None
    plan: SubscriptionPlan | None = None


class GetSession(Query[CheckoutSession], topic="sessions.get"):
    checkout_session_id: str


class ListSessions(ListQuery[Page[CheckoutSession]], topic="sessions.list"):
    status: SessionStatus | None = None
    order_id: str | None = None
    source: Source | None = None
    payment_link_id: str | None = None
    expired_after: Time | None = None
    expired_before: Time | None = None


class UpdateSession(Command[CheckoutSession], topic="sessions.update"):
    checkout_session_id: str
    params: CheckoutSessionUpdateParams


class CloseSession(Command[CheckoutSession], topic="sessions.close"):
    checkout_session_id: str
    params: CloseCheckoutSessionParams


class ShowSession(Query[ShownSession], topic="sessions.show"):
    """The buyer's door: by id alone, the merchant is not known yet."""

    checkout_session_id: str


class Payer(Strict):
    """What the buyer typed beside the card. Never logged."""

    name: Annotated[str, text(250)] | None = None
    email: Email | None = None
    phone_number: Phone | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None


class PayAccepted(Resource):
    """The attempt that now runs; its outcome is heard as an event or read by `sessions.show`."""

    attempt_id: str
    checkout_session_id: str
    order_id: str


class PaySession(Command[PayAccepted], topic="sessions.pay"):
    """Pressing pay. `payment_source_token` is absent only when nothing is due.

    `order_revision` is that of the order on the page where it was pressed.
    """

    checkout_session_id: str
    payment_source_token: Annotated[str, text(255, 1)] | None = None
    expected_amount_money: Money
    order_revision: int | None = None
    payer: Payer = Payer()
    has_accepted_terms: bool = False
    return_url: PageUrl | None = None


class SessionFact(CheckoutSession, Event):
    """The session as the API shows it, and the old values of what changed."""

    previous: dict[str, Any] = {}


class SessionCreated(SessionFact, topic="checkout_session.created", subject="checkout_session_id"):
    """A page opened, through a link or over the API."""


class SessionAttached(
    SessionFact,
    topic="checkout_session.attached",
    subject="checkout_session_id",
    public=False,
):
    """A page made over the API wants its order: a new one for `quick_pay` and for a plan's `offer`,
    else a known one.

    Apart from `checkout_session.created`, which orders would hear for every buyer of every link
    only to do nothing.
    """

    quick_pay: QuickPay | None = None
    offer: Offer | None = None
    customer_details: PrefilledCustomer | None = None


class SessionCompleted(
    SessionFact, topic="checkout_session.completed", subject="checkout_session_id"
):
    """The order was paid through this session, or nothing was due."""


class SessionExpired(SessionFact, topic="checkout_session.expired", subject="checkout_session_id"):
    """The session's time ran out."""


class SessionClosed(SessionFact, topic="checkout_session.closed", subject="checkout_session_id"):
    """The merchant closed the session, or its link with it."""


class SessionInvalidated(
    SessionFact, topic="checkout_session.invalidated", subject="checkout_session_id"
):
    """Nothing can be paid through it any more; `terminal_reason` says why."""
