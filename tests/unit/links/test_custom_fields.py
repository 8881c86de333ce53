"""Custom fields: what may be asked, what counts as an answer, and how long is too long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.gateway.pages.choices import read_choices
from services.gateway.pages.forms import tidied
from services.gateway.pages.prefill import Carried
from services.links import modes
from services.links.answers import answered
from shared.contracts.link_requests import CustomField, PaymentLinkCreateParams
from shared.errors import Refusal
from tests.builders_links import NOON, a_link, resolving
from tests.builders_pages import a_shown_link

# One code point each, whatever they are in bytes, in UTF-16 or to the eye.
LETTERS = st.sampled_from(
    ["a", "é", "茶", "\N{COMBINING ACUTE ACCENT}", "🍵", "\U0001d49c", "\u202e", "\u200d"]
)


def text_field(**changes: Any) -> CustomField:
    return CustomField.model_validate({"key": "note", "label": "Note", "type": "text"} | changes)


def on_page(field: CustomField, typed: str) -> tuple[dict[str, str], dict[str, str]]:
    """Accepted answers and errors of the buyers' page."""
    shown = a_shown_link(custom_fields=[field])
    choices, errors = read_choices(
        {"quantity.tea": "1", f"field.{field.key}": typed}, shown, Carried(), "en"
    )
    return choices.custom_field_values, errors


@given(st.integers(1, 60), st.sampled_from(["text", "textarea"]), st.data())
def test_lengths_are_counted_in_code_points_by_links_and_by_the_page(
    most: int, kind: str, data: st.DataObject
):
    field = text_field(type=kind, max_length=most)
    fits = data.draw(st.text(LETTERS, min_size=most, max_size=most))

    assert answered([field], {"note": fits}) == {"note": fits}
    assert on_page(field, fits) == ({"note": fits}, {})
    with pytest.raises(Refusal, match=f"at most {most} characters, not {most + 1}"):
        answered([field], {"note": fits + "a"})
    assert on_page(field, fits + "a")[1].keys() == {"field.note"}


def test_a_combined_letter_counts_as_its_code_points():
    field = text_field(max_length=1)

    assert answered([field], {"note": "é"})
    with pytest.raises(Refusal):
        answered([field], {"note": "e\N{COMBINING ACUTE ACCENT}"})


@given(st.text(min_size=1, max_size=20), st.booleans())
def test_the_page_and_links_never_disagree_about_an_answer(typed: str, is_required: bool):
    field = text_field(max_length=10, is_required=is_required)
    typed = tidied(typed)

    accepted, errors = on_page(field, typed)

    if errors:
        with pytest.raises(Refusal) as caught:
            answered([field], {"note": typed})
        assert caught.value.message == errors["field.note"]
    else:
        assert answered([field], {"note": typed}) == accepted


def test_a_line_of_text_is_one_line():
    with pytest.raises(Refusal, match="one line only"):
        answered([text_field()], {"note": "a\nb"})
    assert answered([text_field(type="textarea")], {"note": "a\nb"}) == {"note": "a\nb"}


def test_an_option_with_spaces_around_it_can_be_chosen_on_the_page():
    field = text_field(type="dropdown", options=[" small ", "large"])

    assert on_page(field, tidied(" small ")) == ({"note": " small "}, {})
    assert on_page(field, "medium")[1] == {"field.note": "Note: choose one of the options."}


def test_all_that_is_wrong_is_said_at_once():
    fields = [
        text_field(key="note", max_length=2),
        text_field(key="size", label="Size", type="dropdown", options=["S"], is_required=True),
        text_field(key="terms", label="Terms", type="checkbox", is_required=True),
    ]
    shown = a_shown_link(custom_fields=fields)

    _, errors = read_choices({"quantity.tea": "1", "field.note": "abc"}, shown, Carried(), "en")

    assert errors == {
        "field.note": "Note: at most 2 characters, not 3.",
        "field.size": "Size is required.",
        "field.terms": "Terms is required.",
    }


def test_questions_are_asked_and_frozen_in_the_merchants_order():
    asked = [
        {"key": key, "label": key, "type": "text", "sort_order": order}
        for key, order in (("last", 9), ("first", 0), ("second", 0))
    ]
    link = a_link(custom_fields=asked)
    msg = resolving(custom_field_values={"last": "3", "second": "2"})

    shown = modes.shown(link, NOON)
    fact = modes.resolve(link, msg, ulid="01J", now=NOON)

    order = ["first", "second", "last"]
    assert [field.key for field in shown.payment_link.custom_fields] == order
    assert [field.key for field in fact.custom_fields] == order
    assert list(fact.custom_field_values) == ["second", "last"]


@pytest.mark.parametrize(
    "changes, param",
    [
        ({"label": " \n"}, "custom_fields[0].label"),
        ({"type": "dropdown", "options": ["S", "  "]}, "custom_fields[0].options[1]"),
        ({"type": "dropdown", "options": ["S", " S"]}, "custom_fields[0].options[1]"),
        ({"type": "dropdown", "options": []}, "custom_fields[0].options"),
    ],
)
def test_a_field_that_nobody_could_answer_is_refused(changes: dict[str, Any], param: str):
    with pytest.raises(Refusal) as caught:
        a_link(custom_fields=[{"key": "note", "label": "Note", "type": "text"} | changes])

    assert (caught.value.kind, caught.value.param) == ("invalid", param)


@pytest.mark.parametrize("key", ["", " ", "a\nb", "a ", " a", "a\tb", "\u0085", "\u00a0", "x" * 65])
def test_a_key_is_one_line_that_a_form_brings_back_as_it_was(key: str):
    field = {"key": key, "label": "Note", "type": "text"}

    with pytest.raises(ValidationError):
        PaymentLinkCreateParams.model_validate({"name": "Tea", "custom_fields": [field]})


@pytest.mark.parametrize("key", ["note", "größe", "T-shirt size", "茶", "a.b", "🍵"])
def test_a_key_may_be_of_any_language(key: str):
    field = text_field(key=key)

    assert on_page(field, "yes") == ({key: "yes"}, {})
