"""The door every request passes: a request id, one place for failures, headers, one log line.

Inside, handlers raise; here it becomes an answer. API paths answer with the error envelope;
other paths with a page, if a `PAGE_ERRORS` renderer is set.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from services.gateway.errors import Failure, failure_of
from services.gateway.gateway import GATEWAY
from shared.ids import new_id

log = structlog.get_logger("flint.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageErrors = Callable[[web.Request, Failure], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
MERCHANT_ID: Final = web.RequestKey("merchant_id", str)
IS_BEGUN: Final = web.RequestKey("is_begun", bool)
# Set by the pages: how a failure looks to a person.
PAGE_ERRORS: Final[web.AppKey[PageErrors]] = web.AppKey("page_errors")

API_PREFIX: Final = "/v1/"
QUIET: Final = ("/livez", "/readyz", "/static/")
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# What an answer has unless its handler says otherwise: pages set their own policy.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    # Nothing here is for search engines: a link is found by whom it was given to.
    "X-Robots-Tag": "noindex, nofollow",
}
HSTS: Final = "max-age=31536000; includeSubDomains"


@web.middleware
async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, run it, answer whatever happens, and write one line about it."""
    started = time.perf_counter()
    request_id = request[REQUEST_ID] = _request_id(request)
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            answer = await handler(request)
        except web.HTTPRedirection as error:
            _note(request, error.status, started)
            raise
        except Exception as error:
            answer = await _fail(request, error)
        _note(request, answer.status, started)
    return answer


async def dress(request: web.Request, answer: web.StreamResponse) -> None:
    """Headers of every answer, streams included: runs just before the first byte."""
    request[IS_BEGUN] = True
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("X-Request-Id", request.get(REQUEST_ID) or "")
    answer.headers["Server"] = "flint"  # aiohttp would name itself and its version
    if request.app[GATEWAY].public_url.startswith("https://"):
        answer.headers.setdefault("Strict-Transport-Security", HSTS)


def is_api(request: web.Request) -> bool:
    """Whether a program asks, rather than a person's browser."""
    return request.path.startswith(API_PREFIX)


def json_answer(body: bytes, status: int = 200) -> web.Response:
    """An answer whose JSON is already written."""
    return web.Response(body=body, status=status, content_type="application/json")


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _SAFE_ID.fullmatch(given) else new_id("req")


async def _fail(request: web.Request, error: Exception) -> web.StreamResponse:
    failure = failure_of(error)
    if failure.status == 500:
        _report(error)
    if request.get(IS_BEGUN):  # A stream broke: a second answer would be garbage inside it.
        raise error
    render = request.app.get(PAGE_ERRORS)
    if render is not None and not is_api(request):
        answer = await render(request, failure)
    else:
        answer = json_answer(failure.to_json(request[REQUEST_ID]), failure.status)
    answer.headers.update(failure.to_headers())
    return answer


def _report(error: Exception) -> None:
    """Where it broke and what kind of thing it was: a database's own words echo rows."""
    words = "" if hasattr(error, "sqlstate") else str(error)[:300]
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    log.error(
        "http.bug",
        kind=type(error).__name__,
        reason=words,
        frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )


def _note(request: web.Request, status: int, started: float) -> None:
    if status < 400 and request.path.startswith(QUIET):
        return
    resource = request.match_info.route.resource
    facts: dict[str, Any] = {
        "method": request.method,
        "route": resource.canonical if resource else "unmatched",
        "status": status,
        "took_ms": round((time.perf_counter() - started) * 1000, 1),
        "merchant_id": request.get(MERCHANT_ID, ""),
    }
    log.info("http.request", **facts)
