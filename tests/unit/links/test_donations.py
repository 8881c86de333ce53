"""Donations: what may stand on the link, what a donor may choose, and what covers the fees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.links import modes, template
from services.links.domain import Link
from shared.contracts.link_requests import CoverFees
from shared.contracts.links import Choices, Offer
from shared.errors import Refusal
from shared.money import AMOUNT_MAX, Money
from tests.builders_links import NOON, a_link, params, resolving, tea, usd

PLAN = "plan_01JZZZZZZZZZZZZZZZZZZZZZZZ"
EUR = {"amount": 900, "currency": "EUR"}


def a_donation(**given: Any) -> Link:
    return a_link(**{"mode": "donation", "line_items": [], **given})


def offered(link: Link, **chosen: Any) -> Offer:
    return modes.offer(link, Choices.model_validate(chosen))


def refusal_of(link: Link, **chosen: Any) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        offered(link, **chosen)
    return caught.value.code, caught.value.param


# ---- what may stand on the link ------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, code, param",
    [
        ({"line_items": [tea()]}, "INVALID_VALUE", "line_items"),
        ({"tip": {"is_enabled": True}}, "INVALID_VALUE", "tip.is_enabled"),
        ({"tax": {"is_enabled": True}}, "INVALID_VALUE", "tax.is_enabled"),
        ({"coupon": {"is_enabled": True}}, "INVALID_VALUE", "coupon.is_enabled"),
        (
            {"coupon": {"auto_apply_coupon_codes": ["A"]}},
            "INVALID_VALUE",
            "coupon.auto_apply_coupon_codes",
        ),
        (
            {"donation_min_amount_money": usd(9), "donation_max_amount_money": usd(8)},
            "INVALID_VALUE",
            "donation_min_amount_money",
        ),
        ({"donation_max_amount_money": usd(0)}, "INVALID_VALUE", "donation_max_amount_money"),
        (
            {
                "donation_max_amount_money": usd(50),
                "donation_suggested_amounts": [usd(10), usd(51)],
            },
            "AMOUNT_OUT_OF_RANGE",
            "donation_suggested_amounts[1]",
        ),
        (
            {"donation_suggested_amounts": [usd(0)]},
            "AMOUNT_OUT_OF_RANGE",
            "donation_suggested_amounts[0]",
        ),
        (
            {"donation_suggested_amounts": [usd(10), EUR]},
            "CURRENCY_MISMATCH",
            "donation_suggested_amounts[1]",
        ),
        (
            {"donation_min_amount_money": usd(1), "donation_cover_fees": {"fixed_money": EUR}},
            "CURRENCY_MISMATCH",
            "donation_cover_fees.fixed_money",
        ),
        (
            {"donation_frequencies": ["one_time", "monthly", "one_time"]},
            "INVALID_VALUE",
            "donation_frequencies[2]",
        ),
        (
            {"plan_id": PLAN, "donation_frequencies": ["monthly"]},
            "INVALID_VALUE",
            "donation_frequencies",
        ),
        ({"event_config": {"location": "Oslo"}}, "INVALID_VALUE", "event_config"),
    ],
)
def test_what_contradicts_a_donation_is_refused_with_its_field(
    given: dict[str, Any], code: str, param: str
):
    with pytest.raises(Refusal) as caught:
        modes.checked(template.made(params(**{"mode": "donation", "line_items": [], **given})))

    assert (caught.value.kind, caught.value.code, caught.value.param) == ("invalid", code, param)


@pytest.mark.parametrize("percent", [2.90001, -0.1, 20.1, float("nan")])
def test_a_percentage_that_is_none_never_gets_onto_a_link(percent: float):
    with pytest.raises(ValidationError):
        CoverFees(percent=percent)


# ---- how it is shown -----------------------------------------------------------------------------


def test_a_donation_is_shown_as_one_line_whose_amount_is_open():
    gifts = [usd(1000), usd(2500)]
    link = a_donation(
        donation_suggested_amounts=gifts,
        donation_max_amount_money=usd(5000),
        donation_frequencies=["one_time", "yearly"],
        donation_cover_fees={"percent": 2.9},
    )

    shown = modes.shown(link, NOON)

    (line,) = shown.resolved_line_items
    assert line.is_amount_open
    assert line.unit_price_money == line.suggested_amounts[0]
    assert [one.amount for one in line.suggested_amounts] == [1000, 2500]
    assert (line.min_amount_money, line.max_amount_money) == (Money(**usd(1)), Money(**usd(5000)))
    assert line.cover_fees == CoverFees(percent=2.9)
    assert shown.donation_frequencies == ["one_time", "yearly"]
    assert shown.unavailable_reason is None


def test_a_donation_that_names_no_sum_is_in_dollars():
    link = a_donation()

    (line,) = modes.shown(link, NOON).resolved_line_items

    assert line.unit_price_money.currency == "USD"
    assert refusal_of(link, donation_amount_money=EUR)[0] == "CURRENCY_MISMATCH"


@pytest.mark.parametrize("wished", [[], ["one_time"]])
def test_a_donation_that_is_given_once_asks_nobody_how_often(wished: list[str]):
    assert modes.shown(a_donation(donation_frequencies=wished), NOON).donation_frequencies == []


@pytest.mark.parametrize("fees", [None, {}, {"percent": 0, "fixed_money": usd(0)}])
def test_fees_of_nothing_are_not_asked_about(fees: dict[str, Any] | None):
    (line,) = modes.shown(a_donation(donation_cover_fees=fees), NOON).resolved_line_items

    assert line.cover_fees is None


def test_a_donation_with_a_plan_is_kept_and_sells_nothing_yet():
    link = a_donation(plan_id=PLAN)

    assert modes.shown(link, NOON).unavailable_reason == "PAYMENT_LINK_INACTIVE"


# ---- what a donor chooses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen",
    [
        {"donation_amount_money": usd(700)},
        {"unit_price_overrides": {"donation": usd(700)}},
        {"donation_amount_money": usd(700), "unit_price_overrides": {"donation": usd(700)}},
    ],
)
def test_a_donation_is_one_line_of_the_chosen_amount(chosen: dict[str, Any]):
    offer = offered(a_donation(donation_min_amount_money=usd(500)), **chosen)

    (line,) = offer.lines
    assert (line.key, line.quantity, line.unit_price_money.amount) == ("donation", 1, 700)
    assert offer.donation_frequency == "one_time"


@pytest.mark.parametrize(
    "chosen, code, param",
    [
        ({}, "FIELD_REQUIRED", "donation_amount_money"),
        ({"donation_amount_money": usd(499)}, "AMOUNT_OUT_OF_RANGE", "donation_amount_money"),
        (
            {"unit_price_overrides": {"donation": usd(499)}},
            "AMOUNT_OUT_OF_RANGE",
            "unit_price_overrides.donation",
        ),
        (
            {"donation_amount_money": usd(700), "unit_price_overrides": {"donation": usd(701)}},
            "INVALID_VALUE",
            "donation_amount_money",
        ),
        ({"unit_price_overrides": {"cup": usd(700)}}, "INVALID_VALUE", "unit_price_overrides.cup"),
        ({"donation_amount_money": EUR}, "CURRENCY_MISMATCH", "donation_amount_money"),
        (
            {"donation_amount_money": usd(900), "donation_frequency": "monthly"},
            "INVALID_VALUE",
            "donation_frequency",
        ),
        (
            {"donation_amount_money": usd(900), "donation_covers_fees": True},
            "INVALID_VALUE",
            "donation_covers_fees",
        ),
        (
            {"donation_amount_money": usd(900), "coupon_code": "SPRING"},
            "INVALID_VALUE",
            "coupon_code",
        ),
        ({"quantity_overrides": {"donation": 2}}, "INVALID_VALUE", "quantity_overrides"),
    ],
)
def test_a_choice_that_a_donation_does_not_have_is_refused(
    chosen: dict[str, Any], code: str, param: str
):
    link = a_donation(donation_min_amount_money=usd(500))

    assert refusal_of(link, **chosen) == (code, param)


@pytest.mark.parametrize(
    "chosen, param",
    [
        ({"donation_amount_money": usd(1)}, "donation_amount_money"),
        ({"donation_frequency": "monthly"}, "donation_frequency"),
        ({"donation_covers_fees": True}, "donation_covers_fees"),
    ],
)
def test_a_link_that_sells_takes_none_of_a_donor_s_choices(chosen: dict[str, Any], param: str):
    assert refusal_of(a_link(), **chosen) == ("INVALID_VALUE", param)


def test_an_offered_frequency_is_written_on_the_offer_and_another_is_refused():
    link = a_donation(donation_frequencies=["monthly", "yearly"])
    gift = {"donation_amount_money": usd(700)}

    assert offered(link, **gift, donation_frequency="yearly").donation_frequency == "yearly"
    assert refusal_of(link, **gift) == ("FIELD_REQUIRED", "donation_frequency")
    assert refusal_of(link, **gift, donation_frequency="one_time")[1] == "donation_frequency"


@pytest.mark.parametrize(
    "amount, is_taken", [(1230, True), (1234, False), (1235, True), (1500, True)]
)
def test_an_own_amount_of_three_decimals_ends_in_0_and_an_offered_one_stands(
    amount: int, is_taken: bool
):
    def kwd(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": "KWD"}

    link = a_donation(donation_suggested_amounts=[kwd(1235)])
    free = a_link(
        line_items=[tea(amount_money=kwd(1235), allow_amount_adjustment=True)],
    )
    chosen = kwd(amount)

    for link_, choice, param in (
        (link, {"donation_amount_money": chosen}, "donation_amount_money"),
        (free, {"unit_price_overrides": {"item-1": chosen}}, "unit_price_overrides.item-1"),
    ):
        if is_taken:
            assert offered(link_, **choice).lines[0].unit_price_money.amount == amount
        else:
            assert refusal_of(link_, **choice) == ("INVALID_VALUE", param)


# ---- covering the fees ---------------------------------------------------------------------------


def test_what_covers_the_fees_is_a_line_of_its_own_that_is_no_piece():
    fees = {"percent": 2.9, "fixed_money": usd(30)}
    link = a_donation(donation_cover_fees=fees)

    lines = offered(link, donation_amount_money=usd(10_000), donation_covers_fees=True).lines

    assert [(line.key, line.unit_price_money.amount, line.is_counted) for line in lines] == [
        ("donation", 10_000, True),
        ("fees", 330, False),
    ]


def test_covering_more_than_money_can_hold_is_refused():
    link = a_donation(donation_cover_fees={"percent": 20})
    most = {"donation_amount_money": usd(AMOUNT_MAX), "donation_covers_fees": True}

    assert refusal_of(link, **most) == ("AMOUNT_OUT_OF_RANGE", "donation_amount_money")


@given(
    gift=st.integers(1, AMOUNT_MAX // 2),
    percent=st.integers(0, 200_000).map(lambda millionths: millionths / 10_000),
    fixed=st.integers(0, 10_000),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_the_whole_gift_arrives_and_cards_can_be_charged_the_sum(
    gift: int, percent: float, fixed: int, currency: str
):
    fees = CoverFees(percent=percent, fixed_money=Money(amount=fixed, currency=currency))
    step = 10 if currency == "KWD" else 1

    whole = gift + fees.on(Money(amount=gift, currency=currency))

    millionths = round(percent * 10_000)
    assert whole % step == 0
    assert whole * (1_000_000 - millionths) >= (gift + fixed) * 1_000_000
    assert (whole - step) * (1_000_000 - millionths) < (gift + fixed) * 1_000_000


def test_a_resolution_of_a_donation_says_the_wish_and_no_coupon():
    link = a_donation(donation_frequencies=["one_time", "monthly"])
    msg = resolving(donation_amount_money=usd(500), donation_frequency="monthly")

    fact = modes.resolve(link, msg, ulid="01J", now=NOON)

    assert fact.offer.donation_frequency == "monthly"
    assert len(fact.offer.lines) == 1
