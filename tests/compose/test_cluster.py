"""Three RabbitMQ nodes, of which one dies under load and does not come back by itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.faults.crowds import Purchase, until_settled, was_the_truth
from tests.support.rigs import eventually
from tests.support.selling import a_link
from tests.support.shops import Shop
from tests.support.stacks import Stack, run, running_stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]
FILES = ("compose.yaml", "compose.cluster.yaml")
BUYERS = 4
PURCHASES_AFTER = 40
BACK_SECONDS = 60.0  # by itself; how long exactly depends on the machine, and is printed


@pytest.fixture(scope="module")
async def cluster(image: None) -> AsyncIterator[Stack]:
    async with running_stack(*FILES) as stack:
        yield stack


async def test_a_node_that_dies_under_load_costs_a_moment_and_nothing_else(cluster: Stack) -> None:
    shop = cluster.shop
    (victim,) = await cluster.containers(await _leader_of(cluster, "orders.in"))
    link = await a_link(shop)
    crowd: list[Purchase] = []
    paid_at: list[float] = []
    is_over = asyncio.Event()
    buyers = [
        asyncio.create_task(_buy_on(shop, link["payment_link_id"], crowd, paid_at, is_over))
        for _ in range(BUYERS)
    ]
    await _until_more_are_paid(paid_at, 10)

    await run(["docker", "kill", "--signal", "KILL", victim], cluster.env)
    killed_at = time.monotonic()
    await _until_more_are_paid(paid_at, PURCHASES_AFTER)

    await run(["docker", "start", victim], cluster.env)
    await _until_more_are_paid(paid_at, PURCHASES_AFTER)
    is_over.set()
    await asyncio.gather(*buyers)
    gap = max(later - earlier for earlier, later in itertools.pairwise(sorted(paid_at)))
    print(f"longest pause {gap:.1f} s", Counter(one.silences for one in crowd))
    assert any(at > killed_at for at in paid_at)
    assert gap <= BACK_SECONDS
    await until_settled(shop)
    assert await was_the_truth(shop, crowd) == {"paid": len(crowd)}
    assert "0 dead letters" in await cluster.operator("dead", "list")
    assert "all is well" in await cluster.operator("audit")


async def test_every_queue_is_on_every_node(cluster: Stack) -> None:
    async def are_everywhere() -> bool:
        listed = await _listed(cluster, "name", "type", "online")
        return bool(listed) and all(line.count("rabbit@") == 3 for line in listed)

    await eventually(are_everywhere, 60)
    listed = await _listed(cluster, "name", "type")
    assert {line.split()[1] for line in listed} == {"quorum"}
    assert {"links.rpc", "orders.in"} <= {line.split()[0] for line in listed}
    assert "checks are well" in await cluster.operator("doctor")


async def _buy_on(
    shop: Shop, link_id: str, crowd: list[Purchase], paid_at: list[float], is_over: asyncio.Event
) -> None:
    while not is_over.is_set():
        crowd.append(Purchase(link_id))
        await crowd[-1].make(shop)
        paid_at.append(time.monotonic())
        await asyncio.sleep(0.1)  # A load, not as much as the machine can bear.


async def _until_more_are_paid(paid_at: list[float], count: int) -> None:
    target = len(paid_at) + count

    async def are_paid() -> bool:
        return len(paid_at) >= target

    await eventually(are_paid, 90)


async def _leader_of(cluster: Stack, queue: str) -> str:
    """The compose service of the node that leads a queue."""
    (line,) = [one for one in await _listed(cluster, "name", "leader") if one.split()[0] == queue]
    return line.split()[1].removeprefix("rabbit@")


async def _listed(cluster: Stack, *columns: str) -> list[str]:
    argv = ["exec", "--no-TTY", "rabbitmq-3", "rabbitmqctl", "--quiet", "list_queues"]
    said = await cluster.compose(*argv, "-p", "flint", "--no-table-headers", *columns)
    return said.strip().splitlines()
