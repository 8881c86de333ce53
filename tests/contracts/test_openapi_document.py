"""The OpenAPI document is valid, complete, and agrees with what is served."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from services.gateway.api.openapi import document
from services.gateway.api.operation import PATH_IDS, PATH_WORDS, Operation
from services.gateway.api.schemas import Json
from services.gateway.app import OPERATIONS

API: Json = document(OPERATIONS, "https://pay.example", "0.0.0")


def conforms(value: Any, schema: Json) -> None:
    OAS31Validator({**schema, "components": API["components"]}).validate(value)


def described(operation: Operation) -> Json:
    found: Json = API["paths"][operation.path][operation.method.lower()]
    return found


def test_it_is_valid_openapi():
    validate(API)


def test_operation_ids_and_routes_are_unique():
    ids = [operation.id for operation in OPERATIONS]
    routes = [(operation.method, operation.path) for operation in OPERATIONS]

    assert len(set(ids)) == len(ids)
    assert len(set(routes)) == len(routes)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if not one.media], ids=lambda one: one.id
)
def test_its_examples_are_true(operation: Operation):
    there = described(operation)

    answer = there["responses"][str(operation.status)]["content"]["application/json"]
    conforms(answer["example"], answer["schema"])
    if operation.example is not None:
        body = there["requestBody"]["content"]["application/json"]
        conforms(operation.example, body["schema"])
        operation.body_adapter.validate_python(operation.example)


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.media], ids=lambda one: one.id
)
def test_a_picture_has_its_types_and_no_envelope(operation: Operation):
    responses = described(operation)["responses"]

    assert set(responses["200"]["content"]) == set(operation.media)
    assert "content" not in responses["304"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_every_path_parameter_bears_its_ids_name(operation: Operation):
    named = [one["name"] for one in described(operation)["parameters"] if one["in"] == "path"]

    assert named == operation.path_ids
    assert set(named) <= PATH_IDS.keys() | PATH_WORDS.keys()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_writes_honour_a_key_and_keyed_operations_need_one(operation: Operation):
    there = described(operation)
    headers = {one["name"] for one in there["parameters"] if one["in"] == "header"}

    assert ("Idempotency-Key" in headers) is operation.is_write
    assert bool(there["security"]) is bool(operation.scope)
    assert ("401" in there["responses"]) is bool(operation.scope)


def test_error_examples_are_error_envelopes():
    for response in API["components"]["responses"].values():
        media = response["content"]["application/json"]
        conforms(media["example"], media["schema"])


def test_an_answer_never_says_null_and_a_request_may():
    theme, given = (API["components"]["schemas"][name] for name in ("Theme", "ThemeInput"))

    assert theme["properties"]["title"]["type"] == "string"
    assert {"type": "null"} in given["properties"]["title"]["anyOf"]
    assert given["additionalProperties"] is False
    assert "additionalProperties" not in theme


def test_times_are_times_in_both_directions():
    schemas = API["components"]["schemas"]

    assert schemas["Order"]["properties"]["created_at"]["format"] == "date-time"
    assert schemas["EventConfig"]["properties"]["event_date"]["format"] == "date-time"


def test_an_unset_optional_is_not_promised_and_a_list_is():
    order = API["components"]["schemas"]["Order"]

    assert {"order_id", "line_items", "metadata"} <= set(order["required"])
    assert "closed_reason" not in order["required"]


def test_every_reference_leads_somewhere():
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [one for part in value.values() for one in references(part)]
        return (
            [one for part in value for one in references(part)] if isinstance(value, list) else []
        )

    for reference in set(references(API)):
        found: Any = API
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
