"""A subscription plan: made, changed, archived. Pure: moves return the new plan and its facts.

The contract's own model is the state: what a merchant wrote, a status, and a version that grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from shared.contracts.base import changed
from shared.contracts.plans import (
    INTERVAL_COUNT_MAX,
    SubscriptionPlan,
    SubscriptionPlanArchived,
    SubscriptionPlanCreated,
    SubscriptionPlanCreateParams,
    SubscriptionPlanFact,
    SubscriptionPlanUpdated,
    SubscriptionPlanUpdateParams,
)
from shared.contracts.types import ModeEnvironment, merged_metadata
from shared.errors import invalid, not_found, required
from shared.money import AMOUNT_MAX, Money

Moved = tuple[SubscriptionPlan, list[SubscriptionPlanFact]]

CONTENT: Final = tuple(SubscriptionPlanCreateParams.model_fields)
CLEARED: Final = tuple(
    name.removeprefix("clear_")
    for name in SubscriptionPlanUpdateParams.model_fields
    if name.startswith("clear_")
)


def create(
    params: SubscriptionPlanCreateParams,
    *,
    plan_id: str,
    merchant_id: str,
    mode_environment: ModeEnvironment,
    now: datetime,
) -> Moved:
    """A new, active plan. Raises the refusal of the first field that is wrong."""
    plan = SubscriptionPlan.model_construct(
        **{name: getattr(params, name) for name in CONTENT},
        plan_id=plan_id,
        status="active",
        version=1,
        merchant_id=merchant_id,
        mode_environment=mode_environment,
        created_at=now,
        updated_at=now,
    )
    check(plan)
    return plan, [SubscriptionPlanCreated.model_construct(**vars(plan), previous={})]


def change(plan: SubscriptionPlan, patch: SubscriptionPlanUpdateParams, now: datetime) -> Moved:
    """The plan as the merchant wants it now. What changes nothing is no new version."""
    changes = _changes(plan, patch)
    if all(getattr(plan, name) == value for name, value in changes.items()):
        return plan, []
    new = _next(plan, now, **changes)
    check(new)
    return new, [_fact(SubscriptionPlanUpdated, new, plan)]


def archive(plan: SubscriptionPlan, now: datetime) -> Moved:
    """No longer offered. Repeating it changes nothing."""
    if plan.status == "archived":
        return plan, []
    new = _next(plan, now, status="archived")
    return new, [_fact(SubscriptionPlanArchived, new, plan)]


def check(plan: SubscriptionPlan) -> None:
    """Refuse what contradicts itself, with the field it is about."""
    most = INTERVAL_COUNT_MAX[plan.billing_interval]
    if plan.billing_interval_count > most:
        message = f"A {plan.billing_interval} plan has an interval count of at most {most}."
        raise invalid("billing_interval_count", message)
    _check_items(plan)
    for param, found in _sums(plan):
        if found.currency != plan.currency:
            message = f"The plan is in {plan.currency}, this amount is in {found.currency}."
            raise invalid(param, message, "CURRENCY_MISMATCH")
    _check_total(plan)


def _check_items(plan: SubscriptionPlan) -> None:
    for index, item in enumerate(plan.line_items):
        if item.item_id is not None:  # there is no catalogue to take it from
            raise not_found("item", f"line_items[{index}].item_id")
        if item.unit_price_money is None:
            raise required(f"line_items[{index}].unit_price_money")


def _sums(plan: SubscriptionPlan) -> Iterator[tuple[str, Money]]:
    for index, item in enumerate(plan.line_items):
        if item.unit_price_money is not None:
            yield f"line_items[{index}].unit_price_money", item.unit_price_money
    for name in ("setup_fee_money", "early_termination_fee_money"):
        if (found := getattr(plan, name)) is not None:
            yield name, found


def _check_total(plan: SubscriptionPlan) -> None:
    """The first payment has to be one that an order can hold, and one at all, now or later."""
    total = sum(
        item.unit_price_money.amount * item.quantity
        for item in plan.line_items
        if item.unit_price_money is not None
    )
    total += plan.setup_fee_money.amount if plan.setup_fee_money else 0
    if not plan.line_items and not total:
        raise required("line_items")
    if not total:
        raise invalid("line_items", "There is nothing to pay on this plan.", "AMOUNT_OUT_OF_RANGE")
    if total > AMOUNT_MAX:
        raise invalid("line_items", "Together this costs too much.", "AMOUNT_OUT_OF_RANGE")


def _changes(plan: SubscriptionPlan, patch: SubscriptionPlanUpdateParams) -> dict[str, Any]:
    given = patch.model_fields_set
    if "name" in given and patch.name is None:
        raise required("name")
    changes = {name: getattr(patch, name) for name in CONTENT if name in given}
    for name in CLEARED:
        if getattr(patch, f"clear_{name}"):
            if changes.get(name) is not None:
                raise invalid(f"clear_{name}", f"Give '{name}' or clear it, not both.")
            changes[name] = None
    if "line_items" in changes:
        changes["line_items"] = changes["line_items"] or []
    if "metadata" in changes:
        patched = changes["metadata"]  # `null` instead of the whole removes every key
        changes["metadata"] = {} if patched is None else merged_metadata(plan.metadata, patched)
    return changes


def _next(plan: SubscriptionPlan, now: datetime, **changes: Any) -> SubscriptionPlan:
    update = {**changes, "version": plan.version + 1, "updated_at": now}
    return plan.model_copy(update=update)


def _fact(
    kind: type[SubscriptionPlanFact], plan: SubscriptionPlan, before: SubscriptionPlan
) -> SubscriptionPlanFact:
    previous = changed(vars(before), vars(plan))
    return kind.model_construct(**vars(plan), previous=previous)
