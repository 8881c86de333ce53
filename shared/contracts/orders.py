"""What orders owns: the order and its money."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contracts.base import Command, Event, Query
from shared.contracts.configs import Percent, TipPercentage
from shared.contracts.link_requests import Frequency
from shared.contracts.links import TicketedEvent
from shared.contracts.lists import ListQuery, Page
from shared.contracts.plans import SubscriptionTerms
from shared.contracts.sessions import Payer
from shared.contracts.tickets import Ticket
from shared.contracts.types import (
    Address,
    CustomerId,
    Description,
    Email,
    ImageUrl,
    ItemId,
    Metadata,
    ModeEnvironment,
    Name,
    Note,
    PageUrl,
    Phone,
    Quantity,
    Resource,
    Source,
    Strict,
    Time,
    text,
)
from shared.money import Money, SignedMoney

OrderStatus = Literal["open", "closed", "paid", "partially_refunded", "refunded"]
DiscountScope = Literal["order", "line_item"]
ActivityType = Literal[
    "created",
    "line_item_added",
    "line_item_removed",
    "discount_applied",
    "discount_removed",
    "tax_updated",
    "payment",
    "refund",
    "status_change",
    "adjustment",
    "closed",
    "tip_added",
    "tip_removed",
    "order_updated",
    "line_item_updated",
    "tip_updated",
    "checkout_session_created",
    "checkout_session_expired",
    "checkout_session_invalidated",
    "payment_intent_created",
    "payment_intent_status_changed",
    "payment_failed",
    "refund_failed",
]
Token = Annotated[str, text(255, 1)]


class OrderLineItemInput(Strict):
    """A line to add to an order."""

    name: Name
    quantity: Quantity
    unit_price_money: Money
    item_id: ItemId | None = None
    description: Description | None = None
    sku: Annotated[str, text(100)] | None = None
    image_url: ImageUrl | None = None
    metadata: Metadata = {}
    taxable: bool | None = None


class CouponRef(Strict):
    """A coupon by id or by code."""

    coupon_id: Annotated[str, text(64, 1)] | None = None
    coupon_code: Annotated[str, text(64, 1)] | None = None


class ManualDiscount(Strict):
    """A fixed sum off, off the whole order or off named lines."""

    name: Name
    amount_money: Money
    scope: DiscountScope = "order"
    order_line_item_ids: Annotated[list[Annotated[str, text(64)]], Field(max_length=100)] = []


class DiscountInput(Strict):
    """Exactly one of `coupon`, `manual`."""

    coupon: CouponRef | None = None
    manual: ManualDiscount | None = None


class TipInput(Strict):
    """Exactly one of `amount_money`, `percent` (of the discounted subtotal, before tax)."""

    name: Annotated[str, text(250)] | None = None
    description: Description | None = None
    metadata: Metadata = {}
    amount_money: Money | None = None
    percent: TipPercentage | None = None


class OrderCreateParams(Strict):
    """A new order; `{}` is legal, the first line sets the currency."""

    line_items: Annotated[list[OrderLineItemInput], Field(max_length=100)] = []
    discounts: Annotated[list[DiscountInput], Field(max_length=20)] = []
    tips: Annotated[list[TipInput], Field(max_length=20)] = []
    metadata: Metadata = {}
    customer_id: CustomerId | None = None
    buyer_note: Note | None = None
    merchant_note: Note | None = None


class CloseOrderParams(Strict):
    """Why the merchant closes it."""

    reason: Note | None = None


class PayOrderParams(Strict):
    """One payment for the whole balance."""

    payment_source_token: Token | None = None
    payment_method_id: Annotated[str, text(64, 1)] | None = None
    expected_balance_money: Money | None = None
    buyer_email: Email | None = None
    buyer_phone: Phone | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    payment_intent_ids: Annotated[list[Annotated[str, text(64)]], Field(max_length=1)] = []
    payment_source_tokens: Annotated[dict[str, Token], Field(max_length=1)] = {}
    payment_method_ids: Annotated[dict[str, Annotated[str, text(64, 1)]], Field(max_length=1)] = {}
    setup_payment_source_token: Token | None = None


class OrderLineItem(Resource):
    """A priced line: gross = unit × quantity; net = gross − discount + added tax."""

    order_line_item_id: str
    name: str
    quantity: int
    unit_price_money: Money
    gross_money: Money
    discount_money: Money
    tax_money: Money
    net_money: Money
    item_id: str | None = None
    description: str | None = None
    sku: str | None = None
    image_url: str | None = None
    metadata: dict[str, str] = {}
    taxable: bool = True


class AppliedDiscount(Resource):
    """A discount and what it took off (`applied_money`, clamped at the eligible sum)."""

    applied_discount_id: str
    order_id: str
    name: str
    amount_money: Money
    applied_money: Money
    scope: DiscountScope
    order_line_item_ids: list[str] = []
    coupon_id: str | None = None
    coupon_code: str | None = None
    percent_off: Percent | None = None
    status: Literal["pending", "redeemed"] = "pending"


class Tip(Resource):
    """A tip; for a percent one `amount_money` is what it comes to now."""

    tip_id: str
    order_id: str
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    amount_money: Money
    percent: float | None = None
    created_at: Time


class NetAmounts(Resource):
    """subtotal − discount + tax + tip = total, exactly, at every moment."""

    subtotal_money: Money
    discount_money: Money
    tax_money: Money
    tip_money: Money
    total_money: Money
    paid_money: Money
    refunded_money: Money
    balance_money: Money


class OrderActivity(Resource):
    """One entry of the order's history; the last running balance is the balance."""

    activity_id: str
    type: ActivityType
    balance_delta: SignedMoney
    running_balance: SignedMoney
    description: str
    created_at: Time
    order_line_item_id: str | None = None
    payment_intent_id: str | None = None
    refund_id: str | None = None
    applied_discount_id: str | None = None
    tip_id: str | None = None
    checkout_session_id: str | None = None


