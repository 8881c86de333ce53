"""The broker or the database is away: an honest 503, nothing lost, nothing to be started again."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from services.rooms import ROLES
from tests.faults.buyers import a_buyer
from tests.faults.crowds import Purchase, until_settled, was_the_truth
from tests.faults.scenes import PUBLISHING, Broken, a_link, charges, fact, until_paid
from tests.support.rigs import eventually
from tests.support.shops import Shop

LINE = {
    "name": "Tea",
    "quantity": 1,
    "unit_price_money": {"amount": 1200, "currency": "USD"},
}
ORDER = {"line_items": [LINE]}


async def test_without_the_broker_the_api_says_so_and_goes_on_when_it_is_back(
    broken: Broken,
) -> None:
    shop = broken.shop
    pids = {role: process.pid for role, process in shop.processes.items()}
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        held = broken.lines["sessions"].hold("up", line=PUBLISHING, at=b"orders.pay")
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await held.until_caught()
        for line in broken.lines.values():
            line.down()
        # As if it were away for minutes: however often it was missed, it is soon noticed again.
        await fact(shop, "sessions", "UPDATE outbox SET tries = 12 RETURNING true")
        asked = asyncio.gather(*(_write(shop) for _ in range(3)), _read(shop), _ready(shop))
        answers, page = await asyncio.gather(asked, buyer.look(f"/c/{session_id}"))
        tried = "SELECT true FROM outbox WHERE topic = 'orders.pay' AND next_at > now()"
        await fact(shop, "sessions", tried)

        for line in broken.lines.values():
            line.resume()
        await shop.ready()
        for role in ROLES:
            await broken.until_consumed(f"{role}.in")
        made = await _write(shop)
        await until_paid(shop, session_id)
        await pressed

    assert [status for status, _ in answers] == [503] * 5
    assert all(int(headers["Retry-After"]) >= 1 for _, headers in answers[:4])
    assert page.status == 503
    assert made[0] == 201
    assert await charges(shop, session_id) == [("charge", 1200)]
    assert pids == {role: process.pid for role, process in shop.processes.items()}
    await shop.audit()


async def test_without_its_database_the_api_says_so_and_goes_on_when_it_is_back(
    broken: Broken,
) -> None:
    shop, server = broken.shop, broken.postgres
    pids = {role: process.pid for role, process in shop.processes.items()}
    link = await a_link(shop)
    crowd = [Purchase(link["payment_link_id"]) for _ in range(10)]
    buying = [asyncio.create_task(one.make(shop)) for one in crowd]
    resolved = "SELECT count(*) >= 3 FROM resolutions WHERE payment_link_id = $1"
    await fact(shop, "links", resolved, link["payment_link_id"])

    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    answers = await asyncio.gather(_write(shop), _read(shop))

    async def says_so() -> bool:
        return (await _ready(shop))[0] == 503

    await eventually(says_so)
    await server.stop()  # It is gone already: only to start it again.
    await server.start()
    await shop.ready()
    made = await _write(shop)
    await asyncio.gather(*buying)
    await until_settled(shop)
    outcomes = await was_the_truth(shop, crowd)

    assert [status for status, _ in answers] == [503] * 2
    assert all(int(headers["Retry-After"]) >= 1 for _, headers in answers)
    assert made[0] == 201
    assert outcomes == {"paid": 10}
    assert pids == {role: process.pid for role, process in shop.processes.items()}
    await shop.audit()


async def _write(shop: Shop) -> tuple[int, Any]:
    async with shop.api() as http, http.post("/v1/orders", json=ORDER) as answer:
        return answer.status, answer.headers


async def _read(shop: Shop) -> tuple[int, Any]:
    async with shop.api() as http, http.get("/v1/orders") as answer:
        return answer.status, answer.headers


async def _ready(shop: Shop) -> tuple[int, Any]:
    async with shop.api() as http, http.get("/readyz") as answer:
        return answer.status, answer.headers
