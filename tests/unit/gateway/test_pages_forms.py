"""What buyers type, and what a link's address brings along: read, or dropped, or named as wrong."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.choices import errors_of, read_choices
from services.gateway.pages.forms import (
    FIELDS_MAX,
    fields_of,
    picked_amount,
    shown_again,
    typed_money,
    whole_number,
)
from services.gateway.pages.link_view import link_page
from services.gateway.pages.prefill import Carried, carried, values_of
from services.gateway.pages.render import major_text
from shared.contracts.link_requests import CustomField
from shared.errors import invalid
from shared.money import AMOUNT_MAX, money
from tests.builders_pages import (
    BRAND,
    a_free_line,
    a_line,
    a_shown_link,
    usd,
)

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])
ANY_TEXT = st.text(max_size=40)


# ---- texts ---------------------------------------------------------------------------------------


def test_a_form_is_trimmed_and_its_newlines_are_one_character():
    form = fields_of(urlencode({"email": "  ada@example.com ", "note": "a\r\nb"}))

    assert form == {"email": "ada@example.com", "note": "a\nb"}


def test_of_a_field_sent_twice_the_last_one_counts():
    assert fields_of("action=update&action=pay") == {"action": "pay"}


def test_control_characters_never_get_past_the_form():
    assert fields_of("name=Ada%00%1b%7f Lovelace") == {"name": "Ada Lovelace"}


@pytest.mark.parametrize("text", ["name=%ff%fe", "&".join(["a=1"] * (FIELDS_MAX + 1))])
def test_what_is_no_text_or_has_too_many_fields_is_no_form(text: str):
    with pytest.raises(ValueError, match=r"."):
        fields_of(text)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=8))
def test_any_form_can_be_read(fields: dict[str, str]):
    assert set(fields_of(urlencode(fields))) <= set(fields)


def test_a_form_shown_again_has_neither_card_nor_token_in_it():
    form = {
        "email": "ada@example.com",
        "card_name": "Ada",
        "card_number": "4242424242424242",
        "card_exp": "12/30",
        "card_cvc": "123",
        "form_token": "t",
        "resolution_context": "c",
    }

    assert shown_again(form) == {"email": "ada@example.com", "card_name": "Ada"}


# ---- numbers -------------------------------------------------------------------------------------


@given(st.integers(0, AMOUNT_MAX), CURRENCIES)
def test_an_amount_as_a_field_holds_it_is_read_back_to_the_minor_unit(amount: int, currency: str):
    assert typed_money(major_text(amount, currency), currency) == money(amount, currency)


@given(st.integers(0, AMOUNT_MAX), st.sampled_from(["USD", "CLF"]))
def test_a_comma_means_the_same_as_a_point(amount: int, currency: str):
    typed = major_text(amount, currency).replace(".", ",")

    assert typed_money(typed, currency) == money(amount, currency)


@given(ANY_TEXT, CURRENCIES)
def test_whatever_is_typed_is_an_amount_in_range_or_none(text: str, currency: str):
    amount = typed_money(text, currency)

    assert amount is None or 0 <= amount.amount <= AMOUNT_MAX


@pytest.mark.parametrize("text", ["", "-1", "1e3", "12.345", "NaN", "0x10", "1,200", "100000000"])
def test_what_is_no_amount_of_dollars_is_not_guessed_at(text: str):
    assert typed_money(text, "USD") is None


@pytest.mark.parametrize(
    "text, count",
    [("3", 3), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("1e3", None), ("1234567", None)],
)
def test_a_count_is_whole_and_of_six_digits_at_most(text: str, count: int | None):
    assert whole_number(text) == count


def test_the_other_chip_means_the_field_beside_it():
    assert picked_amount({"a": "20.00", "b": "5"}, "a", "b") == "20.00"
    assert picked_amount({"a": "other", "b": "5"}, "a", "b") == "5"
    assert picked_amount({"b": "5"}, "a", "b") == "5"
    assert picked_amount({}, "a", "b") == ""


# ---- what the address brings along ---------------------------------------------------------------


def test_good_parameters_are_carried_and_come_out_of_the_hidden_fields_again():
    query = {
        "prefilled_email": "ada@example.com",
        "prefilled_name": "Ada Lovelace",
        "client_reference_id": "order-7",
        "locale": "de-CH",
        "utm_source": "letter",
    }

    brought = carried(query)

    assert brought == Carried(
        "ada@example.com", "Ada Lovelace", "order-7", "de_CH", {"utm_source": "letter"}
    )
    assert carried(brought.hidden()) == brought


@pytest.mark.parametrize(
    "name, value",
    [
        ("prefilled_email", "nobody"),
        ("prefilled_email", "a@b.c" + "x" * 300),
        ("prefilled_name", "x" * 251),
        ("client_reference_id", "x" * 256),
        ("client_reference_id", "a\x00b"),
        ("locale", "xx"),
        ("locale", "../../etc/passwd"),
        ("utm_source", "x" * 256),
        ("utm_", "x"),
        ("utm_SOURCE", "x"),
    ],
)
def test_bad_parameters_are_dropped_in_silence(name: str, value: str):
    assert carried({name: value}) == Carried()


@given(st.dictionaries(st.sampled_from(["prefilled_email", "locale", "utm_a", "amount"]), ANY_TEXT))
def test_no_parameter_whatever_breaks_a_page(query: dict[str, str]):
    shown = a_shown_link(a_line(), a_free_line())

    assert set(values_of(query, shown)) <= {"amount.gift"}
    assert set(carried(query).hidden()) <= set(query)


def test_a_quantity_the_line_can_have_fills_the_form_in():
    shown = a_shown_link(a_line(max_quantity=10))

    assert values_of({"quantity.tea": "3"}, shown) == {"quantity.tea": "3"}


@pytest.mark.parametrize("value", ["0", "11", "-1", "many", "1.0", ""])
def test_a_quantity_the_line_cannot_have_is_dropped(value: str):
    assert values_of({"quantity.tea": value}, a_shown_link(a_line(max_quantity=10))) == {}


def test_a_quantity_of_a_fixed_or_sold_out_or_scarce_line_is_dropped():
    fixed = a_shown_link(a_line(allow_quantity_adjustment=False))
    gone = a_shown_link(a_line(is_sold_out=True))
    scarce = a_shown_link(a_line(quantity_available=2))

    assert values_of({"quantity.tea": "1"}, fixed) == {}
    assert values_of({"quantity.tea": "1"}, gone) == {}
    assert values_of({"quantity.tea": "3"}, scarce) == {}


@pytest.mark.parametrize("given_text, field", [("2500", "25.00"), ("25.00", "25.00")])
def test_an_amount_is_minor_units_or_what_a_person_types(given_text: str, field: str):
    shown = a_shown_link(a_free_line())

    assert values_of({"amount": given_text}, shown) == {"amount.gift": field}


@pytest.mark.parametrize("text", ["499", "50001", "4.99", "1,200", "-5", "99999999999"])
def test_an_amount_outside_the_bounds_or_unreadable_is_dropped(text: str):
    assert values_of({"amount": text}, a_shown_link(a_free_line())) == {}


def test_an_amount_for_several_free_lines_is_meant_for_none():
    shown = a_shown_link(a_free_line(), a_free_line(key="other"))

    assert values_of({"amount": "2500"}, shown) == {}


def test_a_donation_takes_its_amount_under_its_own_name():
    shown = a_shown_link(a_free_line(key="donation"), mode="donation")

    assert values_of({"amount": "2500"}, shown) == {"donation_amount": "25.00"}


# ---- a link's choices ----------------------------------------------------------------------------


def test_a_good_form_becomes_choices():
    size = CustomField(key="size", label="Size", type="dropdown", options=["S", "M"])
    shown = a_shown_link(a_line(), a_free_line(), custom_fields=[size])
    form = {"quantity.tea": "2", "amount.gift": "other", "amount_other.gift": "7,50"}

    choices, errors = read_choices(form | {"field.size": "M"}, shown, Carried(email="a@b.co"))

    assert errors == {}
    assert choices.quantity_overrides == {"tea": 2}
    assert choices.unit_price_overrides == {"gift": usd(750)}
    assert choices.custom_field_values == {"size": "M"}
    assert choices.customer is not None
    assert choices.customer.email == "a@b.co"


def test_all_that_is_wrong_is_named_at_once_each_beside_its_field():
    size = CustomField(key="size", label="Size", type="text", is_required=True)
    shown = a_shown_link(a_line(), a_free_line(), custom_fields=[size])

    _, errors = read_choices({"quantity.tea": "0", "amount.gift": "x"}, shown, Carried())

    assert set(errors) == {"quantity.tea", "amount.gift", "field.size"}


def test_what_the_buyer_may_not_choose_is_not_read():
    fixed = a_line(key="fixed", allow_quantity_adjustment=False)
    shown = a_shown_link(fixed, a_line(key="gone", is_sold_out=True))

    choices, errors = read_choices(
        {"quantity.fixed": "9", "quantity.gone": "9", "amount.fixed": "0.01"}, shown, Carried()
    )

    assert errors == {}
    assert choices.quantity_overrides == {}
    assert choices.unit_price_overrides == {}


def test_a_donation_is_an_amount_and_nothing_else():
    shown = a_shown_link(a_free_line(key="donation"), mode="donation")

    choices, errors = read_choices({"donation_amount": "20.00"}, shown, Carried())
    _, none = read_choices({}, shown, Carried())

    assert errors == {}
    assert choices.donation_amount_money == usd(2000)
    assert choices.unit_price_overrides == {}
    assert set(none) == {"donation_amount"}


@pytest.mark.parametrize(
    "param, field",
    [
        ("quantity_overrides.tea", "quantity.tea"),
        ("quantity_overrides", "quantity.tea"),
        ("unit_price_overrides.gift", "amount.gift"),
        ("custom_field_values.size", "field.size"),
        ("donation_amount_money", "donation_amount"),
    ],
)
def test_a_refusal_is_said_beside_the_field_it_is_about(param: str, field: str):
    refusal = invalid(param, "Only 3 left.")

    assert errors_of(refusal, a_shown_link(a_line())) == {field: "Only 3 left."}


def test_a_refusal_about_nothing_on_the_page_has_no_field():
    assert errors_of(invalid("coupon_code", "No such coupon."), a_shown_link()) == {}


# ---- the link's page -----------------------------------------------------------------------------


def page_of(shown, values, **changes):
    return link_page(
        shown, BRAND, resolution_context="c", carried=Carried(), values=values, **changes
    )


def test_the_total_is_what_the_choices_come_to():
    shown = a_shown_link(a_line(), a_free_line())

    assert page_of(shown, {}).total == (2400, "USD")
    assert page_of(shown, {"quantity.tea": "3", "amount.gift": "10"}).total == (4600, "USD")
    assert page_of(shown, {"quantity.tea": "x", "amount.gift": "x"}).total == (2400, "USD")


def test_a_price_that_is_not_the_one_last_seen_is_struck_through_and_only_then():
    before = page_of(a_shown_link(a_line()), {})
    dearer = a_shown_link(a_line(unit_price_money=usd(1500)))

    changed = page_of(dearer, before.hidden, is_changed=True)
    same = page_of(a_shown_link(a_line()), before.hidden, is_changed=True)

    assert changed.lines[0].previous_price == (1200, "USD")
    assert same.lines[0].previous_price is None
    assert page_of(dearer, before.hidden).lines[0].previous_price == (1200, "USD")
    assert page_of(dearer, {}).lines[0].previous_price is None


@pytest.mark.parametrize("text", ["", "x", "[]", "[1]", '{"tea":"x"}', '{"tea":-1}', "1"])
def test_forged_prices_of_before_are_ignored(text: str):
    page = page_of(a_shown_link(), {"seen_prices": text}, is_changed=True)

    assert page.lines[0].previous_price is None
