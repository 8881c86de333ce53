"""RabbitMQ's management API: what AMQP cannot do (policies, users) and cannot show (bindings)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from shared.errors import Unavailable

TIMEOUT_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Management:
    """The API, as the user that its address names."""

    http: aiohttp.ClientSession
    base: str

    async def put(self, *path: str, body: Mapping[str, Any]) -> None:
        """Make or replace one object; raises Unavailable with the API's own words."""
        async with self.http.put(self._url(*path), json=body) as answer:
            if answer.status >= 400:
                text = (await answer.text())[:200]
                raise Unavailable(f"{path[0]} {path[-1]}: HTTP {answer.status} {text}")

    async def get(self, *path: str) -> Any:
        """What is there; None if this user may not know. Raises Unavailable otherwise."""
        async with self.http.get(self._url(*path)) as answer:
            if answer.status == 401 and "not_authorised" in await answer.text():
                return None
            if answer.status == 401:
                raise Unavailable("it refuses the user or the password")
            if answer.status >= 400 and path[0] != "health":  # whose answer is the status
                raise Unavailable(f"{path[0]}: HTTP {answer.status}")
            return await answer.json()

    async def delete(self, *path: str) -> None:
        """Remove one object that is there; raises Unavailable with the API's own words."""
        async with self.http.delete(self._url(*path)) as answer:
            if answer.status >= 400:
                text = (await answer.text())[:200]
                raise Unavailable(f"{path[0]} {path[-1]}: HTTP {answer.status} {text}")

    def _url(self, *path: str) -> URL:
        where = "/".join(quote(part, safe="") for part in path)
        return URL(f"{self.base}/api/{where}", encoded=True)


@asynccontextmanager
async def management(url: str) -> AsyncIterator[Management]:
    """The API at an address with user and password in it."""
    base = URL(url)
    headers = {"Authorization": aiohttp.encode_basic_auth(base.user or "", base.password or "")}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as http:
        yield Management(http, str(base.with_user(None)).rstrip("/"))


async def is_cluster(api: Management) -> bool:
    """Whether the broker has more nodes than one, running or not; no, if we may not know."""
    return len(await api.get("nodes") or []) > 1
