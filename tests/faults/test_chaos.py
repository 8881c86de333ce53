"""Services, the broker and a database connection are broken at random moments under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator
from typing import Final

import pytest

from services.rooms import ROLES
from shared.db.pool import COMMAND_SECONDS
from tests.faults.crowds import TOKENS, Purchase, seeded, until_settled, was_the_truth
from tests.faults.scenes import Broken, a_link, value

BUYERS: Final = 60
PLACES: Final = 3


@pytest.mark.timeout(120)
async def test_a_crowd_pays_while_everything_dies_at_random(broken: Broken) -> None:
    shop, rng = broken.shop, seeded()
    tea = (await a_link(shop))["payment_link_id"]
    pot = (await a_link(shop, max_completions=PLACES))["payment_link_id"]
    # Thirty for three places whose cards all work, thirty with cards of every kind.
    crowd = [Purchase(pot) for _ in range(BUYERS // 2)]
    crowd += [Purchase(tea, rng.choice(TOKENS), n % 3 != 0) for n in range(BUYERS // 2)]
    rng.shuffle(crowd)

    async with destruction(broken, rng):
        buying = []
        for one in crowd:
            buying.append(asyncio.create_task(one.make(shop)))
            await asyncio.wait(buying, timeout=rng.uniform(0, 0.3))  # they come one by one
        await asyncio.gather(*buying)

    await until_settled(shop)
    outcomes = await was_the_truth(shop, crowd)
    print(outcomes, "silences:", sum(one.silences for one in crowd))
    sold = "SELECT completed_count FROM links WHERE payment_link_id = $1"
    assert await value(shop, "links", sold, pot) == PLACES
    assert await value(shop, "links", "SELECT count(*) FROM claims WHERE state = 'held'") == 0
    assert sum(one.is_paid for one in crowd if one.link_id == pot) == PLACES
    assert await broken.dead_letters() == 0
    await shop.audit()


@contextlib.asynccontextmanager
async def destruction(broken: Broken, rng: random.Random) -> AsyncIterator[None]:
    """Somebody who breaks one thing after the other, until all buyers have their answer."""
    is_over = asyncio.Event()
    vandal = asyncio.create_task(_break_things(broken, rng, is_over))
    try:
        yield
    finally:
        is_over.set()
        await vandal


async def _break_things(broken: Broken, rng: random.Random, is_over: asyncio.Event) -> None:
    deeds = [*ROLES, *ROLES, "backend", "broker"]
    rng.shuffle(deeds)
    freezing = []
    for deed in deeds:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), rng.uniform(0.1, 1.0))
            break
        print("breaks:", deed)
        if deed == "broker":
            await broken.node.kill()
            await broken.node.start()
        elif deed == "backend":
            freezing.append(asyncio.create_task(_freeze_a_backend(broken)))
        else:
            broken.shop.kill(deed)
            await broken.shop.start(deed)
    await asyncio.gather(*freezing)


async def _freeze_a_backend(broken: Broken) -> None:
    """One of orders' connections to its database hangs for longer than anybody waits for it."""
    sql = "SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'flint-orders'"
    pid = await value(broken.shop, "orders", sql)
    if pid is None:  # They are being started again.
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(2 * COMMAND_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)
