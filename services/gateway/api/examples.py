"""Examples of the reference: made from the contract's own classes, so that they stay true."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel

from services.gateway.pages.button import button
from shared.contracts.configs import LegalConfig, Redirects, Theme
from shared.contracts.link_requests import CustomField, LinkLineItem
from shared.contracts.links import BuyerLink, PaymentLink, ResolvedLine
from shared.contracts.orders import NetAmounts, Order, OrderActivity, OrderLineItem
from shared.contracts.plans import SubscriptionPlan, SubscriptionPlanLineItem
from shared.contracts.sessions import CheckoutSession
from shared.money import Money, SignedMoney

Json = dict[str, Any]
_ULID: Final = "01KAT0M5V8Q4Z6R2N3W9XJ7HDE"
_NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
_MERCHANT: Final = f"mer_{_ULID}"
_PRICE: Final = Money(amount=1250, currency="USD")
_TOTAL: Final = Money(amount=2500, currency="USD")
_NOTHING: Final = Money(amount=0, currency="USD")
CONTEXT: Final = "WyJwbF8wMUtBVDBNNVY4UTRaNlIyTjNXOVhKN0hERSIsM10.b3VyLXNpZ25hdHVyZQ"


def _json(value: BaseModel) -> Json:
    return value.model_dump(mode="json", exclude_none=True)


_line = LinkLineItem(
    key="tea",
    name="Green tea",
    amount_money=_PRICE,
    quantity=1,
    allow_quantity_adjustment=True,
    max_quantity=10,
)
_field = CustomField(key="grind", label="Grind", type="dropdown", options=["Leaf", "Powder"])
_link = PaymentLink(
    payment_link_id=f"pl_{_ULID}",
    name="Tea of the month",
    mode="standard",
    status="active",
    line_items=[_line],
    custom_fields=[_field],
    theme=Theme(primary_color="#14532d"),
    redirects=Redirects(success_redirect_url="https://shop.example/thanks?s={CHECKOUT_SESSION_ID}"),
    max_completions=100,
    completed_count=12,
    total_quantity_sold=15,
    version=3,
    url="https://pay.example/l/tea",
    slugs=["tea"],
    metadata={"campaign": "autumn"},
    merchant_id=_MERCHANT,
    mode_environment="test",
    created_at=_NOON,
    updated_at=_NOON,
)
LINE: Final = _json(_line)
CUSTOM_FIELD: Final = _json(_field)
LINK: Final = _json(_link)
INACTIVE_LINK: Final = {**LINK, "status": "inactive"}
LINK_PARAMS: Final[Json] = {
    "name": "Tea of the month",
    "line_items": [{"key": "tea", "name": "Green tea", "amount_money": _json(_PRICE)}],
    "max_completions": 100,
    "slug": "tea",
    "metadata": {"campaign": "autumn"},
}

_session = CheckoutSession(
    checkout_session_id=f"cs_{_ULID}",
    status="open",
    source="payment_link",
    order_id=f"ord_{_ULID}",
    payment_link_id=f"pl_{_ULID}",
    url=f"https://pay.example/c/cs_{_ULID}",
    amount_money=_TOTAL,
    expires_at=_NOON + timedelta(days=1),
    legal=LegalConfig(terms_of_service_url="https://shop.example/terms"),
    merchant_id=_MERCHANT,
    mode_environment="test",
    created_at=_NOON,
    updated_at=_NOON,
)
SESSION: Final = _json(_session)
CLOSED_SESSION: Final = {
    **SESSION,
    "status": "closed",
    "terminal_reason": "api",
    "closed_reason": "The guest left.",
}
SESSION_PARAMS: Final[Json] = {
    "quick_pay": {"name": "Table 12", "amount_money": _json(_TOTAL)},
    "redirects": {"success_redirect_url": "https://shop.example/thanks?o={ORDER_ID}"},
    "expiration": {"expiration_seconds": 1800},
    "metadata": {"table": "12"},
}

_buyer_link = BuyerLink(**{name: getattr(_link, name) for name in BuyerLink.model_fields})
PUBLIC_LINK: Final[Json] = {
    "payment_link": _json(_buyer_link),
    "merchant_name": "Corner Tea",
    "resolved_line_items": [
        _json(
            ResolvedLine(
                key="tea",
                name="Green tea",
                unit_price_money=_PRICE,
                allow_quantity_adjustment=True,
                max_quantity=10,
            )
        )
    ],
    "donation_frequencies": [],
    "is_sold_out": False,
    "resolution_context": CONTEXT,
    "resolution_context_expires_at": "2026-11-24T14:00:00.000Z",
}
RESOLVED_LINK: Final[Json] = {"checkout_session": SESSION, "checkout_url": _session.url}

_order_line = OrderLineItem(
    order_line_item_id=f"li_{_ULID}",
    name="Green tea",
    quantity=2,
    unit_price_money=_PRICE,
    gross_money=_TOTAL,
    discount_money=_NOTHING,
    tax_money=_NOTHING,
    net_money=_TOTAL,
)


def _amounts(paid: Money, balance: Money) -> NetAmounts:
    return NetAmounts(
        subtotal_money=_TOTAL,
        discount_money=_NOTHING,
        tax_money=_NOTHING,
        tip_money=_NOTHING,
        total_money=_TOTAL,
        paid_money=paid,
        refunded_money=_NOTHING,
        balance_money=balance,
    )


_created = OrderActivity(
    activity_id=f"act_{_ULID}",
    type="created",
    balance_delta=SignedMoney(amount=2500, currency="USD"),
    running_balance=SignedMoney(amount=2500, currency="USD"),
    description="Order created",
    created_at=_NOON,
)
_paid = OrderActivity(
    activity_id=f"act_{_ULID}",
    type="payment",
    balance_delta=SignedMoney(amount=-2500, currency="USD"),
    running_balance=SignedMoney(amount=0, currency="USD"),
    description="Payment received",
    created_at=_NOON,
    payment_intent_id=f"pi_{_ULID}",
)
_order = Order(
    order_id=f"ord_{_ULID}",
    order_number="1042",
    status="open",
    line_items=[_order_line],
    net_amounts=_amounts(_NOTHING, _TOTAL),
    activities=[_created],
    source="api",
    merchant_id=_MERCHANT,
    mode_environment="test",
    created_at=_NOON,
    updated_at=_NOON,
)
ORDER: Final = _json(_order)
CLOSED_ORDER: Final = {**ORDER, "status": "closed", "closed_reason": "Out of stock."}
PAID_ORDER: Final = {
    **ORDER,
    "status": "paid",
    "net_amounts": _json(_amounts(_TOTAL, _NOTHING)),
    "activities": [_json(_created), _json(_paid)],
    "payment_intent_ids": [f"pi_{_ULID}"],
    "buyer_email": "ada@example.com",
}
ORDER_PARAMS: Final[Json] = {
    "line_items": [{"name": "Green tea", "quantity": 2, "unit_price_money": _json(_PRICE)}],
    "metadata": {"channel": "phone"},
}
BUTTON: Final = asdict(button(_link.url, "Get the tea", {"primary_color": "#14532d"}))
LINK_STATS: Final = {
    "payment_link_id": _link.payment_link_id,
    "view_count": 480,
    "resolve_count": 96,
    "attempt_count": 81,
    "paid_count": 72,
    "conversion_rate": 0.15,
    "revenue": [{"amount": 158_400, "currency": "USD"}],
    "refunds": [{"amount": 2_400, "currency": "USD"}],
}

_plan = SubscriptionPlan(
    plan_id=f"plan_{_ULID}",
    name="Tea club",
    description="A box of three teas, a different one each month.",
    currency="USD",
    billing_interval="monthly",
    billing_interval_count=1,
    line_items=[SubscriptionPlanLineItem(name="Tea box", unit_price_money=_PRICE)],
    setup_fee_money=Money(amount=500, currency="USD"),
    contract_term_months=12,
    early_termination_fee_money=_TOTAL,
    status="active",
    version=2,
    metadata={"shelf": "B"},
    merchant_id=_MERCHANT,
    mode_environment="test",
    created_at=_NOON,
    updated_at=_NOON,
)
PLAN: Final = _json(_plan)
ARCHIVED_PLAN: Final = {**PLAN, "status": "archived", "version": 3}
SETUP_FEE: Final = PLAN["setup_fee_money"]
PLAN_PARAMS: Final[Json] = {
    "name": "Tea club",
    "currency": "USD",
    "billing_interval": "monthly",
    "line_items": [{"name": "Tea box", "unit_price_money": _json(_PRICE)}],
    "setup_fee_money": SETUP_FEE,
    "contract_term_months": 12,
}
