"""What buyers do, and how it is timed: alone for latency, many at once for throughput."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from services.gateway import resolution
from services.gateway.pages.guard import form_token
from tests.bench.client import Connection, connect
from tests.support.shops import Shop

SETTLE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Stall:
    """A shop as the buyers see it."""

    shop: Shop
    port: int
    secret_key: str
    slug: str
    link_id: str

    def context(self) -> str:
        """A page that somebody opened: signed here, so that resolving alone is measured."""
        return resolution.issue(self.secret_key, self.link_id, 1, datetime.now(UTC))


def stall_of(shop: Shop) -> Stall:
    """Where the buyers go, and the key that signs their pages."""
    link = shop.demo["links"]["standard"]
    secret = shop.env.get("FLINT_SECRET_KEY")
    if secret is None:
        secret = (shop.folder / "data" / "secret_key").read_text().strip()
    port = urlsplit(shop.url).port
    assert port is not None, "a shop's address has its port"
    return Stall(shop, port, secret, link["url"].rpartition("/")[2], link["payment_link_id"])


async def resolve(line: Connection, stall: Stall) -> str:
    """Press the button on the link's page; the id of the session."""
    fields = {"resolution_context": stall.context(), "quantity.tin": "1"}
    answer = await line.post_form(f"/l/{stall.slug}", fields)
    assert answer.status == 303, (answer.status, answer.body[:300])
    return answer.headers["location"].removeprefix("/c/")


async def open_checkout(line: Connection, session_id: str) -> None:
    """The first checkout page."""
    answer = await line.get(f"/c/{session_id}")
    assert answer.status == 200, (answer.status, answer.body[:300])


async def pay(line: Connection, stall: Stall, session_id: str) -> None:
    """Press pay with the card that pays."""
    fields = {
        "form_token": form_token(stall.secret_key, session_id),
        "action": "pay",
        "email": "buyer@example.com",
        "card_number": "4242424242424242",
        "card_exp": "12 / 40",
        "card_cvc": "123",
        "card_name": "A Buyer",
        "expected_amount": "1200",
        "expected_currency": "USD",
    }
    answer = await line.post_form(f"/c/{session_id}/pay", fields)
    assert answer.status == 303, (answer.status, answer.body[-2000:])


async def times_of(count: int, step: Callable[[], Awaitable[object]]) -> list[float]:
    """Milliseconds of each, one after the other."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await step()
        times.append((time.perf_counter() - began) * 1000)
    return times


async def rate_of(
    stall: Stall,
    count: int,
    clients: int,
    buy: Callable[[Connection], Awaitable[None]],
    is_durable: Callable[[], Awaitable[bool]],
) -> float:
    """How many a second, until the last one is durable everywhere."""
    left = iter(range(count))

    async def client() -> None:
        async with connect(stall.port) as line:
            for _ in left:
                await buy(line)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    deadline = time.perf_counter() + SETTLE_SECONDS
    while not await is_durable():
        assert time.perf_counter() < deadline, "what was accepted never became durable"
        await asyncio.sleep(0.01)
    return count / (time.perf_counter() - began)


class Tables:
    """Counts rows in two services' databases: what is there is durable."""

    def __init__(self, sessions: asyncpg.Pool, orders: asyncpg.Pool) -> None:
        self._sessions = sessions
        self._orders = orders

    async def made(self) -> int:
        """Checkouts of which both the session and the order are there."""
        sessions = await self._sessions.fetchval("SELECT count(*) FROM sessions")
        orders = await self._orders.fetchval("SELECT count(*) FROM orders")
        return int(min(sessions, orders))

    async def paid(self) -> int:
        """Orders that are paid."""
        sql = "SELECT count(*) FROM orders WHERE paid_attempt_id IS NOT NULL"
        return int(await self._orders.fetchval(sql))
