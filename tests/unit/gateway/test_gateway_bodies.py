"""What a request body may be before anybody looks at its fields."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.body import parse
from shared.errors import Refusal

# Neither NUL nor halves of surrogate pairs: those are refused.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)


def refused(raw: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(raw)
    return caught.value


@given(JSON)
def test_ordinary_json_is_read_as_it_is(value):
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"{'a':1}", b"\xff\xfe", b"[1,]", b"\xef\xbb\xbf{}", b"[" * 100_000]
)
def test_what_is_not_json_is_refused(raw):
    assert refused(raw).code == "INVALID_JSON"


def test_a_key_given_twice_is_refused_with_its_place():
    refusal = refused(b'{"items": [{"name": "a"}, {"name": "b", "price": 1, "name": "c"}]}')

    assert (refusal.code, refusal.param) == ("INVALID_JSON", "items[1].name")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused_with_their_place(word):
    refusal = refused(f'{{"tip": {{"percent": {word}}}}}'.encode())

    assert (refusal.code, refusal.param) == ("INVALID_JSON", "tip.percent")


def test_thirty_two_levels_pass_and_one_more_does_not():
    assert parse(b"[" * 32 + b"]" * 32)

    assert refused(b"[" * 33 + b"]" * 33).code == "INVALID_JSON"


def test_many_brackets_side_by_side_are_not_deep():
    assert len(parse(b"[" + b",".join([b"{}"] * 500) + b"]")) == 500


@pytest.mark.parametrize("raw", [b'{"a": {"b": "x\\u0000y"}}', b'{"a": {"b": {"k\\u0000": 1}}}'])
def test_the_character_zero_is_refused_in_values_and_keys(raw):
    refusal = refused(raw)

    assert (refusal.code, refusal.param) == ("INVALID_VALUE", "a.b")


def test_half_of_a_surrogate_pair_is_refused_and_a_whole_one_is_not():
    assert parse(b'["\\ud83c\\udf75"]') == ["\N{TEACUP WITHOUT HANDLE}"]

    assert refused(b'["\\ud83c"]').code == "INVALID_JSON"


def test_a_number_longer_than_any_number_is_refused():
    assert refused(b"[" + b"9" * 5_000 + b"]").code == "INVALID_JSON"
