"""A buyer whose browser only follows links and posts our forms back, over lines that may break."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from tests.support.shops import Shop

PAYS: Final = "4242424242424242"
DECLINES: Final = "4000000000000002"
TAKES_TIME: Final = "4000000000000077"  # five seconds
HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
LOST: Final = (aiohttp.ClientError, OSError, TimeoutError)  # no answer: nobody knows


@dataclass(frozen=True)
class Page:
    """What the browser shows."""

    status: int
    path: str
    text: str

    @property
    def hidden(self) -> dict[str, str]:
        """The fields that a form brings along."""
        return {name: html.unescape(value) for name, value in HIDDEN.findall(self.text)}


@dataclass
class Buyer:
    """One browser."""

    http: aiohttp.ClientSession
    form: dict[str, str] = field(default_factory=dict)  # as it was last filled in, to post again

    async def look(self, path: str) -> Page:
        """Go to a page."""
        async with self.http.get(path) as answer:
            return Page(answer.status, answer.url.path, await answer.text())

    async def post(self, path: str, fields: Mapping[str, str]) -> Page:
        """Send a form, and go where it leads."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with self.http.post(path, data=fields, headers=headers) as answer:
            return Page(answer.status, answer.url.path, await answer.text())

    async def look_at_link(self, link_url: str) -> Page:
        """A link's page, and nothing chosen."""
        return await self.look(path_of(link_url))

    async def choose(self, link_url: str) -> str:
        """Open a link and go on to its checkout; the session's id."""
        page = await self.post(path_of(link_url), (await self.look_at_link(link_url)).hidden)
        assert page.path.startswith("/c/cs_"), (page.status, page.path)
        return page.path.removeprefix("/c/")

    async def fill_in(self, session_id: str, card: str = PAYS) -> None:
        """Everything that the checkout asks for; nothing is sent."""
        page = await self.look(f"/c/{session_id}")
        assert "form_token" in page.hidden, page.text
        typed = {"email": "ada@example.com", "card_name": "Ada Lovelace", "action": "pay"}
        typed |= {"card_number": card, "card_exp": "12 / 40", "card_cvc": "123"}
        self.form = page.hidden | typed

    async def press_pay(self, session_id: str) -> Page:
        """Send the form as it was filled in, once more if it was sent before."""
        return await self.post(f"/c/{session_id}/pay", self.form)


def path_of(link_url: str) -> str:
    """A link's page, whoever serves it."""
    return urlsplit(link_url).path


def order_of(session_id: str) -> str:
    """The order of a session that was opened through a link: they share their ULID."""
    return session_id.replace("cs_", "ord_")


@asynccontextmanager
async def a_buyer(shop: Shop) -> AsyncIterator[Buyer]:
    """A fresh browser; a line of its own for each request, so that none is half dead."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(
        shop.url,
        timeout=timeout,
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        connector=aiohttp.TCPConnector(force_close=True),
    ) as http:
        yield Buyer(http)
