"""Money is whole minor units: nothing is lost, nothing is made, nothing is rounded twice."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.contracts.types import Quantity
from shared.money import (
    AMOUNT_MAX,
    EXPONENTS,
    Money,
    SignedMoney,
    as_dict,
    card_step,
    exponent,
    grossed_up,
    millionths,
    money,
    nearest,
    percent_half_up,
    same_currency,
    split,
    to_text,
    total,
)

AMOUNTS = st.integers(0, AMOUNT_MAX)
WEIGHTS = st.lists(st.integers(0, AMOUNT_MAX), min_size=1, max_size=20).filter(any)


@given(AMOUNTS, WEIGHTS)
def test_the_parts_of_a_split_always_add_up_to_the_whole(amount: int, weights: list[int]):
    assert sum(split(amount, weights)) == amount


@given(AMOUNTS, WEIGHTS)
def test_each_part_is_less_than_one_unit_away_from_its_exact_share(amount: int, weights: list[int]):
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]

    parts = split(amount, weights)

    assert all(abs(part - share) < 1 for part, share in zip(parts, exact, strict=True))
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(AMOUNTS, WEIGHTS)
def test_a_larger_weight_never_gets_the_smaller_part(amount: int, weights: list[int]):
    parts = split(amount, weights)

    by_weight = sorted(zip(weights, parts, strict=True))
    assert all(
        small_part <= large_part
        for (small, small_part), (large, large_part) in pairwise(by_weight)
        if small < large
    )


def test_a_tie_goes_to_the_earlier_part():
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(2, [1, 1, 1]) == [1, 1, 0]


def test_nothing_is_split_over_nothing_and_something_cannot_be():
    assert split(0, [0, 0]) == [0, 0]
    with pytest.raises(AssertionError):
        split(1, [0, 0])


@given(AMOUNTS, st.integers(0, 200_000), st.integers(0, 10_000), st.sampled_from([1, 10]))
def test_what_covers_the_fees_leaves_the_whole_gift_and_not_a_step_more(
    net: int, percent: int, fixed: int, step: int
):
    def kept(total: int) -> Fraction:
        return total - Fraction(total * percent, 1_000_000) - fixed

    total = grossed_up(net, percent, fixed, step)

    assert total % step == 0
    assert kept(total) >= net > kept(total - step)


@given(AMOUNTS, st.integers(0, 200_000), st.integers(0, 10_000))
def test_a_fee_that_is_rounded_in_any_way_still_leaves_the_whole_gift(
    net: int, percent: int, fixed: int
):
    total = grossed_up(net, percent, fixed)
    fees_in_millionths = total * percent

    for fee in (fees_in_millionths // 1_000_000, -(-fees_in_millionths // 1_000_000)):
        assert total - fee - fixed >= net


@pytest.mark.parametrize(
    "net, percent, fixed, step, total",
    [
        (10_000, 2.9, 30, 1, 10_330),  # 10 330 × 0.971 - 30 = 10 000.43
        (2_500, 2.9, 30, 1, 2_606),
        (1_000, 0, 0, 1, 1_000),
        (0, 2.9, 30, 1, 31),
        (1_000, 3.6, 0, 1, 1_038),  # JPY: whole yen
        (12_500, 2.5, 100, 10, 12_930),  # KWD: 12.930, and 12.923 is what it would come to
    ],
)
def test_covering_the_fees_by_example(net: int, percent: float, fixed: int, step: int, total: int):
    assert grossed_up(net, millionths(percent), fixed, step) == total


@pytest.mark.parametrize(
    "currency, step", [("JPY", 1), ("USD", 1), ("KWD", 10), ("BHD", 10), ("CLF", 100)]
)
def test_a_card_is_charged_in_steps_of_two_decimals(currency: str, step: int):
    assert card_step(currency) == step


STEPS = st.sampled_from([1, 10, 100])


@given(AMOUNTS, st.integers(0, 1_000_000), STEPS)
def test_a_percentage_is_the_nearest_step_to_the_product_with_halves_going_up(
    amount: int, millionths: int, step: int
):
    steps = Fraction(amount * millionths, 1_000_000 * step)

    assert percent_half_up(amount, millionths, step) == step * (steps + Fraction(1, 2)).__floor__()


@given(AMOUNTS, STEPS)
def test_the_nearest_step_is_at_most_half_a_step_away(amount: int, step: int):
    found = nearest(amount, step)

    assert found % step == 0
    assert -step < 2 * (found - amount) <= step


@pytest.mark.parametrize("amount, percent, expected", [
    (1_000, 88_750, 89),  # 8.875 % of 10.00 is 88.75
    (200, 2_500, 1),  # 0.25 % of 2.00 is 0.5: up
    (199, 2_500, 0),
    (999, 1_000_000, 999),
    (0, 1_000_000, 0),
])  # fmt: skip
def test_percentages_by_hand(amount: int, percent: int, expected: int):
    assert percent_half_up(amount, percent) == expected


@pytest.mark.parametrize(
    "amount", [1.0, 1.5, True, "1", "1e3", None, -1, AMOUNT_MAX + 1, float("nan")]
)
def test_an_amount_is_a_whole_number_in_range_and_nothing_that_looks_like_one(amount: Any):
    with pytest.raises(ValidationError):
        Money(amount=amount, currency="USD")


@pytest.mark.parametrize("currency", ["usd", "US", "USDX", "XXX", "", "BTC", "12"])
def test_a_currency_is_an_iso_4217_code_that_can_be_paid_in(currency: str):
    with pytest.raises(ValidationError):
        Money(amount=1, currency=currency)


def test_an_unknown_field_is_an_error():
    with pytest.raises(ValidationError):
        TypeAdapter(Money).validate_python({"amount": 1, "currency": "USD", "amount_minor": 2})


def test_money_cannot_be_changed():
    price = money(1, "USD")

    with pytest.raises(ValidationError):
        price.amount = 2  # type: ignore[misc]  # mypy knows it, too


@given(AMOUNTS, AMOUNTS)
def test_adding_and_taking_away_is_exact_or_refused(left: int, right: int):
    one, other = money(left, "EUR"), money(right, "EUR")

    if left + right > AMOUNT_MAX:
        with pytest.raises(OverflowError):
            _ = one + other
    else:
        assert (one + other) - other == one
    if right > left:
        with pytest.raises(OverflowError):
            _ = one - other


def test_two_currencies_never_mix():
    for calculate in (lambda a, b: a + b, lambda a, b: a - b, same_currency):
        with pytest.raises(AssertionError, match="never mix"):
            calculate(money(1, "USD"), money(1, "EUR"))


def test_a_total_of_nothing_is_zero_of_its_currency():
    assert total([], "JPY") == money(0, "JPY")
    assert total([money(1, "JPY"), money(2, "JPY")], "JPY") == money(3, "JPY")


def test_a_product_out_of_range_is_refused():
    assert money(250, "USD") * 4 == money(1_000, "USD")
    with pytest.raises(OverflowError):
        _ = money(AMOUNT_MAX, "USD") * 2


def test_only_a_change_of_balance_may_be_negative():
    assert SignedMoney(amount=-5, currency="USD").amount == -5
    with pytest.raises(ValidationError):
        SignedMoney(amount=-AMOUNT_MAX - 1, currency="USD")


def test_the_largest_line_fits_the_database_and_a_browser():
    """D11: bigint columns; and JSON numbers stay exact in JavaScript."""
    most = TypeAdapter(Quantity).json_schema()["maximum"]

    assert AMOUNT_MAX * most < 2**63
    assert AMOUNT_MAX < 2**53


@pytest.mark.parametrize(
    "currency, digits", [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4), ("HUF", 2)]
)
def test_exponents_are_isos(currency: str, digits: int):
    assert exponent(currency) == digits
    assert EXPONENTS[currency] == digits


@pytest.mark.parametrize("amount, currency, text", [
    (1_250, "USD", "12.50 USD"),
    (5, "USD", "0.05 USD"),
    (0, "KWD", "0.000 KWD"),
    (1_250, "JPY", "1250 JPY"),
])  # fmt: skip
def test_text_has_the_digits_of_its_currency(amount: int, currency: str, text: str):
    assert to_text(amount, currency) == text


def test_the_plain_shape_is_the_contracts():
    assert as_dict(money(1, "USD")) == {"amount": 1, "currency": "USD"}
