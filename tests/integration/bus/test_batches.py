"""What a commit costs, and that deliveries share it (rules D12 to D14 of PostgreSQL)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.bus import consumer, outbox
from shared.bus.fate import Fate
from shared.contracts.base import Envelope
from shared.db.pool import connection
from tests.support.rigs import CONTEXT, Rig, Running, call
from tests.support.toys import MakeToy, ToyMade, Toys

COMMITS = "SELECT count(DISTINCT xmin::text) FROM inbox WHERE handler LIKE $1"


@pytest.fixture
def rig(local_rig: Rig) -> Rig:
    return local_rig


async def test_a_batch_costs_one_commit_and_one_write(
    rig: Rig, toys: Toys, monkeypatch: pytest.MonkeyPatch
):
    """D12, D13, D14: rows written in one transaction share its number."""
    writes: list[int] = []
    write = outbox.write

    async def counted(db: Any, said: Any, handled: Any, **rest: Any) -> Any:
        writes.append(len(handled))
        return await write(db, said, handled, **rest)

    monkeypatch.setattr(outbox, "write", counted)
    running = await rig.start(toys.room())
    names = [f"t{number}" for number in range(64)]

    await asyncio.gather(*(call(running, MakeToy(toy_id=name)) for name in names))

    assert await rig.pool.fetchval(COMMITS, "%make") <= 8
    asked = await rig.pool.fetchval("SELECT count(*) FROM inbox WHERE handler LIKE '%make'")
    assert asked == len(names)
    assert max(writes) > 8


async def test_facts_nobody_waits_for_wait_for_company(
    rig: Rig, toys: Toys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumer, "LINGER_SECONDS", 1.0)
    running = await rig.start(replace(toys.room(), unhurried=(ToyMade,)))

    one = asyncio.create_task(receive(running, "bear"))
    await asyncio.sleep(0.1)  # long enough to be handled, not long enough to stop waiting
    two = asyncio.create_task(receive(running, "duck"))
    await asyncio.sleep(0.1)
    fates = await asyncio.gather(one, two, receive(running, "hare"))

    assert set(fates) == {Fate.ACK}
    assert await rig.pool.fetchval(COMMITS, "%on_made") == 1


async def test_a_fact_somebody_waits_for_waits_for_nobody(
    rig: Rig, toys: Toys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumer, "LINGER_SECONDS", 60.0)
    running = await rig.start(toys.room())

    async with asyncio.timeout(5):
        assert await receive(running, "bear") is Fate.ACK


async def test_commits_wait_for_the_disk_by_the_servers_own_setting(rig: Rig):
    """D14: money is never traded for speed by one of our connections."""
    async with connection(rig.pool) as db:
        source = "SELECT source FROM pg_settings WHERE name = 'synchronous_commit'"
        assert await db.fetchval(source) not in ("client", "session", "database", "user")


async def receive(running: Running, name: str) -> Fate:
    event = ToyMade(toy_id=name)
    envelope = Envelope(f"evt_{name}", event.topic, event.to_json(), CONTEXT)
    settled = await running.service.consumer.receive(envelope, lane="in", is_redelivered=False)
    return settled.fate
