"""Subscription plans for tests: a tea club's, with only what a test says made different."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.orders.plans import domain
from shared.contracts.plans import CreatePlan, SubscriptionPlan, SubscriptionPlanCreateParams
from tests.support.desk import MERCHANT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAN = "plan_01JZZZZZZZZZZZZZZZZZZZZZZZ"


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def item(amount: int = 1200, **more: Any) -> dict[str, Any]:
    return {"name": "Tea box", "unit_price_money": usd(amount)} | more


def club(**given: Any) -> dict[str, Any]:
    """The body of a create request."""
    base = {"name": "Tea club", "currency": "USD", "billing_interval": "monthly"}
    return base | {"line_items": [item()]} | given


def creating(**given: Any) -> CreatePlan:
    return CreatePlan(params=SubscriptionPlanCreateParams.model_validate(club(**given)))


def a_plan(**given: Any) -> SubscriptionPlan:
    state: dict[str, Any] = {
        name: given.pop(name) for name in ("status", "version") if name in given
    }
    plan, _ = domain.create(
        creating(**given).params,
        plan_id=PLAN,
        merchant_id=MERCHANT,
        mode_environment="test",
        now=NOON,
    )
    return plan.model_copy(update=state)
