"""Every way a request can fail, as HTTP says it. The one table from `Refusal.kind` to a status."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import ValidationError

from shared.contracts.types import NO_CONTROLS
from shared.db.pool import is_outage
from shared.errors import DeadlineExceeded, Kind, Refusal, Unavailable
from shared.ids import ULID_PATTERN

STATUSES: Final[dict[Kind, int]] = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "unprocessable": 422,
    "rate_limited": 429,
}
TYPES: Final[dict[int, str]] = {
    400: "validation_error",
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    405: "validation_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "validation_error",
    415: "validation_error",
    422: "validation_error",
    429: "rate_limit_error",
    500: "internal_error",
    503: "unavailable_error",
}
RETRY_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request, ready to be told: as JSON under `/v1`, as a page elsewhere."""

    status: int
    code: str
    message: str
    param: str | None = None
    next_actions: tuple[str, ...] = ()
    retryable: bool = False
    retry_after_seconds: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, request_id: str) -> bytes:
        """The error envelope of the API."""
        error: dict[str, Any] = {
            "type": TYPES[self.status],
            "code": self.code,
            "message": self.message,
        }
        if self.param:
            error["param"] = self.param
        error["request_id"] = request_id
        if self.next_actions or self.retryable:
            error["remediation"] = {
                "next_actions": list(self.next_actions),
                "retryable": self.retryable,
            }
        return orjson.dumps({"error": error})

    def to_headers(self) -> dict[str, str]:
        """`Retry-After`, `Allow` and the like."""
        if self.retry_after_seconds is None:
            return dict(self.headers)
        return {**self.headers, "Retry-After": str(self.retry_after_seconds)}


class Turned(Exception):
    """Turned away at the door, for a reason that only HTTP has."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def failure_of(error: Exception) -> Failure:
    """The failure that any exception is to the client. What is not known stays without detail."""
    if isinstance(error, Turned):
        return error.failure
    for kind, explain in _EXPLAINED:
        if isinstance(error, kind):
            return explain(error)
    return _silence(error) if is_outage(error) else _bug(error)


def _of_refusal(refusal: Refusal) -> Failure:
    headers = {}
    if refusal.kind == "unauthenticated":
        headers["WWW-Authenticate"] = 'Bearer realm="flint"'
    wait_seconds = refusal.retry_after_seconds
    if refusal.kind == "rate_limited" and refusal.retryable and wait_seconds is None:
        wait_seconds = RETRY_SECONDS  # what is refused for good names no time to come back
    return Failure(
        STATUSES[refusal.kind],
        refusal.code,
        refusal.message,
        param=refusal.param,
        next_actions=refusal.next_actions,
        retryable=refusal.retryable,
        retry_after_seconds=wait_seconds,
        headers=headers,
    )


_AGAIN: Final = "Send the same request again, with the same Idempotency-Key."
_READ: Final = "Without an Idempotency-Key, read the resource before you send it again."


def _silence(_: Exception) -> Failure:
    message = "A part of the system cannot be reached right now."
    return _unavailable(message, _AGAIN)


def _unknown(_: Exception) -> Failure:
    return _unavailable("No answer in time: whether it happened is not known.", _AGAIN, _READ)


def _unavailable(message: str, *next_actions: str) -> Failure:
    return Failure(
        503,
        "SERVICE_UNAVAILABLE",
        message,
        next_actions=next_actions,
        retryable=True,
        retry_after_seconds=RETRY_SECONDS,
    )


def _bug(_: Exception) -> Failure:
    return Failure(500, "INTERNAL_ERROR", "Something went wrong on our side.")


# What aiohttp itself raises: routing, and a body over the limit.


def method_not_allowed(allowed: Sequence[str]) -> Failure:
    """405, naming what is."""
    names = ", ".join(sorted(allowed))
    message = f"This path only understands {names}."
    return Failure(405, "METHOD_NOT_ALLOWED", message, headers={"Allow": names})


def too_large(limit: int) -> Failure:
    """413: the body is bigger than anything we take."""
    message = f"The request body may have at most {limit} bytes."
    return Failure(413, "REQUEST_TOO_LARGE", message, headers={"Connection": "close"})


def unsupported_media(message: str) -> Failure:
    """415."""
    return Failure(415, "UNSUPPORTED_MEDIA_TYPE", message)


def too_slow(seconds: float) -> Failure:
    """408: the body did not arrive."""
    message = f"The request body did not arrive within {seconds:g} seconds."
    return Failure(408, "REQUEST_TIMEOUT", message, headers={"Connection": "close"})


def _of_http(error: web.HTTPException) -> Failure:
    match error:
        case web.HTTPNotFound():
            return Failure(404, "RESOURCE_NOT_FOUND", "There is nothing at this path.")
        case web.HTTPMethodNotAllowed():
            return method_not_allowed(list(error.allowed_methods))
        case web.HTTPRequestEntityTooLarge():
            return Failure(413, "REQUEST_TOO_LARGE", "The request body is too large.")
        case _ if error.status < 500:
            return Failure(400, "INVALID_VALUE", "The request cannot be understood.")
        case _:
            return _bug(error)


# What pydantic says, in our words. The input is never echoed: it may be a card number.


def of_validation(error: ValidationError) -> Failure:
    """The first thing that is wrong with a body or a query string."""
    return of_problem(error.errors(include_url=False)[0])


def of_problem(problem: Mapping[str, Any]) -> Failure:
    """One of pydantic's error records."""
    param = param_of(problem["loc"])
    code, message = _explain(problem["type"], param, problem.get("ctx", {}), problem["input"])
    return Failure(400, code, message, param=param or None)


