"""OpenAPI 3.1, generated from the very `Operation`s that are served and the contract's models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson
from aiohttp import web
from pydantic import BaseModel

from services.gateway.api import idempotency
from services.gateway.api.operation import Operation, path_shape
from services.gateway.api.schemas import Json, Schemas, Shape, schemas_of, tidied
from services.gateway.door import json_answer
from services.gateway.errors import TYPES
from services.gateway.gateway import GATEWAY

JSON: Final = "application/json"
REQUEST_ID_PATTERN: Final = r"^[A-Za-z0-9._:/+=@-]{1,128}$"

INTRODUCTION: Final = """\
Payment links and hosted checkout, self-hosted.

**Keys.** `Authorization: Bearer flint_test_…` or `X-API-Key: flint_test_…`, never both. The key \
decides merchant and mode; what belongs to another merchant or mode is a 404. A scope for writing \
does not include the one for reading.

**Money** is `{"amount": 2500, "currency": "USD"}`: whole minor units of the currency's own \
exponent (JPY 0, USD 2, KWD 3).

**Answers** are `{"data": …, "request_id": "req_…"}`; lists add `next_page_token`, empty at the \
end. Arrays and maps are never null, an unset field is absent, and fields may be added.

**Idempotency-Key** is honoured on every write for 24 h: the first answer is given again, its \
status included, with `"meta": {"idempotency_replayed": true}`. Another body under the same key \
is a 409 `IDEMPOTENCY_KEY_REUSED`; while the first request runs, 409 `IDEMPOTENCY_KEY_IN_PROGRESS`.

**Unknown fields** in a body and unknown query parameters are a 400. A request body is at most \
256 KiB, 32 levels deep, and names no key twice.
"""

DESCRIPTIONS: Final = {
    400: "The request is wrong: `code` and `param` say where.",
    401: "No valid API key.",
    403: "The key lacks the scope.",
    404: "There is no such resource for this key.",
    408: "The body did not arrive in time.",
    409: "The state of the resource says no, or the Idempotency-Key does.",
    413: "The body is over 256 KiB.",
    415: "The body is not uncompressed JSON.",
    422: "A business refusal, such as a declined payment: `code` says which.",
    429: "Too many requests; wait as long as `Retry-After` says.",
    500: "Our fault.",
    503: "Unavailable for a moment; nothing is lost by sending it again with the same key.",
}
_RETRYING: Final = (409, 429, 503)
TAGS: Final = {
    "payment-links": "Reusable templates behind a public URL.",
    "checkout-sessions": "One hosted page, one buyer, one payment.",
    "subscription-plans": "What is paid how often, and on which terms.",
    "orders": "What was bought, what it costs, what was paid.",
}


def document(operations: Sequence[Operation], public_url: str, version: str) -> Json:
    """The whole document as JSON."""
    shapes, components = schemas_of(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        described = _operation(operation, shapes)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flint API",
            "version": version,
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _error_schema()},
            "responses": _responses(),
            "headers": _headers(),
            "securitySchemes": _SECURITY,
        },
    }


def serving(
    operations: Sequence[Operation],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `/v1/openapi.json`; the document is written once."""
    kept: list[bytes] = []

    async def serve(request: web.Request) -> web.Response:
        if not kept:
            gateway = request.app[GATEWAY]
            made = document(operations, gateway.public_url, gateway.version)
            kept.append(orjson.dumps(made))
        answer = json_answer(kept[0])
        answer.enable_compression()
        return answer

    return serve


def _query_parameters(operation: Operation) -> list[Json]:
    schema = tidied(operation.query_params.model_json_schema(schema_generator=Schemas))
    parameters = []
    for name, shape in schema.get("properties", {}).items():
        words = shape.pop("description", None)
        parameter = {"name": name, "in": "query", "required": False, "schema": _not_null(shape)}
        parameters.append({**parameter, "description": words} if words else parameter)
    return parameters


def _not_null(shape: Json) -> Json:
    """A query string has no null: an absent parameter is absent."""
    options = [one for one in shape.get("anyOf", []) if one != {"type": "null"}]
    if len(options) != 1:
        return shape
    return {**{name: part for name, part in shape.items() if name != "anyOf"}, **options[0]}


# Operations.


def _operation(operation: Operation, shapes: dict[Shape, Json]) -> Json:
    described: Json = {
        "operationId": operation.id,
        "tags": [operation.path.split("/")[2]],
        "summary": operation.summary,
        "description": _description(operation),
        "parameters": _parameters(operation),
        "security": [{"bearer": []}, {"apiKey": []}] if operation.scope else [],
        "responses": {
            **(_picture(operation) if operation.media else _enveloped(operation, shapes)),
            **{str(status): _response_ref(status) for status in _statuses(operation)},
        },
    }
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, shapes)
    return described


def _description(operation: Operation) -> str:
    parts = [operation.description] if operation.description else []
    if operation.codes:
        codes = ", ".join(f"`{code}`" for code in operation.codes)
        parts.append(f"Refused with: {codes}.")
    if operation.scope:
        parts.append(f"Scope: `{operation.scope}`.")
    return "\n\n".join(parts) or operation.summary


