"""Which cards the sandbox takes, and that it never repeats what was typed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.contracts.payments import FailureCode
from shared.errors import Refusal
from shared.payments.port import Card, ProviderRequest
from shared.payments.sandbox_cards import ALIASES, BY_TOKEN, CARDS, MESSAGES, card_of, token_of
from tests.builders_orders import usd

TODAY = datetime(2026, 3, 31, tzinfo=UTC)


def a_card(number: str = "4242424242424242", exp: str = "12/30", cvc: str = "123") -> Card:
    return Card(number, exp, cvc)


def refusal_of(card: Card) -> Refusal:
    with pytest.raises(Refusal) as refused:
        token_of(card, today=TODAY)
    assert (refused.value.kind, refused.value.code) == ("invalid", "INVALID_VALUE")
    return refused.value


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.token)
def test_every_card_becomes_its_token_and_back(card):
    token = token_of(a_card(card.number), today=TODAY)

    assert token == card.token
    assert card_of(token) == card
    assert card.failure_code is None or card.failure_code in MESSAGES


def test_another_name_of_a_token_is_the_same_card():
    assert {card_of(alias) for alias in ALIASES} <= set(BY_TOKEN.values())
    assert card_of("tok_elsewhere") is None
    assert card_of(None) is None


def test_every_failure_has_its_sentence():
    assert set(MESSAGES) == set(FailureCode.__args__)  # type: ignore[attr-defined]  # a Literal has its members


@pytest.mark.parametrize("number", ["4242 4242 4242 4242", "4242-4242-4242-4242"])
def test_a_number_may_be_written_in_groups(number):
    assert token_of(a_card(number), today=TODAY) == "tok_visa"


@pytest.mark.parametrize("exp", ["03/26", "03 / 26", "0326", "3/26", "03/2026", " 03/26 "])
def test_a_card_is_good_until_the_end_of_its_month(exp):
    assert token_of(a_card(exp=exp), today=TODAY) == "tok_visa"


@pytest.mark.parametrize("exp", ["02/26", "12/25", "13/30", "00/30", "", "soon", "2030-12", "1"])
def test_an_expiry_that_is_over_or_no_expiry_is_refused(exp):
    assert refusal_of(a_card(exp=exp)).param == "card_exp"


@pytest.mark.parametrize("cvc", ["", "12", "12345", "12a", "\uff11\uff12\uff13"])
def test_a_security_code_has_three_or_four_digits(cvc):
    assert refusal_of(a_card(cvc=cvc)).param == "card_cvc"


@pytest.mark.parametrize("number", ["", "4242", "4242424242424241", "abcd", "4" * 20])
def test_a_number_that_no_card_has_is_refused(number):
    refusal = refusal_of(a_card(number))

    assert (refusal.param, refusal.message) == ("card_number", "The card number is not valid.")


def test_a_real_card_is_pointed_to_the_test_cards():
    refusal = refusal_of(a_card("5555555555554444"))

    assert refusal.param == "card_number"
    assert refusal.message.startswith("Use a test card")


@given(st.from_regex(r"[0-9]{12,19}", fullmatch=True), st.from_regex(r"[0-9]{3,4}", fullmatch=True))
def test_no_refusal_and_no_repr_repeats_what_was_typed(number, cvc):
    assume(number not in "4242424242424242")  # which a sentence of ours recommends
    card = a_card(number, "01/20", cvc)

    refusal = refusal_of(card)

    assert number not in refusal.message.replace(" ", "")
    assert repr(card) == "Card()"


def test_a_request_does_not_show_its_token():
    request = ProviderRequest("pi_1:charge", "pi_1", usd(1), payment_source_token="tok_visa")

    assert "tok_visa" not in repr(request)
