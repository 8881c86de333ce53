"""Amounts as people type them: one reading or none, to the minor unit, in every locale."""

# ruff: noqa: RUF001  (what people type is what is tested)
from __future__ import annotations

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.amounts import exact_money, group_mark, such_as, typed_money, written
from services.gateway.pages.render import format_amount, major_text
from shared.money import AMOUNT_MAX, exponent, money

AMOUNTS = st.integers(0, AMOUNT_MAX)
CURRENCIES = st.sampled_from(["USD", "EUR", "INR", "JPY", "KWD", "RSD", "MGA", "CLF"])
LOCALES = st.sampled_from(
    ["en", "en_IN", "de", "de_CH", "fr", "es", "pt_BR", "sv", "pl", "ja", "hi", "fa", "ar_EG"]
)


@given(AMOUNTS, CURRENCIES, LOCALES)
def test_what_a_field_holds_is_read_back_as_the_same_amount(
    amount: int, currency: str, locale: str
):
    assert typed_money(written(amount, currency, locale), currency, locale) == money(
        amount, currency
    )


@given(AMOUNTS, CURRENCIES, LOCALES)
def test_what_a_page_shows_can_be_copied_into_a_field(amount: int, currency: str, locale: str):
    shown = format_amount(amount, currency, locale)

    assert typed_money(shown, currency, locale) in _readings(amount, currency)


def _readings(amount: int, currency: str) -> list[object]:
    """Of "KWD 1.200" and the like only the locale's own word is sure: else nothing is read."""
    read = money(amount, currency)
    return [read] if exponent(currency) < 3 else [read, None]


@given(AMOUNTS, CURRENCIES)
def test_what_a_chip_holds_is_read_back_whatever_the_locale(amount: int, currency: str):
    assert exact_money(major_text(amount, currency), currency) == money(amount, currency)


@given(AMOUNTS, st.sampled_from(["USD", "EUR"]), LOCALES)
def test_groups_as_the_locale_makes_them_change_nothing(amount: int, currency: str, locale: str):
    grouped = format_decimal(amount // 100, "#,##0", locale=locale)

    assert typed_money(grouped, currency, locale) == money(amount // 100 * 100, currency)


@given(AMOUNTS, LOCALES)
def test_a_comma_and_a_point_before_two_decimals_mean_the_same_everywhere(amount: int, locale: str):
    typed = major_text(amount, "USD")

    for text in (typed, typed.replace(".", ",")):
        assert typed_money(text, "USD", locale) == money(amount, "USD")


@given(st.text(max_size=40) | st.text("0123456789.,' ٫٬", max_size=20), CURRENCIES, LOCALES)
def test_whatever_is_typed_is_an_amount_in_range_or_none(text: str, currency: str, locale: str):
    amount = typed_money(text, currency, locale)

    assert amount is None or 0 <= amount.amount <= AMOUNT_MAX


@pytest.mark.parametrize(
    "text, currency, locale, amount",
    [
        ("12", "USD", "en", 1200),
        ("12.5", "USD", "en", 1250),
        ("12,50", "USD", "en", 1250),
        ("12.50", "USD", "de", 1250),
        (".5", "USD", "en", 50),
        ("12.", "USD", "en", 1200),
        ("$5", "USD", "en", 500),
        ("USD 5", "USD", "de", 500),
        ("1 234,50 €", "EUR", "fr", 123450),
        ("1\N{NARROW NO-BREAK SPACE}234,50\N{NO-BREAK SPACE}€", "EUR", "fr", 123450),
        ("1'234.50", "CHF", "de_CH", 123450),
        ("1,23,456.00", "INR", "en_IN", 12345600),
        ("1,200", "USD", "en", 120000),
        ("1.200", "USD", "de", 120000),
        ("1.234,50", "USD", "en", 123450),
        ("1,234,567", "JPY", "en", 1234567),
        ("1.200", "JPY", "de", 1200),
        ("1.500", "KWD", "en", 1500),
        ("1,500", "KWD", "de", 1500),
        ("12,5", "KWD", "en", 12500),
        ("1,234.500", "KWD", "en", 1234500),
        ("١٢٫٥٠", "USD", "ar_EG", 1250),
        ("١٬٢٣٤", "JPY", "ar_EG", 1234),
        ("१२.५", "INR", "hi", 1250),
        ("１２００", "JPY", "ja", 1200),
    ],
)
def test_an_amount_is_read_as_its_writer_meant_it(
    text: str, currency: str, locale: str, amount: int
):
    assert typed_money(text, currency, locale) == money(amount, currency)


@pytest.mark.parametrize(
    "text, currency, locale",
    [
        ("", "USD", "en"),
        (".", "USD", "en"),
        ("-1", "USD", "en"),
        ("+1", "USD", "en"),
        ("1e3", "USD", "en"),
        ("NaN", "USD", "en"),
        ("0x10", "USD", "en"),
        ("²", "USD", "en"),
        ("12.345", "USD", "en"),
        ("1.200", "USD", "en"),  # the point is theirs: three decimals of a dollar
        ("1,200", "USD", "de"),
        ("12.5", "JPY", "en"),
        ("1,500", "KWD", "en"),  # twelve hundred, or one and a half: nobody can tell
        ("1.500", "KWD", "de"),
        ("1.5000", "KWD", "en"),
        ("12 34", "USD", "en"),
        ("1,2,3", "USD", "en"),
        ("1.2.3", "USD", "en"),
        ("1,234.567,89", "USD", "en"),
        ("€5", "USD", "en"),
        ("99,999,999.99.", "USD", "en"),
        ("100000000", "USD", "en"),
        ("9" * 4000, "USD", "en"),
    ],
)
def test_what_is_no_amount_or_two_is_not_guessed_at(text: str, currency: str, locale: str):
    assert typed_money(text, currency, locale) is None


@pytest.mark.parametrize("text", ["", "12,50", "1,200", "-1", "1 2", " 12", "١٢", "12.345", "1."])
def test_our_own_spelling_is_the_only_one_an_address_may_use(text: str):
    assert exact_money(text, "USD") is None


@pytest.mark.parametrize(
    "currency, locale, words",
    [
        ("USD", "en", "such as 12.50"),
        ("USD", "de", "such as 12,50"),
        ("JPY", "en", "such as 1250"),
        ("KWD", "fr", "such as 12,500"),
    ],
)
def test_an_example_has_the_currency_s_digits_and_the_locale_s_mark(
    currency: str, locale: str, words: str
):
    assert such_as(currency, locale) == words


@pytest.mark.parametrize("locale, mark", [("en", ","), ("de", "."), ("fr", ""), ("de_CH", "")])
def test_only_a_comma_or_a_point_can_be_taken_for_another_mark(locale: str, mark: str):
    assert group_mark(locale) == mark
