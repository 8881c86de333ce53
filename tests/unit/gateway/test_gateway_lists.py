"""Query strings and page tokens: strict, and good for one list only."""

from __future__ import annotations

from typing import Annotated

import pytest
from multidict import MultiDict
from pydantic import Field, ValidationError

from services.gateway.api import lists
from services.gateway.api.checkout_sessions import CheckoutSessionListParams
from services.gateway.api.payment_links import PaymentLinkListParams
from shared.contracts.base import Context
from shared.errors import Refusal
from tests.builders_gateway import SECRET_KEY, ULID_A

MINE = Context("mer_1", "test")
PATH = "/v1/payment-links"


def read(kind=PaymentLinkListParams, **given):
    return lists.read_query(kind, MultiDict(given))


def token(cursor=("2026", "pl_1"), context=MINE, path=PATH, **given):
    return lists.token_of(cursor, read(**given), secret_key=SECRET_KEY, context=context, path=path)


def cursor(context=MINE, path=PATH, **given):
    return lists.cursor_of(read(**given), secret_key=SECRET_KEY, context=context, path=path)


def test_text_becomes_whole_numbers_booleans_and_times():
    params = read(page_size="50", has_plan="true", created_after="2026-11-24T06:00:00+02:00")

    assert (params.page_size, params.has_plan) == (50, True)
    assert params.filters() == {
        "sort_direction": "desc",
        "sort_field": "created_at",
        "has_plan": True,
        "created_after": "2026-11-24T04:00:00.000Z",
    }


@pytest.mark.parametrize(
    "given",
    [
        {"page_size": "0"},
        {"page_size": "101"},
        {"page_size": "20.0"},
        {"page_size": " 20"},
        {"page_size": "1_0"},
        {"has_plan": "yes"},
        {"has_plan": "1"},
        {"created_after": "1700000000"},
        {"created_after": "2026-11-24"},
        {"updated_before": "0001-01-01T00:00:00+05:00"},
        {"status": "gone"},
        {"sort_field": "name"},
        {"sort_direction": "up"},
        {"query": "a\0b"},
        {"page_token": "a b"},
        {"unknown": "1"},
    ],
)
def test_anything_else_is_refused(given):
    with pytest.raises(ValidationError):
        read(**given)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(Refusal) as caught:
        lists.read_query(PaymentLinkListParams, MultiDict([("status", "active")] * 2))

    assert caught.value.param == "status"


def test_an_array_is_a_repeated_key():
    class Reasons(lists.QueryParams):
        reasons: Annotated[list[str], Field(max_length=3)]

    params = lists.read_query(Reasons, MultiDict([("reasons", "a"), ("reasons", "b")]))

    assert params.model_dump(exclude_none=True) == {"reasons": ["a", "b"]}


def test_read_mask_is_tolerated_and_is_no_filter():
    assert read(read_mask="order_id").filters() == read().filters()
    assert read(lists.ReadParams, read_mask="order_id")
    with pytest.raises(ValidationError):
        read(lists.QueryParams, read_mask="order_id")


def test_ids_in_filters_have_their_shape():
    assert read(CheckoutSessionListParams, order_id=f"ord_{ULID_A}")
    with pytest.raises(ValidationError):
        read(CheckoutSessionListParams, order_id="ord_1")


def test_a_token_leads_on_in_the_same_list_even_with_another_page_size():
    made = token(status="active", page_size="1")

    assert cursor(status="active", page_size="2", page_token=made) == ("2026", "pl_1")


def test_no_token_is_the_beginning_and_no_cursor_the_end():
    assert cursor() is None
    assert token(cursor=None) == ""


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"status": "inactive"},
        {"sort_direction": "asc"},
        {"query": "tea"},
        {"context": Context("mer_2", "test")},
        {"context": Context("mer_1", "live")},
        {"path": "/v1/orders"},
    ],
)
def test_a_token_is_no_good_anywhere_else(elsewhere):
    made = token(status="active")

    with pytest.raises(Refusal) as caught:
        cursor(**{"status": "active", **elsewhere}, page_token=made)

    assert (caught.value.code, caught.value.param) == ("INVALID_VALUE", "page_token")


def test_a_made_up_token_is_refused():
    with pytest.raises(Refusal):
        cursor(page_token="WyJhIiwiYiJd.c2lnbmF0dXJl")
