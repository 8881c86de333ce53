"""Who looks at a page: a person's browser, or a program that only fetches it.

A hint for counting, never a wall: programs that scan mails look exactly like browsers and run
scripts. That is why opening a link writes nothing, whoever opens it, and only a form's post, which
takes a gesture, makes a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from crawlerdetect import CrawlerDetect

AGENT_MAX: Final = 512  # characters looked at: no browser's name is longer
# What a browser says when it fetches a page that nobody has asked for yet, and in which header.
AHEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "Sec-Purpose": ("prefetch", "prerender"),
    "Purpose": ("prefetch", "preview"),
    "X-Purpose": ("preview", "instant"),
    "X-Moz": ("prefetch",),
}
_KNOWN: Final = (
    CrawlerDetect()
)  # remembers the last thousand names, so a browser's is looked up once


def is_automatic(request: web.BaseRequest) -> bool:
    """Whether nobody looks at the answer: HEAD, a page fetched ahead, a program that says so."""
    if request.method == "HEAD" or is_ahead(request.headers):
        return True
    return is_program(request.headers.get("User-Agent", ""))


def is_ahead(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetches the page before, or without, showing it to anybody."""
    return any(
        word in headers.get(name, "").lower() for name, words in AHEAD.items() for word in words
    )


def is_program(agent: str) -> bool:
    """Whether this is the name of a preview bot, crawler, scanner or library; browsers have one."""
    name = agent[:AGENT_MAX].strip()
    return not name or _KNOWN.is_crawler(name)
