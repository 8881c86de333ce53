"""The money rules, by example and by property."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders.ordering.pricing import (
    Extra,
    Line,
    Off,
    Quote,
    TaxRate,
    priced,
    quote,
)
from shared.errors import Refusal
from shared.money import AMOUNT_MAX, millionths
from tests.builders_orders import a_sale, line, usd

amounts = st.integers(0, 10_000_000)
percents = st.integers(0, 1_000_000)
lines = st.lists(st.builds(Line, gross=amounts, is_taxable=st.booleans()), max_size=8)
offs = st.lists(
    st.builds(
        Off,
        amount=amounts,
        millionths=st.none() | percents,
        lines=st.none() | st.frozensets(st.integers(0, 7)),
    ),
    max_size=4,
)
extras = st.lists(st.builds(Extra, amount=amounts, millionths=st.none() | percents), max_size=4)
rates = st.lists(
    st.builds(TaxRate, millionths=st.integers(0, 300_000), is_inclusive=st.booleans()), max_size=3
)
steps = st.sampled_from([1, 10, 100])


def in_steps(made: list[Any], step: int, name: str = "amount") -> list[Any]:
    """The same, each amount of the merchant's rounded down to what a card can be charged."""
    return [replace(one, **{name: getattr(one, name) // step * step}) for one in made]


@given(lines, offs, extras, rates, steps)
def test_the_sums_add_up_exactly_whatever_is_bought(lines, offs, extras, rates, step):
    made = quote(lines, offs, extras, rates, step)

    assert made.subtotal - made.discount + made.tax + made.tip == made.total
    assert sum(one.net for one in made.lines) + made.tip == made.total
    assert sum(one.discount for one in made.lines) == made.discount == sum(made.discounts)
    assert sum(one.tax for one in made.lines) == made.tax
    assert sum(made.tips) == made.tip


@given(lines, offs, extras, rates, steps)
def test_nothing_is_negative_and_no_discount_exceeds_what_it_is_on(
    lines, offs, extras, rates, step
):
    made = quote(lines, offs, extras, rates, step)

    assert all(0 <= one.discount <= one.gross for one in made.lines)
    assert all(one.net >= 0 and one.tax >= 0 for one in made.lines)
    assert all(0 <= one.included_tax <= one.gross - one.discount for one in made.lines)
    assert all(amount >= 0 for amount in (*made.discounts, *made.tips))
    assert made.total >= made.tip


@given(lines, offs, extras, rates)
def test_a_discount_stays_on_its_lines(lines, offs, extras, rates):
    only_first = [Off(off.amount, off.millionths, frozenset({0})) for off in offs]

    made = quote(lines, only_first, extras, rates)

    assert all(one.discount == 0 for one in made.lines[1:])


@given(lines, offs, extras)
def test_inclusive_tax_never_changes_the_price(lines, offs, extras):
    without = quote(lines, offs, extras)

    made = quote(lines, offs, extras, [TaxRate(190_000, is_inclusive=True)])

    assert (made.total, made.tax) == (without.total, 0)


@given(amounts, percents)
def test_a_percentage_is_within_half_a_minor_unit_of_the_truth(gross, percent):
    made = quote([Line(gross)], [Off(millionths=percent)])

    assert abs(made.discount * 1_000_000 - gross * percent) <= 500_000


@given(st.lists(amounts, min_size=1, max_size=8), percents)
def test_a_split_percentage_is_within_one_minor_unit_of_each_line_s_share(grosses, percent):
    made = quote([Line(gross) for gross in grosses], [Off(millionths=percent)])

    for one in made.lines:
        share = made.discount * one.gross / max(1, made.subtotal)
        assert abs(one.discount - share) < 1


def test_a_percentage_is_rounded_half_up_once_and_then_split():
    made = quote([Line(333), Line(333), Line(334)], [Off(millionths=millionths(10.05))])

    assert made.discounts == (101,)  # 100.5 goes up, once
    assert [one.discount for one in made.lines] == [34, 33, 34]


def test_the_second_discount_is_on_what_the_first_has_left():
    made = quote([Line(1000)], [Off(millionths=500_000), Off(millionths=500_000), Off(amount=500)])

    assert made.discounts == (500, 250, 250)
    assert made.total == 0


def test_tax_is_on_the_discounted_amount_and_tips_are_neither_discounted_nor_taxed():
    made = quote(
        [Line(10_000), Line(5_000, is_taxable=False)],
        [Off(amount=3_000)],
        [Extra(millionths=100_000), Extra(amount=50)],
        [TaxRate(88_750)],
    )

    assert (made.subtotal, made.discount) == (15_000, 3_000)
    assert made.tax == 710  # 8.875 % of 8 000
    assert made.tips == (1_200, 50)  # 10 % of 12 000, before tax
    assert made.total == 13_960


def test_an_added_rate_is_on_the_price_without_the_included_one():
    made = quote([Line(1_190)], rates=[TaxRate(190_000, is_inclusive=True), TaxRate(100_000)])

    assert (made.lines[0].included_tax, made.tax, made.total) == (190, 100, 1_290)


@given(lines, offs, extras, rates, steps)
def test_where_a_card_can_be_charged_the_prices_it_can_be_charged_the_total(
    lines, offs, extras, rates, step
):
    even = in_steps(lines, step, "gross"), in_steps(offs, step), in_steps(extras, step)

    made = quote(*even, rates, step)

    assert made.total % step == made.tax % step == 0
    assert not any(amount % step for amount in (*made.discounts, *made.tips))


@given(lines, offs, extras, rates, steps)
def test_whatever_the_prices_are_what_is_computed_is_a_multiple_of_a_step(
    lines, offs, extras, rates, step
):
    tips = [Extra(millionths=tip.millionths or 0) for tip in extras]

    made = quote(lines, offs, tips, rates, step)

    assert not any(amount % step for amount in (made.tax, *made.tips))


@given(lines, rates, steps)
def test_steps_move_an_order_s_tax_by_at_most_half_of_one(lines, rates, step):
    exact, made = quote(lines, rates=rates), quote(lines, rates=rates, step=step)

    assert abs(made.tax - exact.tax) * 2 <= step


def test_all_of_an_uneven_price_can_be_taken_off():
    assert quote([Line(1_234)], [Off(millionths=1_000_000)], step=10).total == 0


def test_a_tip_of_a_price_in_dinars_ends_in_0():
    price: dict[str, Any] = {"unit_price_money": {"amount": 12_340, "currency": "KWD"}}
    sale = a_sale(line(**price), tips=[{"percent": 12.5}])

    assert priced(sale.order).net_amounts.tip_money.amount == 1_540  # 1.5425


def test_an_order_of_nothing_costs_nothing():
    assert quote([], [Off(amount=5)], [Extra(millionths=200_000)]) == Quote((), (0,), (0,))


def test_pricing_an_order_again_changes_nothing():
    order = a_sale(line(999, 3), tips=[{"percent": 12.5}]).order

    assert priced(order) == order


@pytest.mark.parametrize("quantity, param", [(2, "line_items[1]"), (1, "line_items")])
def test_a_sum_out_of_range_is_refused_with_the_line_it_is_about(quantity, param):
    with pytest.raises(Refusal) as refused:
        a_sale(line(1), line(AMOUNT_MAX, quantity))

    assert (refused.value.code, refused.value.param) == ("AMOUNT_OUT_OF_RANGE", param)


def test_the_largest_order_is_still_an_order():
    assert a_sale(line(AMOUNT_MAX)).order.net_amounts.total_money == usd(AMOUNT_MAX)
