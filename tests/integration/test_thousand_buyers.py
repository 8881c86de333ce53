"""A thousand people pay at once for the last ten tickets: ten have them, nobody else is charged."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from services.gateway import resolution
from tests.support.rigs import eventually
from tests.support.selling import ask
from tests.support.shops import Shop

BUYERS: Final = 1_000
LINES: Final = 50  # connections of all buyers together
SETTLE_SECONDS: Final = 60.0
ANSWER: Final = aiohttp.ClientTimeout(total=90)  # of the last in a line of a thousand
GALA: Final[dict[str, Any]] = {
    "name": "Gala",
    "mode": "event",
    "line_items": [
        {"key": key, "name": key, "max_total_quantity": most, "amount_money": price}
        for key, most, price in (
            ("floor", 6, {"amount": 2500, "currency": "USD"}),
            ("balcony", 4, {"amount": 4000, "currency": "USD"}),
        )
    ],
    "event_config": {"ticket_prefix": "GALA"},
}
SETTLED: Final = """
    SELECT NOT EXISTS (SELECT 1 FROM payment_intents
                       WHERE payment_link_id = $1 AND next_action_at IS NOT NULL)
"""


class Crowd:
    """A thousand buyers of one link, each with a page of their own open already."""

    def __init__(self, shop: Shop, link: dict[str, Any]) -> None:
        self.shop = shop
        self.link = link
        self.order_ids: list[str] = []
        self.answers: Counter[str] = Counter()

    async def choose(self, http: aiohttp.ClientSession, number: int) -> None:
        """Take one ticket of either tier; the checkout opens."""
        secret, link_id = self.shop.env["FLINT_SECRET_KEY"], self.link["payment_link_id"]
        tier = "floor" if number % 2 else "balcony"
        fields = {
            "resolution_context": resolution.issue(secret, link_id, 1, datetime.now(UTC)),
            "quantity.floor": str(int(tier == "floor")),
            "quantity.balcony": str(int(tier == "balcony")),
        }
        path, headers = urlsplit(self.link["url"]).path, {"Sec-Fetch-Site": "same-origin"}
        async with http.post(path, data=fields, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303, (answer.status, await answer.text())
            self.order_ids.append(answer.headers["Location"].replace("/c/cs_", "ord_"))

    async def pay(self, http: aiohttp.ClientSession, number: int) -> None:
        """Pay with a card that works; what the buyer is told."""
        path, body = (
            f"/v1/orders/{self.order_ids[number]}/pay",
            {"payment_source_token": "tok_visa"},
        )
        async with http.post(path, json=body) as answer:
            told = await answer.json()
            paid = "paid" if told.get("data", {}).get("status") == "paid" else "under way"
            self.answers[told["error"]["code"] if "error" in told else paid] += 1

    async def all_at_once(
        self, step: Callable[[aiohttp.ClientSession, int], Coroutine[Any, Any, None]]
    ) -> None:
        """Everybody's step; the sockets are bounded, the impatience is not."""
        headers = {"Authorization": f"Bearer {self.shop.api_key}"}
        async with aiohttp.ClientSession(
            self.shop.url,
            headers=headers,
            timeout=ANSWER,
            connector=aiohttp.TCPConnector(limit=LINES),
        ) as http:
            await asyncio.gather(*(step(http, number) for number in range(BUYERS)))


@asynccontextmanager
async def books(shop: Shop, name: str) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(shop.database_url(name), timeout=10)
    try:
        yield db
    finally:
        await db.close()


async def until(db: asyncpg.Connection, sql: str, *args: Any) -> None:
    async def is_so() -> bool:
        return bool(await db.fetchval(sql, *args))

    await eventually(is_so, SETTLE_SECONDS)


@pytest.mark.timeout(180)
async def test_of_a_thousand_buyers_at_once_ten_have_the_ten_tickets(rabbit_shop: Shop) -> None:
    shop, link = rabbit_shop, await ask(rabbit_shop, "POST", "/v1/payment-links", GALA)
    crowd, link_id = Crowd(shop, link), link["payment_link_id"]

    await crowd.all_at_once(crowd.choose)
    async with books(shop, "orders") as db:
        there = "SELECT count(*) = $2 FROM orders WHERE payment_link_id = $1"
        await until(db, there, link_id, BUYERS)
        await crowd.all_at_once(crowd.pay)
        await until(db, SETTLED, link_id)
        ends = await db.fetch(
            "SELECT status, failure_code, count(*) FROM payment_intents"
            " WHERE payment_link_id = $1 GROUP BY status, failure_code",
            link_id,
        )
        sql = "SELECT tickets FROM orders WHERE payment_link_id = $1 AND status = 'paid'"
        tickets = [json.loads(row["tickets"]) for row in await db.fetch(sql, link_id)]

    assert {tuple(row.values()) for row in ends} == {
        ("succeeded", None, 10),
        ("canceled", "EVENT_SOLD_OUT", BUYERS - 10),
    }
    assert sorted(one["code"] for of_order in tickets for one in of_order) == [
        f"GALA-{number:06d}" for number in range(1, 11)
    ]
    undecided = crowd.answers["under way"]  # told so after ten seconds, and by the page later
    assert crowd.answers["paid"] <= 10
    assert set(crowd.answers) <= {"paid", "EVENT_SOLD_OUT", "under way"}
    assert crowd.answers["paid"] + crowd.answers["EVENT_SOLD_OUT"] + undecided == BUYERS
    await nobody_else_was_charged(shop, crowd.order_ids)
    await nothing_is_held(shop, link_id)
    await shop.audit()


async def nobody_else_was_charged(shop: Shop, order_ids: list[str]) -> None:
    async with books(shop, "orders") as db:
        sql = "SELECT id FROM payment_intents WHERE order_id = ANY($1)"
        attempts = [row["id"] for row in await db.fetch(sql, order_ids)]
    async with books(shop, "sandbox") as db:
        sql = "SELECT kind, count(*) FROM sandbox_ledger WHERE attempt_id = ANY($1) GROUP BY kind"
        ledger = {row["kind"]: row["count"] for row in await db.fetch(sql, attempts)}
    assert ledger == {"authorize": BUYERS, "capture": 10, "void": BUYERS - 10}


async def nothing_is_held(shop: Shop, link_id: str) -> None:
    sold = "SELECT completed_count = 10 FROM links WHERE payment_link_id = $1"
    async with books(shop, "links") as db:
        await until(db, sold, link_id)
        row = await db.fetchrow("SELECT * FROM links WHERE payment_link_id = $1", link_id)
        states = await db.fetch(
            "SELECT state, count(*) FROM claims WHERE payment_link_id = $1 GROUP BY state", link_id
        )
    assert row is not None
    assert (row["claimed_count"], row["claimed_quantity"], row["total_quantity_sold"]) == (0, 0, 10)
    found = {row["state"]: row["count"] for row in states}
    assert found == {"final": 10, "refused": BUYERS - 10}
    assert json.loads(row["tiers_sold"]) == {"floor": 6, "balcony": 4}
    public = await ask(shop, "GET", f"/v1/payment-links/{link_id}/public")
    assert (public["is_sold_out"], public["unavailable_reason"]) == (True, "EVENT_SOLD_OUT")
