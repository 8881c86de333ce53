"""What belongs to no merchant: the home page, style and script files, robots, failures."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from services.gateway.door import REQUEST_ID
from services.gateway.errors import Failure
from services.gateway.gateway import GATEWAY
from services.gateway.pages import views
from services.gateway.pages.answer import page
from services.gateway.pages.render import ASSETS, STATIC

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER: Final = "public, max-age=31536000, immutable"
FOR_A_MINUTE: Final = "public, max-age=60"
# Pages may be fetched, or previews would be empty and nobody would read that each says `noindex`.
ROBOTS: Final = "User-agent: *\nDisallow: /sandbox/\nDisallow: /v1/\n"
# What an error page has words for; other statuses of the asker's own making read as 400.
WORDED: Final = frozenset({400, 403, 404, 410, 429, 500, 503})


@dataclass(frozen=True, slots=True)
class File:
    """One static file, read and packed once."""

    body: bytes
    packed: bytes
    content_type: str
    version: str


def _read(name: str) -> File:
    path = STATIC / name
    body = path.read_bytes()
    return File(body, gzip.compress(body, 9), TYPES[path.suffix], ASSETS[name].version)


FILES: Final = {name: _read(name) for name in ASSETS}


async def home(request: web.Request) -> web.Response:
    """That the installation runs, and what to try first."""
    gateway = request.app[GATEWAY]
    home_page = views.HomePage(gateway.public_url, gateway.demo_links, version=gateway.version)
    return page(request, home_page)


async def static(request: web.Request) -> web.Response:
    """A file by name. Its version stands in the address, so that browsers may keep it for ever."""
    file = FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_named = request.query.get("v") == file.version
    return _answer(request, file, FOR_EVER if is_named else FOR_A_MINUTE)


async def favicon(request: web.Request) -> web.Response:
    """For browsers that ask without having read the page."""
    return _answer(request, FILES["favicon.svg"], FOR_A_MINUTE)


async def robots(_: web.Request) -> web.Response:
    """What crawlers may fetch; that they keep nothing of it is in each answer's X-Robots-Tag."""
    return web.Response(text=ROBOTS)


async def page_failure(request: web.Request, failure: Failure) -> web.Response:
    """How a failure looks to a person."""
    status = failure.status
    worded = status if status in WORDED else (400 if status < 500 else 500)
    view = views.ErrorPage(
        status=worded,
        request_id=request.get(REQUEST_ID) or "",
        retry_after_seconds=failure.retry_after_seconds if status in (429, 503) else None,
    )
    return page(request, view, status=status)


def _answer(request: web.Request, file: File, caching: str) -> web.Response:
    headers = {
        "Content-Type": file.content_type,
        "Cache-Control": caching,
        "Vary": "Accept-Encoding",
    }
    is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=file.packed if is_packed else file.body, headers=headers)
