"""Bounds on what PostgreSQL and its pool may cost a caller who waits.

| rule | what it is | how it is covered |
|---|---|---|
| D1 | a query's timeout is no bound | test_a_frozen_backend_…, test_health_… |
| D2 | acquiring waits for ever | test_an_exhausted_pool_… (twice) |
| D3 | holding one and acquiring another deadlocks | test_everything_works_with_a_pool_of_one |
"""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.db.pool import Pool, connection, is_outage, open_pool, transaction
from shared.errors import Unavailable
from tests.support.faults import effects_are, frozen, heard, nothing_left, receive, toy_ids
from tests.support.rigs import Rig, Running, call, eventually
from tests.support.toys import CountToys, MakeToy, ToyMade, Toys


@pytest.fixture
def rig(local_rig: Rig) -> Rig:
    return local_rig


# D1: bounds.


async def test_a_frozen_backend_holds_its_caller_for_a_bounded_time(rig: Rig):
    pool = await open_pool(rig.dsn, name="frozen", size=1, command_seconds=1.0)
    pid = await pool.fetchval("SELECT pg_backend_pid()")

    with frozen(pid):
        began = time.monotonic()
        async with asyncio.timeout(10):  # the failure, not the bound
            with pytest.raises(BaseException) as raised:  # noqa: PT011 whichever of them
                async with transaction(pool) as db:
                    await db.fetchval("SELECT 1")
        took = time.monotonic() - began
        next_pid = await pool.fetchval("SELECT pg_backend_pid()")

    assert is_outage(raised.value)
    assert took < 3, "the bound of one command, and a second to give the connection up"
    assert next_pid != pid, "the frozen connection was given up"
    pool.terminate()


async def test_a_callers_own_bound_is_one_while_a_backend_is_frozen(rig: Rig):
    """The rollback and the release would each wait for the pool's bound again."""
    pool = await open_pool(rig.dsn, name="frozen", size=1, command_seconds=8.0)

    for unit in (transaction, connection):
        with frozen(await pool.fetchval("SELECT pg_backend_pid()")):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5), unit(pool) as db:
                    await db.fetchval("SELECT 1")
            took = time.monotonic() - began

        assert took < 2
    pool.terminate()


async def test_what_a_caller_gives_up_does_not_go_on_in_the_server(rig: Rig):
    """Its locks would hold up the next try for as long as a statement may take."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

    async def give_up() -> None:
        async with asyncio.timeout(0.3), transaction(rig.pool) as db:
            await db.execute("INSERT INTO toys (toy_id) VALUES ('given up')")
            await db.execute("SELECT pg_sleep(4)")

    with pytest.raises(TimeoutError):
        await give_up()

    async with asyncio.timeout(2):
        while await rig.pool.fetchval(waiting):
            await asyncio.sleep(0.02)
    assert await toy_ids(rig) == []


async def test_health_says_no_while_the_database_hangs_and_does_not_hang_itself(
    rig: Rig, toys: Toys
):
    rig.pool = await open_pool(rig.dsn, name="frozen", size=1, command_seconds=1.0)
    running = await rig.start(toys.room())
    assert await running.service.health() == {"database": True, "broker": True, "relay": True}

    with frozen(await rig.pool.fetchval("SELECT pg_backend_pid()")):
        async with asyncio.timeout(6):
            health = await running.service.health()

    assert health["database"] is False
    await running.crash()
    rig.pool.terminate()


# D2, D3: the pool.


async def test_an_exhausted_pool_is_an_outage_after_two_seconds(small_pool: Pool):
    async with connection(small_pool):
        began = time.monotonic()
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(5), transaction(small_pool):
                pass

    assert is_outage(raised.value)
    assert 1.5 < time.monotonic() - began < 4


async def test_an_exhausted_pool_answers_a_caller_in_time_and_holds_a_fact_until_it_can(
    rig: Rig, toys: Toys, small_pool: Pool
):
    rig.pool, ours = small_pool, rig.pool
    running = await rig.start(toys.room())

    async with connection(small_pool):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await call(running, MakeToy(toy_id="bear"))
        assert time.monotonic() - began < 4
        await receive(running, ToyMade(toy_id="cat"))

    rig.pool = ours
    await eventually(lambda: effects_are(rig, ["bear", "heard-bear", "heard-cat"]))


async def test_everything_works_with_a_pool_of_one(rig: Rig, toys: Toys, small_pool: Pool):
    """D3: a second acquire by somebody who holds the one connection could never be served."""
    rig.pool, ours = small_pool, rig.pool
    running = await rig.start(toys.room())
    names = [f"t{number}" for number in range(20)]

    await asyncio.gather(
        *(call(running, MakeToy(toy_id=name), timeout_seconds=10) for name in names),
        *(call(running, CountToys(), timeout_seconds=10) for _ in range(20)),
        call(running, MakeToy(toy_id="x"), message_id="k", is_keyed=True, timeout_seconds=10),
        refused(running, "key-1"),
    )

    rig.pool = ours
    await eventually(lambda: effects_are(rig, [*names, "x", *heard([*names, "x"])]))
    await eventually(lambda: nothing_left(rig))


async def refused(running: Running, key: str) -> None:
    with pytest.raises(Exception, match="No such toys"):
        await call(
            running, MakeToy(toy_id="no", trouble="refuse"), message_id=key, is_keyed=True,
            timeout_seconds=10,
        )  # fmt: skip
