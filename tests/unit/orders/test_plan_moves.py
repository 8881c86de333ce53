"""Subscription plans: what may stand in one, what changes it, and what is due on its first day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.orders.plans import domain
from shared.contracts.plans import (
    SubscriptionPlan,
    SubscriptionPlanArchived,
    SubscriptionPlanUpdated,
    SubscriptionPlanUpdateParams,
)
from shared.errors import Refusal
from shared.money import AMOUNT_MAX
from tests.builders_plans import NOON, a_plan, item, usd

LATER = NOON + timedelta(days=1)
EUR = {"amount": 900, "currency": "EUR"}
MOST = usd(AMOUNT_MAX)


def patched(plan: SubscriptionPlan, **patch: Any) -> domain.Moved:
    return domain.change(plan, SubscriptionPlanUpdateParams.model_validate(patch), LATER)


# ---- what may stand in one -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, code, param",
    [
        ({"line_items": []}, "FIELD_REQUIRED", "line_items"),
        ({"line_items": [item(0)]}, "AMOUNT_OUT_OF_RANGE", "line_items"),
        ({"line_items": [item(0)], "setup_fee_money": usd(0)}, "AMOUNT_OUT_OF_RANGE", "line_items"),
        (
            {"line_items": [{"name": "Tea"}]},
            "FIELD_REQUIRED",
            "line_items[0].unit_price_money",
        ),
        (
            {"line_items": [item(), item(item_id="item_01JZZZZZZZZZZZZZZZZZZZZZZZ")]},
            "RESOURCE_NOT_FOUND",
            "line_items[1].item_id",
        ),
        (
            {"line_items": [item(), item(unit_price_money=EUR)]},
            "CURRENCY_MISMATCH",
            "line_items[1].unit_price_money",
        ),
        ({"setup_fee_money": EUR}, "CURRENCY_MISMATCH", "setup_fee_money"),
        (
            {"early_termination_fee_money": EUR},
            "CURRENCY_MISMATCH",
            "early_termination_fee_money",
        ),
        ({"setup_fee_money": MOST}, "AMOUNT_OUT_OF_RANGE", "line_items"),
        (
            {"billing_interval": "weekly", "billing_interval_count": 53},
            "INVALID_VALUE",
            "billing_interval_count",
        ),
        (
            {"billing_interval": "yearly", "billing_interval_count": 11},
            "INVALID_VALUE",
            "billing_interval_count",
        ),
    ],
)
def test_what_contradicts_a_plan_is_refused_with_its_field(
    given: dict[str, Any], code: str, param: str
):
    with pytest.raises(Refusal) as caught:
        a_plan(**given)

    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    "interval, count", [("daily", 365), ("weekly", 52), ("monthly", 36), ("yearly", 10)]
)
def test_the_longest_period_of_each_kind_is_allowed(interval: str, count: int):
    plan = a_plan(billing_interval=interval, billing_interval_count=count)

    assert plan.billing_interval_count == count


# ---- what changes it -----------------------------------------------------------------------------


def test_a_change_is_a_new_version_that_says_what_it_was():
    plan = a_plan(setup_fee_money=usd(500), metadata={"a": "1", "b": "2"})

    new, (fact,) = patched(
        plan, name="Tea society", clear_setup_fee_money=True, metadata={"a": None, "c": "3"}
    )

    assert (new.name, new.setup_fee_money, new.version) == ("Tea society", None, 2)
    assert new.metadata == {"b": "2", "c": "3"}
    assert isinstance(fact, SubscriptionPlanUpdated)
    assert fact.previous == {
        "name": "Tea club",
        "setup_fee_money": plan.setup_fee_money,
        "metadata": {"a": "1", "b": "2"},
        "version": 1,
    }


@pytest.mark.parametrize(
    "patch", [{}, {"name": "Tea club"}, {"line_items": [item()]}, {"metadata": {}}]
)
def test_what_changes_nothing_is_no_new_version(patch: dict[str, Any]):
    plan = a_plan()

    assert patched(plan, **patch) == (plan, [])


@pytest.mark.parametrize("name", domain.CLEARED)
def test_a_field_is_cleared_by_its_flag_or_by_null_and_not_set_as_well(name: str):
    value: Any = 12 if name in ("trial_period_days", "contract_term_months") else usd(500)
    plan = a_plan(**{name: value})

    by_flag, _ = patched(plan, **{f"clear_{name}": True})
    by_null, _ = patched(plan, **{name: None})
    with pytest.raises(Refusal) as caught:
        patched(plan, **{name: value, f"clear_{name}": True})

    assert by_flag == by_null
    assert getattr(by_flag, name) is None
    assert caught.value.param == f"clear_{name}"


@pytest.mark.parametrize(
    "patch, param",
    [
        ({"name": None}, "name"),
        ({"line_items": []}, "line_items"),
        ({"setup_fee_money": EUR}, "setup_fee_money"),
        ({"metadata": {str(n): "x" for n in range(50)}}, "metadata"),
    ],
)
def test_a_change_is_checked_as_a_whole(patch: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        patched(a_plan(metadata={"shelf": "B"}), **patch)

    assert caught.value.param == param


def test_archiving_repeats_safely_and_an_archived_plan_may_still_be_renamed():
    plan, (fact,) = domain.archive(a_plan(), LATER)
    again, silence = domain.archive(plan, LATER)
    renamed, _ = patched(plan, name="Old club")

    assert isinstance(fact, SubscriptionPlanArchived)
    assert fact.previous == {"status": "active", "version": 1}
    assert (again, silence) == (plan, [])
    assert (renamed.status, renamed.version) == ("archived", 3)


# ---- what is due on its first day ----------------------------------------------------------------


@pytest.mark.parametrize(
    "given, due",
    [
        ({}, [("item-1", "Tea box", 1, 1200, True)]),
        (
            {"line_items": [item(), item(300, name=None, quantity=2)], "setup_fee_money": usd(500)},
            [
                ("item-1", "Tea box", 1, 1200, True),
                ("item-2", "Tea club", 2, 300, True),
                ("setup-fee", "Setup fee", 1, 500, False),
            ],
        ),
        (
            {"trial_period_days": 14, "setup_fee_money": usd(500)},
            [("setup-fee", "Setup fee", 1, 500, True)],
        ),
        ({"trial_period_days": 14}, []),
        ({"trial_period_days": 14, "setup_fee_money": usd(0)}, []),
        ({"trial_period_days": 0}, [("item-1", "Tea box", 1, 1200, True)]),
        (
            {"line_items": [], "setup_fee_money": usd(500)},
            [("setup-fee", "Setup fee", 1, 500, True)],
        ),
    ],
)
def test_the_first_payment(given: dict[str, Any], due: list[tuple[str, str, int, int, bool]]):
    lines = a_plan(**given).due_today()

    assert [
        (line.key, line.name, line.quantity, line.unit_price_money.amount, line.is_counted)
        for line in lines
    ] == due


def test_the_terms_say_what_a_period_costs_whatever_is_due_today():
    lines = [item(), item(300, quantity=2)]
    plan = a_plan(
        line_items=lines,
        trial_period_days=14,
        setup_fee_money=usd(500),
        contract_term_months=12,
        early_termination_fee_money=usd(2500),
    )

    terms = plan.terms()

    assert (terms.plan_id, terms.plan_version, terms.name) == (plan.plan_id, 1, "Tea club")
    assert terms.recurring_money.amount == 1800
    assert terms.early_termination_fee_money is not None
    assert (terms.trial_period_days, terms.contract_term_months) == (14, 12)
