"""The gateway's application: every route of the installation on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import orjson
from aiohttp import web

from services.gateway.api import (
    asyncapi,
    checkout_sessions,
    link_addresses,
    link_stats,
    openapi,
    orders,
    payment_links,
    subscription_plans,
)
from services.gateway.api.operation import Operation, served
from services.gateway.body import BODY_MAX
from services.gateway.door import door, dress, json_answer
from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages.routes import add_pages
from services.gateway.reference import docs
from shared.bus.room import Room

LAST_VISITS_SECONDS: Final = 3.0
OPERATIONS: Final[tuple[Operation, ...]] = (
    *payment_links.OPERATIONS,
    *link_addresses.OPERATIONS,
    *link_stats.OPERATIONS,
    *checkout_sessions.OPERATIONS,
    *orders.OPERATIONS,
    *subscription_plans.OPERATIONS,
)


def create_app(gateway: Gateway, rooms: Sequence[Room] = ()) -> web.Application:
    """The application, ready to be run with `access_log=None`: the door writes its own line.

    `rooms` are all of the installation's, for the document of who hears which event.
    """
    app = web.Application(middlewares=[door], client_max_size=BODY_MAX)
    app[GATEWAY] = gateway
    app.on_response_prepare.append(dress)
    router = app.router
    router.add_route("GET", "/livez", live)
    router.add_route("GET", "/readyz", ready)
    for operation in OPERATIONS:  # add_route, not add_get: HEAD is not ours to allow.
        router.add_route(operation.method, operation.path, served(operation))
    router.add_route("GET", "/v1/openapi.json", openapi.serving(OPERATIONS))
    router.add_route("GET", "/v1/asyncapi.json", asyncapi.serving(rooms))
    router.add_route("GET", "/docs", docs.serving(OPERATIONS))
    add_pages(app, gateway)
    app.cleanup_ctx.append(_keeping_visits)
    return app


async def _keeping_visits(app: web.Application) -> AsyncIterator[None]:
    """Views are kept in the background, and the last of them when the process stops."""
    visits = app[GATEWAY].visits
    task = asyncio.create_task(visits.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(LAST_VISITS_SECONDS):
        await visits.keep()


async def live(_: web.Request) -> web.Response:
    """The process answers; it depends on nothing."""
    return json_answer(b'{"status":"ok"}')


async def ready(request: web.Request) -> web.Response:
    """Whether it can serve: 503 while anything it needs is away, or while it drains."""
    checks = dict(await request.app[GATEWAY].health())
    is_ready = all(checks.values())
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return json_answer(orjson.dumps(body), 200 if is_ready else 503)
