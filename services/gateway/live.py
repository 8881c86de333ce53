"""`/c/{checkout_session_id}/status`: a buyer's page hears when there is somewhere to go.

Server-sent events, or one JSON answer for who asks for JSON. A stream looks again when the hub
rings and once a second anyway, so a lost hint costs a second and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import orjson
from aiohttp import ClientConnectionResetError, web
from aiohttp_sse import EventSourceResponse, sse_response

from services.gateway.door import json_answer
from services.gateway.errors import Failure, Turned
from services.gateway.gateway import GATEWAY
from services.gateway.pages.answer import context_of, own_path
from services.gateway.pages.seeing import id_of, show_session
from shared.errors import Unavailable, not_found

STREAMS_MAX: Final = 2_000  # of one process
STREAM_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
HEADERS: Final = {"X-Content-Type-Options": "nosniff"}

News = dict[str, str]


class Streams:
    """How many are open, and whether they have to end."""

    def __init__(self, streams_max: int = STREAMS_MAX) -> None:
        self._open = 0
        self._max = streams_max
        self.is_ending = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one stream. Turns away the one too many: its page asks again by itself."""
        if self._open >= self._max or self.is_ending:
            message = "Too many pages are waiting right now."
            raise Turned(Failure(503, "SERVICE_UNAVAILABLE", message, retry_after_seconds=2))
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


STREAMS: Final[web.AppKey[Streams]] = web.AppKey("streams", Streams)


async def status(request: web.Request) -> web.StreamResponse:
    """The session's status now and whenever it changes, until it is decided or ten minutes."""
    news = await _news(request)
    if "application/json" in request.headers.get("Accept", ""):
        return json_answer(orjson.dumps(news))
    with request.app[STREAMS].place():
        opened = sse_response(request, headers=HEADERS, ping_interval=HEARTBEAT_SECONDS)
        async with opened as stream:
            with suppress(ConnectionResetError, ClientConnectionResetError):  # The buyer left.
                await _tell(request, stream, news)
        return stream


async def end_streams(app: web.Application) -> None:
    """Let every stream end within a look, so that the process can stop."""
    app[STREAMS].is_ending = True


async def _tell(request: web.Request, stream: EventSourceResponse, news: News) -> None:
    streams, hub = request.app[STREAMS], request.app[GATEWAY].hub
    deadline = time.monotonic() + STREAM_SECONDS
    with hub.listen(id_of(request)) as bell:
        await stream.send(orjson.dumps(news).decode(), event="status")
        while news["status"] == "processing" and time.monotonic() < deadline:
            await bell.wait(LOOK_SECONDS)
            if streams.is_ending or not stream.is_connected() or request.transport is None:
                return
            fresh = await _fresh_news(request, news)
            if fresh != news:
                await stream.send(orjson.dumps(fresh).decode(), event="status")
            news = fresh


async def _fresh_news(request: web.Request, last: News) -> News:
    try:
        return await _news(request)
    except Unavailable:  # A page that waits goes on waiting.
        return last


async def _news(request: web.Request) -> News:
    """`status` for the script, and where to go, if anywhere but to wait.

    A buyer who is back from the bank (`returned`) is not sent there again.
    """
    checkout_session_id = id_of(request)
    gateway, path = request.app[GATEWAY], f"/c/{checkout_session_id}"
    shown = await show_session(gateway, checkout_session_id, context_of(request))
    if shown is None:
        raise not_found("checkout session")
    session, attempt = shown.checkout_session, shown.attempt
    if session.status == "paid":
        return {"status": "paid", "next": f"{path}/receipt"}
    if session.status != "open" or attempt is None:
        return {"status": session.status, "next": path}
    is_back = "returned" in request.query
    if attempt.status == "requires_action" and attempt.redirect_url and not is_back:
        url = attempt.redirect_url
        return {"status": "requires_action", "next": own_path(gateway, url) or url}
    if attempt.status == "failed":
        return {"status": "failed", "next": path}
    return {"status": "processing", "next": ""}
