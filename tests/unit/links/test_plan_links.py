"""Links that offer a plan: the first payment as one offer, the terms beside it."""

from __future__ import annotations

from typing import Any

import pytest

from services.links import modes, plans, template
from services.links.domain import Link
from shared.contracts.links import Choices
from shared.contracts.plans import SubscriptionPlan
from shared.errors import Refusal
from tests.builders_links import NOON, a_link, params, resolving, tea
from tests.builders_plans import PLAN, a_plan, item, usd

BOX_AND_FEE = {"line_items": [item(quantity=2)], "setup_fee_money": usd(500)}


def a_club(plan: SubscriptionPlan | None, **given: Any) -> Link:
    return a_link(plan=plan, **{"name": "Club", "plan_id": PLAN, "line_items": [], **given})


# ---- what may stand on the link ------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, param",
    [
        ({"line_items": [tea()]}, "line_items"),
        ({"mode": "event"}, "plan_id"),
    ],
)
def test_a_plan_leaves_no_room_for_anything_else(given: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        a_club(a_plan(), **given)

    assert (caught.value.kind, caught.value.param) == ("invalid", param)


@pytest.mark.parametrize(
    "plan, kind, code, param",
    [
        (None, "not_found", "RESOURCE_NOT_FOUND", "plan_id"),
        (a_plan(status="archived"), "conflict", "SUBSCRIPTION_PLAN_ARCHIVED", "plan_id"),
        (
            a_plan(
                currency="EUR", line_items=[item(unit_price_money=usd(9) | {"currency": "EUR"})]
            ),
            "invalid",
            "CURRENCY_MISMATCH",
            "tip.default_smart_tip_amount",
        ),
    ],
)
def test_a_plan_that_cannot_be_offered_makes_no_link(
    plan: SubscriptionPlan | None, kind: str, code: str, param: str
):
    tips = {"is_enabled": True, "default_smart_tip_amount": usd(100)}
    wanted = template.made(params(plan_id=PLAN, line_items=[], tip=tips))

    with pytest.raises(Refusal) as caught:
        plans.fitting(wanted, plan)

    assert (caught.value.kind, caught.value.code, caught.value.param) == (kind, code, param)


# ---- what a buyer sees ---------------------------------------------------------------------------


def test_what_is_due_today_is_shown_as_fixed_lines_with_the_terms_beside_them():
    shown = modes.shown(a_club(a_plan(**BOX_AND_FEE)), NOON)

    box, fee = shown.resolved_line_items
    assert (box.key, box.quantity, box.min_quantity, box.max_quantity) == ("item-1", 2, 2, 2)
    assert (fee.key, fee.name, fee.unit_price_money.amount) == ("setup-fee", "Setup fee", 500)
    assert not any(line.allow_quantity_adjustment for line in (box, fee))
    assert shown.subscription_terms is not None
    assert shown.subscription_terms.recurring_money.amount == 2400
    assert shown.unavailable_reason is None


@pytest.mark.parametrize(
    "plan, reason",
    [
        (None, "PAYMENT_LINK_INACTIVE"),
        (a_plan(trial_period_days=14), "PAYMENT_LINK_INACTIVE"),
        (a_plan(trial_period_days=14, setup_fee_money=usd(500)), None),
        (a_plan(status="archived"), "SUBSCRIPTION_PLAN_ARCHIVED"),
    ],
)
def test_why_nobody_can_buy_a_plan_now(plan: SubscriptionPlan | None, reason: str | None):
    link = a_club(plan)

    assert modes.unavailable_reason(link, NOON) == reason
    if reason is not None:
        with pytest.raises(Refusal) as caught:
            modes.refuse_if_unavailable(link, NOON)
        assert caught.value.code == reason


def test_a_paused_link_says_so_whatever_became_of_its_plan():
    link = a_club(a_plan(status="archived"), status="inactive")

    assert modes.unavailable_reason(link, NOON) == "PAYMENT_LINK_INACTIVE"


# ---- what a buyer buys ---------------------------------------------------------------------------


def test_a_plan_becomes_one_offer_whose_fee_is_no_piece():
    offer = modes.offer(a_club(a_plan(**BOX_AND_FEE), max_completions=5), Choices())

    assert [(line.key, line.quantity, line.is_counted) for line in offer.lines] == [
        ("item-1", 2, True),
        ("setup-fee", 1, False),
    ]
    assert offer.subscription_terms is not None
    assert offer.subscription_terms.plan_id == PLAN
    assert (offer.currency, offer.is_limited) == ("USD", True)


def test_a_trial_s_fee_is_the_piece_that_is_sold():
    offer = modes.offer(a_club(a_plan(trial_period_days=7, setup_fee_money=usd(500))), Choices())

    assert [(line.key, line.is_counted) for line in offer.lines] == [("setup-fee", True)]


@pytest.mark.parametrize(
    "chosen, param",
    [
        ({"quantity_overrides": {"item-1": 3}}, "quantity_overrides.item-1"),
        ({"unit_price_overrides": {"item-1": usd(1)}}, "unit_price_overrides.item-1"),
        ({"unit_price_overrides": {"setup-fee": usd(0)}}, "unit_price_overrides.setup-fee"),
        ({"quantity_overrides": {"item-9": 1}}, "quantity_overrides.item-9"),
        ({"donation_amount_money": usd(1)}, "donation_amount_money"),
    ],
)
def test_nothing_of_a_plan_can_be_chosen(chosen: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        modes.offer(a_club(a_plan(**BOX_AND_FEE)), Choices.model_validate(chosen))

    assert caught.value.param == param


@pytest.mark.parametrize("seen, is_asked_again", [(1, True), (2, True), (3, True), (4, False)])
def test_a_page_of_before_the_plan_changed_is_asked_for_again(seen: int, is_asked_again: bool):
    link = a_club(a_plan(version=3))  # the link's first version and the plan's third
    assert modes.shown(link, NOON).version == link.shown_version == 4

    def resolved() -> str:
        msg = resolving(version=seen)
        return modes.resolve(link, msg, ulid="01J", now=NOON).checkout_session_id

    if not is_asked_again:
        assert resolved() == "cs_01J"
        return
    with pytest.raises(Refusal) as caught:
        resolved()
    assert caught.value.code == "PAYMENT_LINK_CHANGED_RETRY"
