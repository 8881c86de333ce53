"""Which locale writes the numbers: asked for by name, remembered, or the browser's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from aiohttp import web

from services.gateway.pages.render import known_locale

COOKIE: Final = "flint_locale"
DEFAULT: Final = "en"
HEADER_MAX: Final = 200  # characters looked at; nobody reads more languages than that
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")


def locale_of(request: web.Request) -> str:
    """The locale for this page; what is not known counts as not said."""
    asked = (request.query.get("locale"), request.cookies.get(COOKIE))
    named = [known for tag in asked if (known := known_tag(tag))]
    return named[0] if named else accepted(request.headers.get("Accept-Language", ""))


def known_tag(tag: str | None) -> str | None:
    """The locale behind a tag such as `de-CH`; None when there is none."""
    if not tag or not _TAG.fullmatch(tag):
        return None
    known = known_locale(tag)
    return known if known != DEFAULT or tag.lower().startswith("en") else None


def accepted(header: str) -> str:
    """The first language of an Accept-Language header that we can write numbers in."""
    by_wish = sorted(_wishes(header[:HEADER_MAX]), key=lambda wish: -wish[0])
    known = (known_tag(tag) for wish, tag in by_wish if wish > 0)
    return next((found for found in known if found), DEFAULT)


def _wishes(header: str) -> Iterator[tuple[float, str]]:
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            yield float(quality or 1), tag.strip()
        except ValueError:
            continue
