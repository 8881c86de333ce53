"""What buyers type, and what a link's address brings along: read, or dropped, or named as wrong."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.choices import errors_of, read_choices
from services.gateway.pages.forms import (
    FIELDS_MAX,
    fields_of,
    shown_again,
    whole_number,
)
from services.gateway.pages.link_view import link_page
from services.gateway.pages.prefill import Carried, carried, values_of
from shared.contracts.link_requests import CoverFees, CustomField
from shared.errors import invalid
from shared.money import Money
from tests.builders_pages import (
    BRAND,
    a_free_line,
    a_line,
    a_shown_link,
    usd,
)

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


@pytest.mark.parametrize(
    "text, count",
    [("3", 3), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("1e3", None), ("1234567", None)],
)
def test_a_count_is_whole_and_of_six_digits_at_most(text: str, count: int | None):
    assert whole_number(text) == count


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

    assert set(values_of(query, shown, "en")) <= {"amount.gift"}
    assert set(carried(query).hidden()) <= set(query)


def test_a_quantity_the_line_can_have_fills_the_form_in():
    shown = a_shown_link(a_line(max_quantity=10))

    assert values_of({"quantity.tea": "3"}, shown, "en") == {"quantity.tea": "3"}


@pytest.mark.parametrize("value", ["0", "11", "-1", "many", "1.0", ""])
def test_a_quantity_the_line_cannot_have_is_dropped(value: str):
    assert values_of({"quantity.tea": value}, a_shown_link(a_line(max_quantity=10)), "en") == {}


def test_a_quantity_of_a_fixed_or_sold_out_or_scarce_line_is_dropped():
    fixed = a_shown_link(a_line(allow_quantity_adjustment=False))
    gone = a_shown_link(a_line(is_sold_out=True))
    scarce = a_shown_link(a_line(quantity_available=2))

    assert values_of({"quantity.tea": "1"}, fixed, "en") == {}
    assert values_of({"quantity.tea": "1"}, gone, "en") == {}
    assert values_of({"quantity.tea": "3"}, scarce, "en") == {}


@pytest.mark.parametrize("given_text, field", [("2500", "25.00"), ("25.00", "25.00")])
def test_an_amount_is_minor_units_or_what_a_person_types(given_text: str, field: str):
    shown = a_shown_link(a_free_line())

    assert values_of({"amount": given_text}, shown, "en") == {"amount.gift": field}


@pytest.mark.parametrize("text", ["499", "50001", "4.99", "1,200", "-5", "99999999999"])
def test_an_amount_outside_the_bounds_or_unreadable_is_dropped(text: str):
    assert values_of({"amount": text}, a_shown_link(a_free_line()), "en") == {}


def test_an_amount_for_several_free_lines_is_meant_for_none():
    shown = a_shown_link(a_free_line(), a_free_line(key="other"))

    assert values_of({"amount": "2500"}, shown, "en") == {}


def test_an_amount_that_is_offered_picks_its_chip_and_another_is_typed_as_the_locale_does():
    shown = a_shown_link(a_free_line(suggested_amounts=[usd(2500)]))

    assert values_of({"amount": "2500"}, shown, "de") == {"amount.gift": "25.00"}
    assert values_of({"amount": "30.5"}, shown, "de") == {
        "amount.gift": "other",
        "amount_other.gift": "30,50",
    }


# ---- a link's choices ----------------------------------------------------------------------------


def test_a_good_form_becomes_choices():
    size = CustomField(key="size", label="Size", type="dropdown", options=["S", "M"])
    shown = a_shown_link(a_line(), a_free_line(), custom_fields=[size])
    form = {"quantity.tea": "2", "amount.gift": "7,50"}

    choices, errors = read_choices(form | {"field.size": "M"}, shown, Carried(email="a@b.co"), "en")

    assert errors == {}
    assert choices.quantity_overrides == {"tea": 2}
    assert choices.unit_price_overrides == {"gift": usd(750)}
    assert choices.custom_field_values == {"size": "M"}
    assert choices.customer is not None
    assert choices.customer.email == "a@b.co"


def test_all_that_is_wrong_is_named_at_once_each_beside_its_field():
    size = CustomField(key="size", label="Size", type="text", is_required=True)
    shown = a_shown_link(a_line(), a_free_line(), custom_fields=[size])

    _, errors = read_choices({"quantity.tea": "0", "amount.gift": "x"}, shown, Carried(), "en")

    assert set(errors) == {"quantity.tea", "amount.gift", "field.size"}


def test_what_has_sold_out_while_the_page_was_open_is_said_beside_it():
    shown = a_shown_link(a_line(key="gone", is_sold_out=True), a_line())

    choices, errors = read_choices(
        {"quantity.gone": "1", "quantity.tea": "1"}, shown, Carried(), "en"
    )

    assert errors == {"quantity.gone": "Tea is sold out."}
    assert choices.quantity_overrides == {"tea": 1}


def test_none_of_a_tier_is_a_choice_where_the_line_may_be_left_out():
    shown = a_shown_link(a_line(is_optional=True))

    assert read_choices({"quantity.tea": "0"}, shown, Carried(), "en")[1] == {}
    assert set(read_choices({"quantity.tea": ""}, shown, Carried(), "en")[1]) == {"quantity.tea"}


def test_what_the_buyer_may_not_choose_is_not_read():
    fixed = a_line(key="fixed", allow_quantity_adjustment=False)
    shown = a_shown_link(fixed, a_line(key="gone", is_sold_out=True))

    choices, errors = read_choices(
        {"quantity.fixed": "9", "quantity.gone": "0", "amount.fixed": "0.01"},
        shown,
        Carried(),
        "en",
    )

    assert errors == {}
    assert choices.quantity_overrides == {}
    assert choices.unit_price_overrides == {}


@pytest.mark.parametrize(
    "form, amount",
    [
        ({"amount.gift": "20.00"}, 2000),  # a chip holds it the same way in every locale
        ({"amount.gift": "other", "amount_other.gift": "1.234,5"}, 123450),
        ({"amount_other.gift": "5"}, 500),
        ({"amount.gift": "20,00"}, None),
        ({"amount.gift": "other"}, None),
        ({}, None),
    ],
)
def test_an_amount_is_its_chip_s_or_what_stands_in_the_field_beside_them(
    form: dict[str, str], amount: int | None
):
    shown = a_shown_link(a_free_line(suggested_amounts=[usd(2000)]))

    choices, errors = read_choices(form, shown, Carried(), "de")

    assert choices.unit_price_overrides == ({} if amount is None else {"gift": usd(amount)})
    assert set(errors) == (set() if amount else {"amount.gift"})


def test_what_is_no_amount_is_answered_with_an_example_in_the_buyer_s_own_writing():
    dinars = Money(amount=5000, currency="KWD")
    line = a_free_line(
        name="Tea", unit_price_money=dinars, min_amount_money=None, max_amount_money=None
    )

    _, alone = read_choices({"amount.gift": "x"}, a_shown_link(line), Carried(), "de")
    _, one_of = read_choices(
        {"amount.gift": "x"}, a_shown_link(line, name="A feast"), Carried(), "en"
    )

    assert alone == {"amount.gift": "Enter an amount, such as 12,500."}
    assert one_of == {"amount.gift": "Enter an amount for Tea, such as 12.500."}


def test_a_donor_s_wish_and_the_fees_are_read_only_where_they_are_offered():
    form = {"amount.gift": "5", "donation_frequency": "monthly", "cover_fees": "true"}
    fees = CoverFees(percent=2.9)
    asked = a_shown_link(a_free_line(cover_fees=fees), donation_frequencies=["one_time", "monthly"])

    wished, errors = read_choices(form, asked, Carried(), "en")
    plain, _ = read_choices(form, a_shown_link(a_free_line()), Carried(), "en")
    _, forged = read_choices(form | {"donation_frequency": "daily"}, asked, Carried(), "en")

    assert errors == {}
    assert (wished.donation_frequency, wished.donation_covers_fees) == ("monthly", True)
    assert (plain.donation_frequency, plain.donation_covers_fees) == (None, False)
    assert set(forged) == {"donation_frequency"}


@pytest.mark.parametrize(
    "param, field",
    [
        ("quantity_overrides.tea", "quantity.tea"),
        ("quantity_overrides", "quantity.tea"),
        ("unit_price_overrides.gift", "amount.gift"),
        ("custom_field_values.size", "field.size"),
        ("donation_frequency", "donation_frequency"),
        ("donation_covers_fees", "cover_fees"),
    ],
)
def test_a_refusal_is_said_beside_the_field_it_is_about(param: str, field: str):
    refusal = invalid(param, "Only 3 left.")

    assert errors_of(refusal, a_shown_link(a_line())) == {field: "Only 3 left."}


def test_a_refusal_about_nothing_on_the_page_has_no_field():
    assert errors_of(invalid("coupon_code", "No such coupon."), a_shown_link()) == {}


# ---- the link's page -----------------------------------------------------------------------------


def page_of(shown, values, **changes):
    page = partial(link_page, resolution_context="c", carried=Carried(), locale="en")
    return page(shown, BRAND, values=values, **changes)


def test_the_total_is_what_the_choices_come_to():
    shown = a_shown_link(a_line(), a_free_line())

    assert page_of(shown, {}).total == (2400, "USD")
    assert page_of(shown, {"quantity.tea": "3", "amount.gift": "10"}).total == (4600, "USD")
    assert page_of(shown, {"quantity.tea": "x", "amount.gift": "x"}).total == (2400, "USD")


def test_what_covers_the_fees_is_said_for_the_chosen_amount_and_counted_once_it_is_wanted():
    fees = CoverFees(percent=2.9, fixed_money=usd(30))
    shown = a_shown_link(a_free_line(cover_fees=fees))

    for values, added, total in (
        ({}, 67, 1200),
        ({"amount.gift": "25"}, 106, 2500),
        ({"amount.gift": "25", "cover_fees": "true"}, 106, 2606),
    ):
        page = page_of(shown, values)
        assert page.lines[0].cover_fees is not None
        assert (page.lines[0].cover_fees.added, page.total) == ((added, "USD"), (total, "USD"))


def test_an_open_amount_costs_nothing_until_it_is_said():
    empty = a_shown_link(a_free_line(is_amount_open=True, cover_fees=CoverFees(percent=2.9)))
    offered = a_shown_link(
        a_free_line(
            is_amount_open=True, unit_price_money=usd(900), suggested_amounts=[usd(900), usd(900)]
        )
    )

    untouched = page_of(empty, {"cover_fees": "true"})
    started = page_of(offered, {})

    assert (untouched.total, page_of(empty, {"amount.gift": "7"}).total) == (
        (0, "USD"),
        (700, "USD"),
    )
    assert untouched.lines[0].amount_choice is not None
    assert untouched.lines[0].amount_choice.preset is None
    assert started.total == (900, "USD")
    assert page_of(offered, {"amount.gift": "other"}).total == (0, "USD")
    assert started.lines[0].amount_choice is not None
    assert started.lines[0].amount_choice.suggestions == ((900, "USD"),)


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