def _parameters(operation: Operation) -> list[Json]:
    path: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": path_shape(name)[0]},
        }
        for name in operation.path_ids
    ]
    request_id = {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "Echoed; one is made when it is absent or has other characters.",
        "schema": {"type": "string"},
    }
    key = {
        "name": idempotency.HEADER,
        "in": "header",
        "required": False,
        "description": "Makes the write happen once; the same key is answered the same for 24 h.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    }
    headers = [request_id, key] if operation.is_write else [request_id]
    return [*path, *_query_parameters(operation), *headers]


def _request_body(operation: Operation, shapes: dict[Shape, Json]) -> Json:
    media: Json = {"schema": shapes[f"{operation.id}.body", "validation"]}
    if operation.example is not None:
        media["example"] = operation.example
    return {"required": not operation.is_body_optional, "content": {JSON: media}}


def _picture(operation: Operation) -> Json:
    """A file instead of an envelope, and no body at all for who has it already."""
    content = {
        kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in operation.media
    }
    headers = {
        "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
        "ETag": {"$ref": "#/components/headers/ETag"},
    }
    return {
        "200": {"description": operation.summary, "headers": headers, "content": content},
        "304": {"description": "As `If-None-Match` has it.", "headers": headers},
    }


def _enveloped(operation: Operation, shapes: dict[Shape, Json]) -> Json:
    return {str(operation.status): _success(operation, shapes)}


def _success(operation: Operation, shapes: dict[Shape, Json]) -> Json:
    properties: Json = {
        "data": shapes[f"{operation.id}.data", "serialization"],
        "request_id": {"type": "string"},
    }
    required = ["data", "request_id", *operation.beside]
    for name in operation.beside:
        properties[name] = shapes[f"{operation.id}.{name}", "serialization"]
    if operation.is_list:
        properties["next_page_token"] = {"type": "string", "description": "Empty at the end."}
        required.append("next_page_token")
    if operation.is_write:
        replayed = {"idempotency_replayed": {"type": "boolean"}}
        properties["meta"] = {"type": "object", "properties": replayed}
    schema = {"type": "object", "required": required, "properties": properties}
    media: Json = {"schema": schema}
    if operation.reply_example is not None:
        media["example"] = _reply_example(operation)
    return {
        "description": operation.summary,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
        "content": {JSON: media},
    }


def _reply_example(operation: Operation) -> Json:
    example: Json = {"data": operation.reply_example}
    if operation.is_list:
        example = {"data": [operation.reply_example], "next_page_token": ""}
    beside: Json = {name: [] for name in operation.beside}
    return {**example, **beside, "request_id": "req_01KAT0M5V8Q4Z6R2N3W9XJ7HDE"}


# What every operation may answer with besides.


def _statuses(operation: Operation) -> list[int]:
    statuses = [400, 429, 500, 503]
    if operation.scope:
        statuses += [401, 403]
    if operation.path_ids or operation.is_write:
        statuses.append(404)
    if operation.is_write:
        statuses += [408, 409, 413, 415, 422]
    return sorted(statuses)


def _response_ref(status: int) -> Json:
    return {"$ref": f"#/components/responses/{_response_name(status)}"}


def _response_name(status: int) -> str:
    return f"Error{status}"


def _responses() -> Json:
    return {_response_name(status): _response(status) for status in DESCRIPTIONS}


def _response(status: int) -> Json:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in _RETRYING:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return {
        "description": DESCRIPTIONS[status],
        "headers": headers,
        "content": {
            JSON: {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": {
                    "error": {
                        "type": TYPES[status],
                        **_EXAMPLES[status],
                        "request_id": "req_01KAT0M5V8Q4Z6R2N3W9XJ7HDE",
                    }
                },
            }
        },
    }


_EXAMPLES: Final[dict[int, Json]] = {
    400: {
        "code": "FIELD_REQUIRED",
        "message": "The 'order_id' field is required.",
        "param": "order_id",
    },
    401: {"code": "API_KEY_NOT_FOUND", "message": "There is no such API key."},
    403: {
        "code": "SCOPE_REQUIRED",
        "message": "This API key lacks the scope 'commerce.orders.write'.",
    },
    404: {"code": "RESOURCE_NOT_FOUND", "message": "No such order.", "param": "order_id"},
    408: {
        "code": "REQUEST_TIMEOUT",
        "message": "The request body did not arrive within 10 seconds.",
    },
    409: {"code": "ORDER_CLOSED", "message": "The order is closed; only an open one can be paid."},
    413: {
        "code": "REQUEST_TOO_LARGE",
        "message": "The request body may have at most 262144 bytes.",
    },
    415: {
        "code": "UNSUPPORTED_MEDIA_TYPE",
        "message": "The Content-Type has to be application/json.",
    },
    422: {"code": "card_declined", "message": "The card was declined."},
    429: {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests in a short time."},
    500: {"code": "INTERNAL_ERROR", "message": "Something went wrong on our side."},
    503: {
        "code": "SERVICE_UNAVAILABLE",
        "message": "A part of the system cannot be reached right now.",
    },
}


class _Remediation(BaseModel):
    next_actions: list[str]
    retryable: bool


def _error_schema() -> Json:
    remediation = tidied(_Remediation.model_json_schema())
    members: Json = {
        "type": {"type": "string", "enum": sorted(set(TYPES.values()))},
        "code": {"type": "string", "description": "Stable; tell cases apart by this."},
        "message": {"type": "string", "description": "For people; may change."},
        "param": {"type": "string", "description": "The field it is about: `line_items[0].name`."},
        "request_id": {"type": "string"},
        "remediation": remediation,
    }
    error = {
        "type": "object",
        "required": ["type", "code", "message", "request_id"],
        "properties": members,
    }
    return {"type": "object", "required": ["error"], "properties": {"error": error}}


def _headers() -> Json:
    return {
        "X-Request-Id": {
            "description": "The request's id, yours or ours.",
            "required": True,
            "schema": {"type": "string", "pattern": REQUEST_ID_PATTERN},
        },
        "ETag": {
            "description": "Changes when a byte of the answer does.",
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Seconds to wait.",
            "schema": {"type": "integer", "minimum": 1},
        },
    }


_SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key as a bearer token."},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own; not together with the other.",
    },
}
