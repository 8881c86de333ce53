"""Many buyers at once over the API, what each of them was told, and whether it was the truth."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import aiohttp

from tests.faults.buyers import LOST
from tests.faults.scenes import connected, fact
from tests.support.shops import Shop

ANSWER_SECONDS: Final = 15.0  # longer than the API itself waits for an outcome
PATIENCE_SECONDS: Final = 50.0
TOKENS: Final = ("tok_visa",) * 6 + ("tok_declined", "tok_pending", "tok_unknown")
NOT_YET: Final = "IDEMPOTENCY_KEY_IN_PROGRESS"
SETTLED: Final = """
    SELECT NOT EXISTS (SELECT 1 FROM {0} WHERE {1} IS NOT NULL
                       AND ($1::text IS NULL OR payment_link_id = $1))
"""


def seeded() -> random.Random:
    """Chance that can be had again: FLINT_FAULT_SEED takes the number that a failure shows."""
    seed = int(os.environ.get("FLINT_FAULT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"FLINT_FAULT_SEED={seed}")
    return random.Random(seed)


@dataclass
class Purchase:
    """One buyer, and what they were told for certain: only a whole answer counts."""

    link_id: str
    token: str = "tok_visa"
    is_patient: bool = True  # asks again until there is an answer; else leaves at the first silence
    session_id: str = ""
    order_id: str = ""
    is_paid: bool = False
    refusal: str = ""
    silences: int = 0
    key: str = field(default_factory=lambda: uuid4().hex)

    async def make(self, shop: Shop) -> None:
        """Open the link, go on to the checkout, pay."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        headers = {"Authorization": f"Bearer {shop.api_key}", "Idempotency-Key": self.key}
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(
            shop.url, headers=headers, timeout=timeout, connector=connector
        ) as http:
            link = await self._told(http, "GET", f"/v1/payment-links/{self.link_id}/public")
            if link is None or self.refusal:
                return
            body = {"resolution_context": link["resolution_context"]}
            made = await self._told(http, "POST", f"/v1/payment-links/{self.link_id}/resolve", body)
            if made is None or self.refusal:
                return
            self.session_id = made["checkout_session"]["checkout_session_id"]
            self.order_id = made["checkout_session"]["order_id"]
            pay = {"payment_source_token": self.token}
            order = await self._told(http, "POST", f"/v1/orders/{self.order_id}/pay", pay)
            self.is_paid = order is not None and order.get("status") == "paid"

    async def _told(
        self, http: aiohttp.ClientSession, method: str, path: str, body: Any = None
    ) -> dict[str, Any] | None:
        """The answer's `data`, or its refusal; None when nobody knows."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                async with http.request(method, path, json=body) as answer:
                    told = await answer.json()
                    if answer.status < 300:
                        return dict(told["data"])
                    code = told["error"]["code"]
                    assert answer.status < 500 or answer.status == 503, told
                    if answer.status < 500 and code != NOT_YET:
                        self.refusal = code
                        return {}
            except LOST:
                pass
            self.silences += 1
            if not self.is_patient:
                return None
            await asyncio.sleep(0.1)  # A buyer's pause, not a wait for anything.
        raise AssertionError(f"no answer to {method} {path} in {PATIENCE_SECONDS:g} s")


def a_crowd(rng: random.Random, count: int, link_ids: Sequence[str]) -> list[Purchase]:
    """Buyers of these links with cards of all kinds; every third one gives up easily."""
    return [
        Purchase(link_ids[n % len(link_ids)], rng.choice(TOKENS), is_patient=n % 3 != 0)
        for n in range(count)
    ]


async def buy_on(shop: Shop, link_id: str, crowd: list[Purchase], is_over: asyncio.Event) -> None:
    """One buyer after the other until it is over; a load, not as much as the machine can bear."""
    while not is_over.is_set():
        one = Purchase(link_id)
        await one.make(shop)
        crowd.append(one)
        await asyncio.sleep(0.1)


async def until_settled(shop: Shop, link_id: str | None = None) -> None:
    """Wait until nobody waits any more, no payment and no page, and all books agree.

    Of one link alone in a shop that other tests use: theirs may wait for a buyer for hours.
    """
    await fact(shop, "orders", SETTLED.format("payment_intents", "next_action_at"), link_id)
    await fact(shop, "sessions", SETTLED.format("sessions", "live_attempt_id"), link_id)
    await shop.audit()


async def was_the_truth(shop: Shop, purchases: Sequence[Purchase]) -> Counter[str]:
    """Hold what buyers were told against the books; how many of each there were."""
    async with connected(shop, "orders") as db:
        rows = await db.fetch("SELECT id, status, total_minor FROM orders")
        orders = {row["id"]: (row["status"], row["total_minor"]) for row in rows}
        rows = await db.fetch("SELECT id, order_id FROM payment_intents")
        order_of = {row["id"]: row["order_id"] for row in rows}
    async with connected(shop, "sessions") as db:
        rows = await db.fetch("SELECT checkout_session_id AS id, status FROM sessions")
        sessions = {row["id"]: row["status"] for row in rows}
    taken: defaultdict[str, list[int]] = defaultdict(list)
    async with connected(shop, "sandbox") as db:
        sql = "SELECT attempt_id, amount_minor FROM sandbox_ledger WHERE kind = ANY($1)"
        for row in await db.fetch(sql, ["charge", "capture"]):
            taken[order_of[row["attempt_id"]]].append(row["amount_minor"])
    for order_id, (status, total) in orders.items():
        expected = [total] if status == "paid" else []
        assert taken[order_id] == expected, f"{order_id} is {status}, taken: {taken[order_id]}"
    for one in purchases:
        _check(one, orders, sessions)
    return Counter(_outcome(one) for one in purchases)


def _check(one: Purchase, orders: dict[str, tuple[str, int]], sessions: dict[str, str]) -> None:
    if one.session_id:
        assert one.session_id in sessions, f"{one.session_id} was promised"
        assert one.order_id in orders, f"{one.order_id} was promised"
    if one.is_paid:
        assert orders[one.order_id][0] == "paid", f"{one.order_id} was said to be paid"
        assert sessions[one.session_id] in ("paid", "invalidated"), one.session_id
    if one.refusal and one.order_id:
        assert orders[one.order_id][0] != "paid", f"{one.order_id} was refused: {one.refusal}"


def _outcome(one: Purchase) -> str:
    return "paid" if one.is_paid else one.refusal or "unknown"
