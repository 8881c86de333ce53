"""`/v1/orders`: what was bought, what it costs, and paying it without a hosted page."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Final, Literal, TypeVar, get_args

from services.gateway.api import examples, paying
from services.gateway.api.lists import ListParams
from services.gateway.api.operation import ApiCall, Operation, With
from shared.contracts.lists import Page
from shared.contracts.orders import (
    CloseOrder,
    CloseOrderParams,
    CreateOrder,
    GetOrder,
    ListOrders,
    Order,
    OrderCreateParams,
    OrderStatus,
    PayOrder,
    PayOrderParams,
)
from shared.contracts.payments import FailureCode, PaymentIntent
from shared.contracts.sessions import GetSession
from shared.contracts.types import CustomerId, Resource, Source, text
from shared.errors import Refusal, Unavailable
from shared.ids import new_id, ulid_of

R = TypeVar("R")
PROMISED_SECONDS: Final = 3600.0  # longer than orders can be behind and nobody has mended it
READ: Final = "commerce.orders.read"
WRITE: Final = "commerce.orders.write"


class OrderListParams(ListParams):
    """Filters and order of the list."""

    sort_field: Literal["created_at", "updated_at", "due_money"] = "created_at"
    customer_id: CustomerId | None = None
    status: OrderStatus | None = None
    order_number: Annotated[str, text(64, 1)] | None = None
    source: Source | None = None
    subscription_id: Annotated[str, text(64, 1)] | None = None


class PendingAction(Resource):
    """Where the buyer has to go before the payment can be decided."""

    payment_intent_id: str
    redirect_url: str


async def create(call: ApiCall) -> Order:
    return await call.ask(CreateOrder(params=call.body))


async def get(call: ApiCall) -> Order:
    return await _order(call)


async def list_all(call: ApiCall) -> Page[Order]:
    return await call.ask(ListOrders(**call.page()))


async def _order(call: ApiCall) -> Order:
    """A session's order is opened by an event, so a fresh one may be a moment away."""
    return await _promised(call, call.ask_fresh(GetOrder(**call.ids), call.ids["order_id"]))


async def _promised(call: ApiCall, asked: Awaitable[R]) -> R:
    """The answer. An order whose page is there is on its way, however late: that is no 404."""
    try:
        return await asked
    except Refusal as refusal:
        if refusal.kind != "not_found" or not await _has_page(call):
            raise
    raise Unavailable("the order is on its way")


async def _has_page(call: ApiCall) -> bool:
    """Whether there is a session that was opened together with this order: they share a ULID."""
    order_id = call.ids["order_id"]
    if not call.is_fresh(order_id, PROMISED_SECONDS):
        return False
    page = GetSession(checkout_session_id=f"cs_{ulid_of(order_id)}")
    try:
        await call.ask(page)
    except Refusal:
        return False
    return True


async def _arrived(call: ApiCall) -> None:
    if call.is_fresh(call.ids["order_id"]):
        await _order(call)


async def close(call: ApiCall) -> Order:
    await _arrived(call)
    return await _promised(call, call.ask(CloseOrder(**call.ids, params=call.body)))


async def pay(call: ApiCall) -> With:
    params: PayOrderParams = call.body
    command = PayOrder(
        **call.ids,
        attempt_id=call.once.attempt_id() if call.once else new_id("pi"),
        payment_source_token=paying.token_of(params),
        expected_amount_money=params.expected_balance_money,
        payer=paying.payer_of(params),
    )
    await _arrived(call)
    started = await _promised(call, call.ask(command))
    if started.order.status != "open":  # Nothing was due, or the same attempt has paid it before.
        return With(started.order, {"pending_actions": []})
    intent = await paying.outcome_of(call, started.attempt_id)
    if intent is not None and (refusal := paying.refusal_of(intent)):
        raise refusal
    return With(await _order(call), {"pending_actions": _pending(intent)})


def _pending(intent: PaymentIntent | None) -> list[PendingAction]:
    if intent is None or intent.status != "requires_action" or not intent.next_action_url:
        return []
    url = intent.next_action_url
    return [PendingAction(payment_intent_id=intent.payment_intent_id, redirect_url=url)]


_BASE: Final = "/v1/orders"
_ONE: Final = f"{_BASE}/{{order_id}}"

OPERATIONS: Final = (
    Operation(
        "POST",
        _BASE,
        "createOrder",
        "Create an order",
        create,
        Order,
        scope=WRITE,
        status=201,
        body=OrderCreateParams,
        codes=("CURRENCY_MISMATCH", "AMOUNT_OUT_OF_RANGE", "COUPON_NOT_FOUND"),
        example=examples.ORDER_PARAMS,
        reply_example=examples.ORDER,
        description="`{}` is legal: the first line sets the currency.",
    ),
    Operation(
        "GET",
        _BASE,
        "listOrders",
        "List orders",
        list_all,
        Order,
        scope=READ,
        query=OrderListParams,
        reply_example=examples.ORDER,
    ),
    Operation(
        "GET",
        _ONE,
        "getOrder",
        "Retrieve an order",
        get,
        Order,
        scope=READ,
        reply_example=examples.ORDER,
    ),
    Operation(
        "POST",
        f"{_ONE}/close",
        "closeOrder",
        "Close an order",
        close,
        Order,
        scope=WRITE,
        body=CloseOrderParams,
        is_body_optional=True,
        codes=("ORDER_CLOSED", "ORDER_PAYMENT_ATTEMPT_ACTIVE"),
        example={"reason": "Out of stock."},
        reply_example=examples.CLOSED_ORDER,
    ),
    Operation(
        "POST",
        f"{_ONE}/pay",
        "payOrder",
        "Pay an order",
        pay,
        Order,
        scope=WRITE,
        body=PayOrderParams,
        is_body_optional=True,
        beside={"pending_actions": list[PendingAction]},
        codes=(
            "ORDER_CLOSED",
            "ORDER_CONFLICT",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            *get_args(FailureCode),
        ),
        example={"payment_source_token": "tok_visa", "buyer_email": "ada@example.com"},
        reply_example=examples.PAID_ORDER,
        description="Pays the whole balance, at most once. Answers when the outcome is known, "
        "after 10 s at the latest with the order as it stands. A declined payment is a 422 whose "
        "`code` is the failure; a link that has no place left is a 409. "
        "`pending_actions` names the page the buyer has to visit first. The same "
        "Idempotency-Key is the same payment, and answers with what has become of it by then.",
    ),
)