class Order(Resource):
    """What was bought, what it costs, what was paid."""

    order_id: str
    order_number: str
    status: OrderStatus
    closed_reason: str | None = None
    line_items: list[OrderLineItem] = []
    discounts: list[AppliedDiscount] = []
    tips: list[Tip] = []
    net_amounts: NetAmounts
    activities: list[OrderActivity] = []
    payment_intent_ids: list[str] = []
    refund_ids: list[str] = []
    checkout_session_ids: list[str] = []
    event: TicketedEvent | None = None  # what its seats admit to, as it was when they were offered
    tickets: list[Ticket] = []
    customer_id: str | None = None
    buyer_email: str | None = None
    buyer_note: str | None = None
    merchant_note: str | None = None
    source: Source
    payment_link_id: str | None = None
    subscription_id: str | None = None
    subscription_plan_id: str | None = None
    custom_field_values: dict[str, str] = {}
    client_reference_id: str | None = None
    utm: dict[str, str] = {}
    donation_frequency: Frequency | None = None  # the donor's wish; this order is one payment
    subscription_terms: SubscriptionTerms | None = None  # frozen; this order is the first payment
    revision: int = 1
    metadata: dict[str, str] = {}
    merchant_id: str
    mode_environment: ModeEnvironment
    created_at: Time
    updated_at: Time


class PaymentStarted(Resource):
    """Answer of `orders.pay`: the live attempt and the order as it stands."""

    attempt_id: str
    order: Order


class CreateOrder(Command[Order], topic="orders.create"):
    params: OrderCreateParams


class GetOrder(Query[Order], topic="orders.get"):
    order_id: str


class ListOrders(ListQuery[Page[Order]], topic="orders.list"):
    customer_id: str | None = None
    status: OrderStatus | None = None
    order_number: str | None = None
    source: Source | None = None
    subscription_id: str | None = None


class CloseOrder(Command[Order], topic="orders.close"):
    order_id: str
    params: CloseOrderParams


class ShowOrder(Query[Order], topic="orders.show"):
    """The buyer's door: by id alone, the merchant is not known yet."""

    order_id: str


class ReviseOrder(Command[Order], topic="orders.revise"):
    """What the buyer may change on the page: the tip (none of both: no tip)."""

    order_id: str
    expected_revision: int
    tip: TipInput | None = None


class PayOrder(Command[PaymentStarted], topic="orders.pay"):
    """Pay the whole balance. `attempt_id` is the new intent's id and makes this happen once.

    With `checkout_session_id` it comes from sessions and a 'no' is said as `attempt.refused`;
    without, it comes from the API and a 'no' is the answer.
    """

    order_id: str
    attempt_id: str
    checkout_session_id: str | None = None
    payment_source_token: Token | None = None
    expected_amount_money: Money | None = None
    payer: Payer = Payer()
    return_url: PageUrl | None = None


class OrderFact(Order, Event):
    """The order as the API shows it, and the old values of what changed."""

    previous: dict[str, Any] = {}


class OrderCreated(OrderFact, topic="order.created", subject="order_id"):
    """An order was made: over the API, by a link or for a quick payment."""


class OrderUpdated(OrderFact, topic="order.updated", subject="order_id"):
    """What the order contains or costs has changed; `revision` has grown."""


class OrderPaid(OrderFact, topic="order.paid", subject="order_id"):
    """All that was due has arrived, or nothing was due.

    `attempt_id` is the intent that paid, `paid_session_id` the session it went through.
    """

    attempt_id: str | None = None
    paid_session_id: str | None = None
    quantity_sold: int = 0
    line_quantities: dict[str, int] = {}  # the link's line key → quantity


class OrderRefunded(OrderFact, topic="order.refunded", subject="order_id"):
    """Money went back to the buyer: `amount_money` by `refund_id`.

    `status` tells whether all of it has (`refunded`) or a part; the order's sums have the whole.
    """

    refund_id: str
    amount_money: Money
    quantity_sold: int = 0
    line_quantities: dict[str, int] = {}  # as `order.paid` said


class OrderClosed(OrderFact, topic="order.closed", subject="order_id"):
    """The order can neither be changed nor paid any more."""


class OrderUnpayable(Event, topic="order.unpayable", subject="order_id", public=False):
    """A session was opened for an order that can no longer be paid (or does not exist)."""

    order_id: str
    checkout_session_id: str
    reason: Literal["order_closed", "order_paid_elsewhere"]


class AttemptRefused(Event, topic="attempt.refused", subject="attempt_id", public=False):
    """Orders said no before any money moved."""

    attempt_id: str
    order_id: str
    checkout_session_id: str | None = None
    failure_code: str
    failure_message: str
