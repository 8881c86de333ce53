"""Every container is replaced under load: no request fails, no message is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.compose.conftest import REPLICAS
from tests.faults.crowds import Purchase, until_settled, was_the_truth
from tests.support.selling import a_link
from tests.support.shops import Shop
from tests.support.stacks import Stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(240)]
BUYERS = 4


async def test_every_container_is_replaced_under_load_and_nothing_is_lost(
    stack: Stack, shop: Shop
) -> None:
    link = await a_link(shop)
    before = {role: await stack.containers(role) for role in REPLICAS}
    crowd: list[Purchase] = []
    is_over = asyncio.Event()
    buyers = [
        asyncio.create_task(_buy_on(shop, link["payment_link_id"], crowd, is_over))
        for _ in range(BUYERS)
    ]

    said = await stack.roll()

    is_over.set()
    await asyncio.gather(*buyers)
    await until_settled(shop)
    outcomes = await was_the_truth(shop, crowd)
    silences = Counter(one.silences for one in crowd)
    print(said, outcomes, silences)
    after = {role: await stack.containers(role) for role in REPLICAS}
    assert {role: len(ids) for role, ids in after.items()} == REPLICAS
    assert all(set(before[role]).isdisjoint(after[role]) for role in REPLICAS)
    assert outcomes == {"paid": len(crowd)}
    assert silences == {0: len(crowd)}
    assert "0 dead letters" in await stack.operator("dead", "list")


async def _buy_on(shop: Shop, link_id: str, crowd: list[Purchase], is_over: asyncio.Event) -> None:
    while not is_over.is_set():
        crowd.append(Purchase(link_id))
        await crowd[-1].make(shop)
        await asyncio.sleep(0.1)  # A load, not as much as the machine can bear.
