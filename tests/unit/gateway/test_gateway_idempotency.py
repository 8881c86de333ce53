"""An Idempotency-Key is the id of one write of one merchant at one endpoint."""

from __future__ import annotations

import pytest

from services.gateway.api import idempotency
from shared.errors import Refusal
from shared.ids import is_id

SCOPE = ("mer_1", "test", "POST", "/v1/orders")


def test_the_same_key_in_the_same_place_is_the_same_message():
    first = idempotency.once("k", *SCOPE, body={"a": 1, "b": [1, 2]})
    second = idempotency.once("k", *SCOPE, body={"b": [1, 2], "a": 1})

    assert first == second


@pytest.mark.parametrize(
    "key, scope",
    [
        ("other", SCOPE),
        ("k", ("mer_2", *SCOPE[1:])),
        ("k", ("mer_1", "live", *SCOPE[2:])),
        ("k", ("mer_1", "test", "PATCH", "/v1/orders")),
        ("k", ("mer_1", "test", "POST", "/v1/orders/ord_1/close")),
    ],
)
def test_another_key_or_place_is_another_message(key, scope):
    mine = idempotency.once("k", *SCOPE, body={})

    assert idempotency.once(key, *scope, body={}).message_id != mine.message_id


def test_parts_cannot_be_shifted_into_each_other():
    assert (
        idempotency.once("b", "x", "a", body={}).message_id
        != idempotency.once("ab", "x", "", body={}).message_id
    )


def test_another_body_has_another_hash():
    first, second = (idempotency.once("k", *SCOPE, body=body) for body in ({"a": 1}, {"a": 2}))

    assert first.message_id == second.message_id
    assert first.body_hash != second.body_hash


def test_the_attempt_of_a_key_is_always_the_same_intent():
    once = idempotency.once("k", *SCOPE, body={})
    other = idempotency.once("k2", *SCOPE, body={})

    assert once.attempt_id() == once.attempt_id() != other.attempt_id()
    assert is_id(once.attempt_id(), "pi")


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\tb"])
def test_a_key_is_1_to_255_visible_characters(key):
    with pytest.raises(Refusal):
        idempotency.key_of(key)


def test_good_keys_and_none_pass():
    assert idempotency.key_of(None) is None
    assert idempotency.key_of("x" * 255) == "x" * 255
