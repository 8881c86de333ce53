"""What a buyer may choose: quantities, prices, answers; and what a link then offers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.links import modes
from services.links.answers import answered, fingerprint
from services.links.domain import Link
from shared.contracts.link_requests import CustomField
from shared.contracts.links import Choices, Offer
from shared.errors import Refusal
from shared.money import AMOUNT_MAX
from tests.builders_links import NEVER, NOON, a_link, resolving, tea, usd

ADJUSTABLE = tea(
    allow_quantity_adjustment=True,
    min_quantity=1,
    max_quantity=5,
    allow_amount_adjustment=True,
    min_amount_money=usd(1000),
    max_amount_money=usd(2000),
)


def offered(link: Link, **chosen: Any) -> Offer:
    return modes.offer(link, Choices.model_validate(chosen))


def refusal_of(link: Link, **chosen: Any) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        offered(link, **chosen)
    return caught.value.code, caught.value.param


def test_choosing_nothing_buys_the_lines_as_they_stand():
    link = a_link(line_items=[tea(1200, quantity=2), tea(300, name="Cup")])

    offer = offered(link)

    assert [(line.key, line.name, line.quantity) for line in offer.lines] == [
        ("item-1", "Tea", 2),
        ("item-2", "Cup", 1),
    ]
    assert (offer.currency, offer.is_limited) == ("USD", False)


def test_a_buyer_may_choose_what_the_line_lets_choose():
    link = a_link(line_items=[ADJUSTABLE])

    (line,) = offered(
        link, quantity_overrides={"item-1": 5}, unit_price_overrides={"item-1": usd(2000)}
    ).lines

    assert (line.quantity, line.unit_price_money.amount) == (5, 2000)


def test_repeating_what_is_fixed_anyway_is_no_choice():
    link = a_link(line_items=[tea(1200, quantity=2)])

    offer = offered(
        link, quantity_overrides={"item-1": 2}, unit_price_overrides={"item-1": usd(1200)}
    )

    assert offer == offered(link)


@pytest.mark.parametrize(
    "line, chosen, code, param",
    [
        ({}, {"quantity_overrides": {"cup": 1}}, "INVALID_VALUE", "quantity_overrides.cup"),
        (
            {},
            {"unit_price_overrides": {"cup": usd(1)}},
            "INVALID_VALUE",
            "unit_price_overrides.cup",
        ),
        (
            {},
            {"quantity_overrides": {"item-1": 2}},
            "LINE_ITEM_INVALID_QUANTITY",
            "quantity_overrides.item-1",
        ),
        (
            ADJUSTABLE,
            {"quantity_overrides": {"item-1": 6}},
            "LINE_ITEM_INVALID_QUANTITY",
            "quantity_overrides.item-1",
        ),
        (
            {},
            {"unit_price_overrides": {"item-1": usd(1)}},
            "AMOUNT_OUT_OF_RANGE",
            "unit_price_overrides.item-1",
        ),
        (
            ADJUSTABLE,
            {"unit_price_overrides": {"item-1": usd(2001)}},
            "AMOUNT_OUT_OF_RANGE",
            "unit_price_overrides.item-1",
        ),
        (
            ADJUSTABLE,
            {"unit_price_overrides": {"item-1": {"amount": 1500, "currency": "EUR"}}},
            "CURRENCY_MISMATCH",
            "unit_price_overrides.item-1",
        ),
        (
            {},
            {"donation_amount_money": usd(1)},
            "INVALID_VALUE",
            "donation_amount_money",
        ),
    ],
)
def test_a_choice_the_line_does_not_let_choose_is_refused(
    line: dict[str, Any], chosen: dict[str, Any], code: str, param: str
):
    link = a_link(line_items=[line or tea()])

    assert refusal_of(link, **chosen) == (code, param)


@given(price=st.integers(0, AMOUNT_MAX), quantity=st.integers(1, 999_999))
def test_an_offer_never_exceeds_what_money_can_hold(price: int, quantity: int):
    link = a_link(line_items=[tea(price, allow_quantity_adjustment=True)])
    chosen = {"quantity_overrides": {"item-1": quantity}}

    if price * quantity <= AMOUNT_MAX:
        (line,) = offered(link, **chosen).lines
        assert line.unit_price_money.amount * line.quantity == price * quantity
    else:
        assert refusal_of(link, **chosen)[0] == "AMOUNT_OUT_OF_RANGE"


def test_an_event_offers_no_more_seats_than_are_left():
    link = a_link(
        mode="event",
        event_config={"max_total_quantity": 10},
        line_items=[tea(allow_quantity_adjustment=True)],
        total_quantity_sold=8,
    )

    assert offered(link, quantity_overrides={"item-1": 2}).is_limited
    assert refusal_of(link, quantity_overrides={"item-1": 3}) == (
        "LINE_ITEM_INVALID_QUANTITY",
        "quantity_overrides.item-1",
    )


QUESTIONS = [
    CustomField(key="note", label="Note", type="text", max_length=5),
    CustomField(key="story", label="Story", type="textarea"),
    CustomField(key="size", label="Size", type="dropdown", options=["S", "M"], is_required=True),
    CustomField(key="terms", label="Terms", type="checkbox", is_required=True),
]
ANSWERS = {"size": "S", "terms": "true"}


def test_answers_come_back_in_the_order_of_the_questions():
    answers = answered(QUESTIONS, {"terms": "true", "size": "M", "note": "hi", "story": " "})

    assert list(answers.items()) == [("note", "hi"), ("size", "M"), ("terms", "true")]


@pytest.mark.parametrize(
    "given, code, key",
    [
        ({"size": ""}, "CUSTOM_FIELD_REQUIRED", "size"),
        ({"size": "XL"}, "CUSTOM_FIELD_INVALID", "size"),
        ({"terms": "false"}, "CUSTOM_FIELD_REQUIRED", "terms"),
        ({"terms": "yes"}, "CUSTOM_FIELD_INVALID", "terms"),
        ({"note": "123456"}, "CUSTOM_FIELD_INVALID", "note"),
        ({"story": "x" * 1001}, "CUSTOM_FIELD_INVALID", "story"),
        ({"colour": "red"}, "INVALID_VALUE", "colour"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_its_question(
    given: dict[str, str], code: str, key: str
):
    with pytest.raises(Refusal) as caught:
        answered(QUESTIONS, ANSWERS | given)

    assert (caught.value.code, caught.value.param) == (code, f"custom_field_values.{key}")


def test_a_text_without_a_bound_of_its_own_has_the_usual_one():
    question = [CustomField(key="note", label="Note", type="text")]

    assert answered(question, {"note": "x" * 255})
    with pytest.raises(Refusal, match="255"):
        answered(question, {"note": "x" * 256})


def test_the_same_choices_have_one_fingerprint_however_they_are_spelled():
    first = Choices.model_validate({"quantity_overrides": {"a": 1, "b": 2}})
    again = Choices.model_validate(
        {"quantity_overrides": {"b": 2, "a": 1}, "custom_field_values": {}, "customer": None}
    )
    other = Choices.model_validate({"quantity_overrides": {"a": 2, "b": 1}})

    assert fingerprint(NEVER, first) == fingerprint(NEVER, again)
    assert fingerprint(NEVER, first) != fingerprint(NEVER, other)
    assert fingerprint(NEVER, first) != fingerprint(NEVER[:-1] + "1", first)


def test_a_page_of_an_older_version_has_to_be_shown_again():
    link = a_link(version=3)

    with pytest.raises(Refusal) as caught:
        modes.resolve(link, resolving(version=2), ulid="01J", now=NOON)

    assert (caught.value.kind, caught.value.code) == ("conflict", "PAYMENT_LINK_CHANGED_RETRY")


def test_a_resolution_carries_all_that_its_listeners_need():
    link = a_link(
        theme={"title": "Teas"},
        max_completions=5,
        custom_fields=[{"key": "note", "label": "Note", "type": "text"}],
    )
    msg = resolving(custom_field_values={"note": "hi"}, customer={"email": "a@example.com"})

    fact = modes.resolve(link, msg, ulid="01J", now=NOON)

    assert (fact.checkout_session_id, fact.order_id) == ("cs_01J", "ord_01J")
    assert fact.offer.is_limited
    assert fact.configs.theme.title == "Teas"
    assert fact.custom_field_values == {"note": "hi"}
    assert fact.customer is not None
    assert fact.resolved_at == NOON
