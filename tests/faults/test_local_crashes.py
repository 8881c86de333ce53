"""`flint run` is killed: with buyers stopped at exact points, and at any moment under load."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.rooms import ROLES
from tests.faults.buyers import TAKES_TIME, a_buyer, order_of, path_of
from tests.faults.crowds import Purchase, a_crowd, seeded, until_settled, was_the_truth
from tests.faults.scenes import (
    FACT_SECONDS,
    a_link,
    answers_are_late,
    attempts,
    charges,
    fact,
    leases_end,
    locked,
    until_paid,
    until_pending,
    value,
)
from tests.support.rigs import eventually
from tests.support.shops import Shop

STATUS = "SELECT status FROM orders WHERE id = $1"
LOCK_ORDER = "SELECT 1 FROM orders WHERE id = $1 FOR UPDATE"
LOCK_LINK = "SELECT 1 FROM links WHERE payment_link_id = $1 FOR UPDATE"
RESOLVED = "SELECT checkout_session_id FROM resolutions WHERE payment_link_id = $1"


async def test_a_killed_shop_finishes_what_every_buyer_had_begun(mortal: Shop) -> None:
    shop = mortal
    tea, pot, cup = await a_link(shop), await a_link(shop, max_completions=1), await a_link(shop)
    async with AsyncExitStack() as stack:
        buyers = [await stack.enter_async_context(a_buyer(shop)) for _ in range(4)]
        charging, claiming, waiting, resolving = buyers
        charged = await charging.choose(tea["url"])
        claimed = await claiming.choose(pot["url"])
        waited = await waiting.choose(tea["url"])
        await charging.fill_in(charged)
        await claiming.fill_in(claimed)
        await waiting.fill_in(waited, TAKES_TIME)
        form = (await resolving.look_at_link(cup["url"])).hidden

        # One whom the provider has charged, and our handler stands before the order.
        async with locked(shop, "sandbox", "LOCK TABLE sandbox_calls IN SHARE MODE") as till:
            requests = [asyncio.create_task(charging.press_pay(charged))]
            await till.until_wanted(requests[-1])
            order = await stack.enter_async_context(
                locked(shop, "orders", LOCK_ORDER, order_of(charged))
            )
        await order.until_wanted(requests[-1])
        taken = await charges(shop, charged)
        ours = await value(shop, "orders", STATUS, order_of(charged))
        # One whose money is held, and our handler stands before the last place.
        place = await stack.enter_async_context(
            locked(shop, "links", LOCK_LINK, pot["payment_link_id"])
        )
        requests += [asyncio.create_task(claiming.press_pay(claimed))]
        await place.until_wanted(requests[-1])
        held = await charges(shop, claimed)
        # One who waits for a slow provider, and one whose choice only links knows of.
        requests += [asyncio.create_task(waiting.press_pay(waited))]
        await until_pending(shop, waited)
        await stack.enter_async_context(
            locked(shop, "sessions", "LOCK TABLE sessions IN SHARE MODE")
        )
        requests += [asyncio.create_task(resolving.post(path_of(cup["url"]), form))]
        chosen = await fact(shop, "links", RESOLVED, cup["payment_link_id"])
        server = Path(f"/proc/{_postgres_pid(shop)}")

        shop.kill("run")
        await asyncio.gather(*requests, return_exceptions=True)

        async def is_gone() -> bool:
            return not server.exists()

        await eventually(is_gone, FACT_SECONDS)
        await shop.start()
        await leases_end(shop, *ROLES)
        await answers_are_late(shop)
        await fact(shop, "orders", STATUS, order_of(chosen))
        again = await resolving.post(path_of(cup["url"]), form)
        await resolving.fill_in(chosen)
        await resolving.press_pay(chosen)
        for session_id in (charged, claimed, waited, chosen):
            await until_paid(shop, session_id)
        receipt = await charging.look(f"/c/{charged}")

    assert (taken, ours, held) == ([("charge", 1200)], "open", [("authorize", 1200)])
    assert again.path == f"/c/{chosen}"
    assert receipt.path == f"/c/{charged}/receipt"
    assert await charges(shop, claimed) == [("authorize", 1200), ("capture", 1200)]
    for session_id in (charged, waited, chosen):
        assert await charges(shop, session_id) == [("charge", 1200)]
        assert len(await attempts(shop, session_id)) == 1
    await shop.audit()


def _postgres_pid(shop: Shop) -> int:
    written = shop.folder / "data" / "postgres" / "data" / "postmaster.pid"
    return int(written.read_text().split("\n", 1)[0])


@pytest.mark.timeout(120)
async def test_whatever_a_buyer_was_told_stays_true_however_often_it_is_killed(
    mortal: Shop,
) -> None:
    shop, rng = mortal, seeded()
    tea, pot = await a_link(shop), await a_link(shop, max_completions=5)
    link_ids = [tea["payment_link_id"]] * 3 + [pot["payment_link_id"]]
    crowd: list[Purchase] = []
    buying: list[asyncio.Task[None]] = []
    for number in range(5):
        arriving = a_crowd(rng, 40, link_ids)
        crowd += arriving
        buying += [asyncio.create_task(one.make(shop)) for one in arriving]
        await asyncio.wait(buying, timeout=rng.uniform(0.1, 2.0))  # the moment that chance chose
        shop.kill("run")
        if number == 2:  # once more while it starts
            starting = asyncio.create_task(shop.start())
            await asyncio.wait([starting], timeout=rng.uniform(0.1, 2.0))
            starting.cancel()
            shop.kill("run")
        await shop.start()
    codes = await shop.stop()  # The last time politely.
    await shop.start()

    await asyncio.gather(*buying)
    await until_settled(shop)
    outcomes = await was_the_truth(shop, crowd)
    sold = "SELECT completed_count FROM links WHERE payment_link_id = $1"
    places = await value(shop, "links", sold, pot["payment_link_id"])

    print(outcomes, "silences:", sum(one.silences for one in crowd))
    assert codes == {"run": 0}
    assert outcomes["paid"] > 0
    assert places == 5
    await shop.audit()
