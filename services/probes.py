"""The internal door of a process: `/livez`, `/readyz`, `/metrics`, for who starts and watches it.

It opens before anything else does, so that a process which waits for its database says so instead
of being silent. It is never published, and it knows neither buyers nor keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import orjson
import structlog
from aiohttp import web

from services.exposition import Exposition
from services.web import listening
from shared import clock

log = structlog.get_logger("flint.process")
Checks = Mapping[str, bool]
Check = Callable[[], Awaitable[Checks]]
NOT_STARTED: Final[Checks] = {
    "migrations": False,
    "database": False,
    "broker": False,
    "relay": False,
}


class Readiness:
    """What `/readyz` says of each service; one that waits for its database is not ready yet."""

    def __init__(self, roles: Iterable[str], stop: asyncio.Event) -> None:
        self._checks: dict[str, Check | None] = dict.fromkeys(roles)
        self._stop = stop

    def started(self, role: str, check: Check) -> None:
        """From now on the service speaks for itself; its database is migrated."""
        self._checks[role] = check

    async def of(self, role: str) -> Checks:
        """Every value true when the service can work, and goes on working."""
        check = self._checks[role]
        found = NOT_STARTED if check is None else {"migrations": True, **await check()}
        return {**found, "accepting": not self._stop.is_set()}

    async def all(self) -> Mapping[str, Checks]:
        """The checks of every service in this process."""
        return {role: await self.of(role) for role in self._checks}


@asynccontextmanager
async def internal_door(readiness: Readiness, host: str, port: int | None) -> AsyncIterator[None]:
    """Open until the block ends; without a port there is none. Raises PortTaken."""
    if port is None:
        yield
        return
    app = web.Application()
    app[READINESS] = readiness
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", Exposition().answer)
    async with listening(app, host, port, setting="FLINT_INTERNAL_PORT") as real_port:
        log.info("internal.listening", host=host, port=real_port)
        yield


READINESS: Final[web.AppKey[Readiness]] = web.AppKey("readiness", Readiness)


async def live(_: web.Request) -> web.Response:
    """The event loop turns; nothing else is asked."""
    return _answer(200, {"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """200 when every service of this process can work; else 503, and which check says no."""
    checks = await request.app[READINESS].all()
    is_ready = all(all(found.values()) for found in checks.values())
    status = "ok" if is_ready else "unavailable"
    body: dict[str, object] = {"status": status, "checks": checks}
    if words := clock.warning():  # it works all the same, on the database's time
        body["warnings"] = [words]
    return _answer(200 if is_ready else 503, body)


def _answer(status: int, body: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