def param_of(loc: Sequence[int | str]) -> str:
    """`("line_items", 0, "name")` → `line_items[0].name`; keys of maps are cut to 64 characters."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{_printable(part)}" if path else _printable(part)
    return path


def _printable(name: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", name)[:64]


def _explain(kind: str, param: str, ctx: Mapping[str, Any], given: object) -> tuple[str, str]:
    if kind == "missing":
        return "FIELD_REQUIRED", f"The '{param}' field is required."
    if kind == "extra_forbidden":
        return "UNKNOWN_FIELD", f"The '{param}' field is not known."
    if kind == "json_invalid":
        return "INVALID_JSON", "The request body is not valid JSON."
    if kind == "string_pattern_mismatch" and ULID_PATTERN in ctx.get("pattern", ""):
        return "INVALID_ID", f"The '{param}' field is not a valid id."
    subject = f"The '{param}' field" if param else "The request body"
    return "INVALID_VALUE", f"{subject} {_complaint(kind, ctx, given)}"


_COMPLAINTS: Final = {
    "string_type": "has to be a text.",
    "int_type": "has to be a whole number.",
    "int_from_float": "has to be a whole number.",
    "int_parsing": "has to be a whole number.",
    "float_type": "has to be a number.",
    "float_parsing": "has to be a number.",
    "finite_number": "has to be a finite number.",
    "bool_type": "has to be true or false.",
    "bool_parsing": "has to be true or false.",
    "list_type": "has to be a list.",
    "dict_type": "has to be an object.",
    "model_type": "has to be an object.",
    "model_attributes_type": "has to be an object.",
    "datetime_type": "has to be an RFC 3339 time, such as '2026-11-24T06:00:00Z'.",
    "string_too_short": "needs at least {min_length} characters.",
    "string_too_long": "may have at most {max_length} characters.",
    "string_pattern_mismatch": "does not have the expected form.",
    "too_long": "may have at most {max_length} entries.",
    "too_short": "needs at least {min_length} entries.",
    "greater_than_equal": "has to be at least {ge}.",
    "less_than_equal": "has to be at most {le}.",
    "literal_error": "has to be one of {expected}.",
}


def _complaint(kind: str, ctx: Mapping[str, Any], given: object) -> str:
    if kind == "string_pattern_mismatch" and ctx.get("pattern") == NO_CONTROLS:
        return "may not contain control characters."
    if kind in _COMPLAINTS:
        return _COMPLAINTS[kind].format_map(ctx)
    if kind == "value_error":  # Our own validators' words, unless they name what was sent.
        words = str(ctx.get("error", ""))
        is_echo = isinstance(given, str) and given != "" and given in words
        if words and not is_echo:
            return f"is not acceptable: {words}"
    return "does not have an acceptable value."


_EXPLAINED: Final[tuple[tuple[type[Exception], Callable[[Any], Failure]], ...]] = (
    (Refusal, _of_refusal),
    (ValidationError, of_validation),
    (web.HTTPException, _of_http),
    (DeadlineExceeded, _unknown),
    (Unavailable, _silence),
)
