"""The door every request passes: a request id, one place for failures, headers, one log line.

Inside, handlers raise; here it becomes an answer. API paths answer with the error envelope;
other paths with a page, if a `PAGE_ERRORS` renderer is set.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import structlog
from aiohttp import web

from services.gateway.errors import Failure, failure_of
from services.gateway.gateway import GATEWAY
from shared.failures import describe, frames
from shared.ids import new_id
from shared.telemetry import metrics, scope, tracing
from shared.telemetry.tracing import Span

log = structlog.get_logger("flint.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageErrors = Callable[[web.Request, Failure], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
TRACEPARENT: Final = web.RequestKey("traceparent", str)
MERCHANT_ID: Final = web.RequestKey("merchant_id", str)
IS_BEGUN: Final = web.RequestKey("is_begun", bool)
# Set by the pages: how a failure looks to a person.
PAGE_ERRORS: Final[web.AppKey[PageErrors]] = web.AppKey("page_errors")

API_PREFIX: Final = "/v1/"
QUIET: Final = ("/livez", "/readyz", "/static/")
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
    traceparent = scope.continued(request.headers.get("traceparent", ""))
    with scope.within(scope.Scope(request_id, traceparent)), _span(request) as span:
        request[TRACEPARENT] = span.traceparent or traceparent
        try:
            answer = await handler(request)
        except web.HTTPRedirection as error:
            _note(request, error.status, started, span)
            raise
        except Exception as error:
            answer = await _fail(request, error)
        _note(request, answer.status, started, span)
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
    """The caller's own, unless it is a secret by its looks: it is kept with every event."""
    given = request.headers.get("X-Request-Id", "")
    return given if scope.is_request_id(given) else new_id("req")


def _span(request: web.Request) -> AbstractContextManager[Span]:
    """Named by its route: paths and query strings may hold what is nobody's business."""
    method, route = request.method, route_of(request)
    return tracing.span(
        f"{method} {route}", "server", http__request__method=method, http__route=route
    )


def route_of(request: web.Request) -> str:
    """The route's template: `/c/{checkout_session_id}`, never the path."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unmatched"


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
    """Where it broke and what kind of thing it was, without the values it is about."""
    kind = type(error).__name__
    log.error("http.bug", kind=kind, reason=describe(error), frames=frames(error))


def _note(request: web.Request, status: int, started: float, span: Span) -> None:
    route, took_seconds = route_of(request), time.perf_counter() - started
    metrics.requested(request.method, route, status, took_seconds)
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))
    if status < 400 and request.path.startswith(QUIET):
        return
    facts: dict[str, Any] = {
        "method": request.method,
        "route": route,
        "status": status,
        "took_ms": round(took_seconds * 1000, 1),
        "merchant_id": request.get(MERCHANT_ID, ""),
    }
    log.info("http.request", **facts)
