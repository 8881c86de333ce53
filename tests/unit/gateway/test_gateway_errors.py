"""How failures are told: status, code, sentence, place, and never the input."""

from __future__ import annotations

import orjson
import pytest
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from services.gateway.api.operation import validated
from services.gateway.errors import Failure, Turned, failure_of
from shared.contracts.link_requests import PaymentLinkCreateParams
from shared.contracts.orders import OrderCreateParams
from shared.contracts.sessions import CheckoutSessionCreateParams
from shared.errors import DeadlineExceeded, Refusal, Unavailable


def failure(kind, body):
    try:
        validated(TypeAdapter(kind), orjson.dumps(body))
    except (ValidationError, Turned) as error:
        return failure_of(error)
    raise AssertionError("it was accepted")


def test_a_missing_field_is_named():
    told = failure(PaymentLinkCreateParams, {})

    assert told == Failure(400, "FIELD_REQUIRED", "The 'name' field is required.", param="name")


def test_an_unknown_field_is_named_with_its_path():
    told = failure(PaymentLinkCreateParams, {"name": "Tea", "line_items": [{}, {"color": "green"}]})

    assert (told.code, told.param) == ("UNKNOWN_FIELD", "line_items[1].color")


def test_an_id_of_another_kind_is_an_invalid_id():
    told = failure(CheckoutSessionCreateParams, {"order_id": "cs_01KAT0M5V8Q4Z6R2N3W9XJ7HDE"})

    assert (told.status, told.code, told.param) == (400, "INVALID_ID", "order_id")


@pytest.mark.parametrize(
    "amount, words",
    [
        (12.5, "whole number"),
        ("1250", "whole number"),
        (-1, "at least 0"),
        (10_000_000_000, "at most 9999999999"),
        (True, "whole number"),
        (None, "whole number"),
    ],
)
def test_money_is_whole_minor_units_in_range(amount, words):
    told = failure(
        CheckoutSessionCreateParams,
        {"quick_pay": {"name": "x", "amount_money": {"amount": amount, "currency": "USD"}}},
    )

    assert (told.code, told.param) == ("INVALID_VALUE", "quick_pay.amount_money.amount")
    assert words in told.message


@pytest.mark.parametrize("word", ["true", 1, "yes"])
def test_only_json_booleans_are_booleans(word):
    told = failure(PaymentLinkCreateParams, {"name": "Tea", "tip": {"is_enabled": word}})

    assert (told.code, told.param) == ("INVALID_VALUE", "tip.is_enabled")


def test_the_input_is_never_echoed():
    secret = "4242424242424242"
    bodies = [
        {"name": "x", "metadata": {"k": [secret]}},
        {"name": "x", "theme": {"primary_color": secret}},
        {"name": "x", "mode": secret},
        {"name": "x", "max_completions": secret},
        {
            "name": "x",
            "donation_min_amount_money": {"amount": 1, "currency": secret},
        },
        {"name": "x", "event_config": {"event_date": secret}},
    ]

    told = [failure(PaymentLinkCreateParams, body) for body in bodies]

    assert [one.code for one in told] == ["INVALID_VALUE"] * len(bodies)
    assert not [one for one in told if secret in one.message]


def test_a_bad_map_key_is_told_by_the_map():
    told = failure(PaymentLinkCreateParams, {"name": "x", "metadata": {"k" * 41: "v"}})

    assert told.code == "INVALID_VALUE"
    assert (told.param or "").startswith("metadata")


@pytest.mark.parametrize(
    "moment",
    [
        "1700000000",
        "2026-11-24",
        "2026-11-24T06:00:00",
        "2026-13-24T06:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_a_time_that_is_none_is_refused_at_its_place(moment):
    told = failure(PaymentLinkCreateParams, {"name": "x", "event_config": {"event_date": moment}})

    assert (told.status, told.code, told.param) == (400, "INVALID_VALUE", "event_config.event_date")


def test_a_good_time_beside_a_wrong_field_does_not_hide_it():
    body = {"name": "x", "event_config": {"event_date": "2026-11-24T06:00:00Z", "seats": 3}}

    assert failure(PaymentLinkCreateParams, body).param == "event_config.seats"


def test_a_good_time_is_taken():
    body = b'{"name": "x", "event_config": {"event_date": "2026-11-24T06:00:00.5+02:00"}}'

    read = validated(TypeAdapter(PaymentLinkCreateParams), body)

    assert read.event_config.event_date.isoformat() == "2026-11-24T04:00:00.500000+00:00"


def test_a_body_that_is_no_object_has_no_param():
    told = failure(OrderCreateParams, [])

    assert (told.code, told.param) == ("INVALID_VALUE", None)
    assert told.message == "The request body has to be an object."


@pytest.mark.parametrize(
    "kind, status",
    [
        ("invalid", 400),
        ("unauthenticated", 401),
        ("forbidden", 403),
        ("not_found", 404),
        ("conflict", 409),
        ("unprocessable", 422),
        ("rate_limited", 429),
    ],
)
def test_every_kind_of_refusal_has_its_status(kind, status):
    assert failure_of(Refusal(kind, "CODE", "No.")).status == status


def test_a_rate_limit_says_when_to_come_back_unless_it_is_for_good():
    for_now = Refusal("rate_limited", "X", "No.", retryable=True)
    for_good = Refusal("rate_limited", "X", "No.")

    assert failure_of(for_now).to_headers() == {"Retry-After": "1"}
    assert failure_of(for_good).to_headers() == {}


def test_a_wait_that_a_service_names_is_passed_on():
    refusal = Refusal("conflict", "X", "No.", retry_after_seconds=7)

    assert failure_of(refusal).to_headers() == {"Retry-After": "7"}


@pytest.mark.parametrize(
    "error", [Unavailable("db-3.internal is away"), DeadlineExceeded("x"), ConnectionError("x")]
)
def test_an_outage_is_a_503_that_may_be_repeated_and_tells_no_host(error):
    told = failure_of(error)
    body = orjson.loads(told.to_json("req_1"))

    assert told.status == 503
    assert told.to_headers() == {"Retry-After": "1"}
    assert body["error"]["remediation"]["retryable"] is True
    assert "internal" not in body["error"]["message"]


def test_a_bug_is_a_500_without_detail():
    body = orjson.loads(failure_of(KeyError("password")).to_json("req_1"))

    assert body == {
        "error": {
            "type": "internal_error",
            "code": "INTERNAL_ERROR",
            "message": "Something went wrong on our side.",
            "request_id": "req_1",
        }
    }


def test_a_wrong_method_names_the_right_ones():
    told = failure_of(web.HTTPMethodNotAllowed("PUT", ["POST", "GET"]))

    assert (told.status, told.to_headers()) == (405, {"Allow": "GET, POST"})
