"""HTTP servers: bounds that aiohttp does not set by itself, and a clean end."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from services.gateway.app import create_app
from services.gateway.gateway import Gateway
from services.rooms import all_rooms

KEEPALIVE_SECONDS: Final = 75.0  # longer than a proxy's 60; aiohttp's own default is an hour
SHUTDOWN_SECONDS: Final = 10.0
BACKLOG: Final = 1024


class PortTaken(Exception):
    """One line: the port, and what to do."""


@asynccontextmanager
async def serving(gateway: Gateway, host: str, port: int) -> AsyncIterator[int]:
    """Serve the gateway until the block ends. Yields the real port."""
    app = create_app(gateway, all_rooms())
    async with listening(app, host, port, setting="FLINT_PORT") as real_port:
        yield real_port


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, setting: str
) -> AsyncIterator[int]:
    """Serve until the block ends, then let running requests finish. Yields the real port.

    `setting` names the variable that chose the port. Raises PortTaken.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise _explained(error, host, port, setting) from error
        yield _real_port(site, port)
    finally:
        await runner.cleanup()


def _explained(error: OSError, host: str, port: int, setting: str) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"Port {port} is taken by another program: stop it, or set {setting} to a free one."
        )
    return PortTaken(f"Cannot listen on {host}:{port}: {error.strerror}.")


def _real_port(site: web.TCPSite, port: int) -> int:
    server = site._server
    sockets = getattr(server, "sockets", None)
    return int(sockets[0].getsockname()[1]) if sockets else port
