"""`/v1/checkout-sessions`: hosted payment pages, made for an amount or an existing order."""

from __future__ import annotations

from typing import Final, Literal

from services.gateway.api import examples
from services.gateway.api.lists import ListParams, QueryTime
from services.gateway.api.operation import ApiCall, Operation
from services.gateway.api.subscription_plans import known_plan
from shared.contracts.lists import Page
from shared.contracts.orders import GetOrder, Order
from shared.contracts.plans import ARCHIVED
from shared.contracts.sessions import (
    CheckoutSession,
    CheckoutSessionCreateParams,
    CheckoutSessionUpdateParams,
    CloseCheckoutSessionParams,
    CloseSession,
    CreateSession,
    GetSession,
    ListSessions,
    SessionStatus,
    UpdateSession,
)
from shared.contracts.types import OrderId, PaymentLinkId, Source
from shared.errors import Refusal
from shared.telemetry.scope import about_session

READ: Final = "checkouts.checkout_sessions.read"
WRITE: Final = "checkouts.checkout_sessions.write"


class CheckoutSessionListParams(ListParams):
    """Filters and order of the list."""

    sort_field: Literal["created_at", "updated_at"] = "created_at"
    status: SessionStatus | None = None
    order_id: OrderId | None = None
    source: Source | None = None
    payment_link_id: PaymentLinkId | None = None
    expired_after: QueryTime | None = None
    expired_before: QueryTime | None = None


async def create(call: ApiCall) -> CheckoutSession:
    session = await _create(call)
    about_session(session.checkout_session_id)
    return session


async def _create(call: ApiCall) -> CheckoutSession:
    params: CheckoutSessionCreateParams = call.body
    if params.order_id is None:
        plan = await known_plan(call, params.plan_id)
        return await call.ask(CreateSession(params=params, plan=plan))
    order = await call.ask_fresh(GetOrder(order_id=params.order_id), params.order_id)
    if order.status != "open":
        return await _create_once_more(call, order)
    balance = order.net_amounts.balance_money  # Orders looks again when it hears of the session.
    return await call.ask(CreateSession(params=params, order_balance_money=balance))


async def _create_once_more(call: ApiCall, order: Order) -> CheckoutSession:
    """Refused, unless the client's key has an answer from before the order was paid."""
    message = f"The order is {order.status}; only an open order can be paid."
    refusal = Refusal("conflict", "ORDER_CLOSED", message, param="order_id")
    if call.once is None:
        raise refusal
    try:
        return await call.ask(CreateSession(params=call.body))
    except Refusal as unknown:
        # Without a balance sessions only ever answers a repeat.
        raise (refusal if unknown.kind == "not_found" else unknown) from None


async def get(call: ApiCall) -> CheckoutSession:
    return await call.ask(GetSession(**call.ids))


async def list_all(call: ApiCall) -> Page[CheckoutSession]:
    return await call.ask(ListSessions(**call.page()))


async def update(call: ApiCall) -> CheckoutSession:
    return await call.ask(UpdateSession(**call.ids, params=call.body))


async def close(call: ApiCall) -> CheckoutSession:
    return await call.ask(CloseSession(**call.ids, params=call.body))


_BASE: Final = "/v1/checkout-sessions"
_ONE: Final = f"{_BASE}/{{checkout_session_id}}"

OPERATIONS: Final = (
    Operation(
        "POST",
        _BASE,
        "createCheckoutSession",
        "Create a checkout session",
        create,
        CheckoutSession,
        scope=WRITE,
        status=201,
        body=CheckoutSessionCreateParams,
        codes=("ORDER_CLOSED", "CHECKOUT_PAYMENT_RESOLVING", ARCHIVED),
        example=examples.SESSION_PARAMS,
        reply_example=examples.SESSION,
        description="Exactly one of `quick_pay`, `order_id`, `plan_id`. An order has at most one "
        "open session: a new one supersedes the old, unless a payment is in flight. With `plan_id` "
        "the session (`source` `subscription`) takes exactly one payment: the plan's first period "
        "and its setup fee, or during a trial the fee alone; a plan of which nothing is due today "
        "is a 400, since cards are not saved without a payment yet. Renewals are not charged yet "
        "either: `subscription_terms` keeps what the buyer agreed to.",
    ),
    Operation(
        "GET",
        _BASE,
        "listCheckoutSessions",
        "List checkout sessions",
        list_all,
        CheckoutSession,
        scope=READ,
        query=CheckoutSessionListParams,
        reply_example=examples.SESSION,
    ),
    Operation(
        "GET",
        _ONE,
        "getCheckoutSession",
        "Retrieve a checkout session",
        get,
        CheckoutSession,
        scope=READ,
        reply_example=examples.SESSION,
    ),
    Operation(
        "PATCH",
        _ONE,
        "updateCheckoutSession",
        "Update the metadata",
        update,
        CheckoutSession,
        scope=WRITE,
        body=CheckoutSessionUpdateParams,
        example={"metadata": {"table": "12", "waiter": None}},
        reply_example=examples.SESSION,
        description="Only metadata; it merges, `null` removes a key.",
    ),
    Operation(
        "POST",
        f"{_ONE}/close",
        "closeCheckoutSession",
        "Close a checkout session",
        close,
        CheckoutSession,
        scope=WRITE,
        body=CloseCheckoutSessionParams,
        is_body_optional=True,
        codes=("CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING"),
        example={"reason": "The guest left."},
        reply_example=examples.CLOSED_SESSION,
        description="A session with a payment in flight is not closed under it.",
    ),
)
