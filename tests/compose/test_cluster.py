"""One installation is lost and comes back from its backup as a cluster, of which a node dies."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.faults.crowds import Purchase, buy_on, until_settled, was_the_truth
from tests.support.rigs import eventually
from tests.support.selling import a_link
from tests.support.shops import Shop
from tests.support.stacks import Restored, Stack, run, running_stack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]
FILES = ("compose.yaml", "compose.cluster.yaml")
BUYERS = 4
PURCHASES_AFTER = 40
BACK_SECONDS = 10.0


@dataclass(frozen=True)
class Lost:
    """What is left of an installation, and who had bought there before its backup."""

    restored: Restored
    before: list[Purchase]


@pytest.fixture(scope="module")
async def lost(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """A backup was taken while it sold; then all of it was gone at once."""
    link = await a_link(stack.shop)
    crowd: list[Purchase] = []
    is_over = asyncio.Event()
    buyers = [
        asyncio.create_task(buy_on(stack.shop, link["payment_link_id"], crowd, is_over))
        for _ in range(BUYERS)
    ]

    async def have_bought() -> bool:
        return len(crowd) >= BUYERS

    await eventually(have_bought)
    before = list(crowd)
    folder = tmp_path_factory.mktemp("backups") / "latest"
    await stack.copy_to(folder)
    is_over.set()
    await asyncio.gather(*buyers)
    await stack.compose("kill")
    return Lost(Restored(folder, stack.shop.demo), before)


@pytest.fixture(scope="module")
async def cluster(lost: Lost) -> AsyncIterator[Stack]:
    async with running_stack(*FILES, restored=lost.restored) as stack:
        yield stack


async def test_a_backup_is_all_that_is_left_and_all_that_is_needed(
    lost: Lost, cluster: Stack
) -> None:
    await until_settled(cluster.shop)
    assert await was_the_truth(cluster.shop, lost.before) == {"paid": len(lost.before)}
    assert "all is well" in await cluster.operator("audit")
    again = Purchase(lost.before[0].link_id)
    await again.make(cluster.shop)
    assert again.is_paid


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
