"""Just enough of a browser for the buyer pages over plain HTTP: cookies and forms, no script."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from tests.support.selling import a_session
from tests.support.shops import Shop

CARD: Final = {"card_number": "4242424242424242", "card_exp": "12/30", "card_cvc": "123"}
PAYER: Final = {"email": "ada@example.com", "card_name": "Ada Lovelace", **CARD}


@dataclass(frozen=True)
class Answer:
    """One answer, its redirect not followed."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def field(self, name: str) -> str:
        """What a field of the page's form holds."""
        found = re.search(rf'name="{re.escape(name)}"[^>]*?value="([^"]*)"', self.text)
        assert found, f"no field {name} in {self.text[:2000]}"
        return html.unescape(found[1])

    def sees(self, words: str) -> bool:
        return words in re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", self.text)))


class Browser:
    """Just enough of one: cookies, forms, no script."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        target = path if path.startswith("http") else self._url + path
        return await self._ask(method, target, headers=named(headers))

    async def post(self, path: str, form: Any, **headers: str) -> Answer:
        target = path if path.startswith("http") else self._url + path
        return await self._ask("POST", target, data=form, headers=named(headers))

    async def _ask(self, method: str, target: str, **options: Any) -> Answer:
        async with self._http.request(method, target, allow_redirects=False, **options) as answer:
            text = (await answer.read()).decode(errors="replace")
            return Answer(answer.status, text, answer.headers)


def named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def a_browser(shop: Shop) -> AsyncIterator[Browser]:
    """One with an empty cookie jar."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(http, shop.url)


async def checkout(shop: Shop, browser: Browser, **params: Any) -> tuple[str, Answer]:
    """A fresh session's path, and its page."""
    made = await a_session(shop, **params)
    path = f"/c/{made['checkout_session_id']}"
    return path, await browser.get(path)


def filled(page: Answer, **changes: str) -> dict[str, str]:
    """The page's payment form, filled in well unless said otherwise."""
    hidden = ("form_token", "expected_amount", "expected_currency", "order_revision")
    return {name: page.field(name) for name in hidden} | PAYER | {"action": "pay"} | changes


async def settled(browser: Browser, path: str) -> dict[str, str]:
    """The session's status once nothing is under way, by the JSON that scripts may ask for."""
    while True:
        answer = await browser.get(f"{path}/status", Accept="application/json")
        news: dict[str, str] = json.loads(answer.text)
        if news["status"] != "processing":
            return news
        await asyncio.sleep(0.05)
