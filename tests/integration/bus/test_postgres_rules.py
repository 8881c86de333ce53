"""What PostgreSQL and its driver do to those who trust them, and that the bus does not.

| rule | what it is | how it is covered |
|---|---|---|
| D4 | a cut around COMMIT says nothing about its outcome | test_a_line_cut_at_commit_… |
| D5 | loss in a transaction comes as several errors | test_a_connection_that_dies_… |
| D5 | and they take the place of a cancellation | test_a_cancelled_…, test_a_service_stops_… |
| D6 | a deadlock's victim is done again, whole | test_a_deadlock_… |
| D7 | statements and poolers | unit/test_house_rules (one driver, direct connections) |
| D8 | DDL invalidates statements | test_a_statement_invalidated_…, unit/test_house_rules |
| D9 D10 | LISTEN is lost, NOTIFY locks | unit/test_house_rules (neither is used) |
| D11 | jsonb is text, NUL breaks | test_jsonb_…, test_a_nul_…, unit/test_money |
| D12 D13 D14 | round trips and commits cost | test_batches |
| D15 D16 D17 | the outbox and the inbox as tables | test_outbox_rules |
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from shared.bus import outbox, relay
from shared.bus.room import Room
from shared.bus.tx import Tx
from shared.contracts.base import Envelope
from shared.db.pool import Pool, connection, open_pool, transaction
from tests.support.faults import CuttingProxy, effects_are, heard, nothing_left, rows, toy_ids
from tests.support.rigs import CONTEXT, Rig, call, eventually
from tests.support.toys import CountToys, MakeToy, ToyCount, ToyMade, Toys


@pytest.fixture
def rig(local_rig: Rig) -> Rig:
    return local_rig


# D4, D5, D6, D8: units that are done again.


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("is_keyed", [False, True])
async def test_a_line_cut_at_commit_leaves_one_effect_whether_it_had_happened_or_not(
    rig: Rig, toys: Toys, when: str, is_keyed: bool, monkeypatch: pytest.MonkeyPatch
):
    """D4, F9: the caller sees a lost connection; the inbox knows what became of it."""
    short_leases(monkeypatch)
    ours = rig.pool
    async with CuttingProxy(rig.dsn) as proxy:
        rig.pool = await open_pool(proxy.dsn, name="cut", size=4)
        running = await rig.start(toys.room())
        await call(running, CountToys())
        proxy.cut = when

        reply = await call(
            running, MakeToy(toy_id="bear"), message_id="req_1", is_keyed=is_keyed, body_hash="a"
        )

        assert reply.count == 1
        assert proxy.cuts == 1
        await eventually(lambda: effects_are(rig, ["bear", *heard(["bear"])]))
        await eventually(lambda: nothing_left(rig))
        rig.pool.terminate()
        await running.crash()
    rig.pool = ours


@pytest.mark.parametrize("how", ["terminated", "cut off"])
async def test_a_connection_that_dies_in_a_transaction_costs_one_more_try(rig: Rig, how: str):
    """D5: of the whole unit, on a fresh connection."""
    ours = rig.pool
    tries: list[int] = []

    async def make(msg: MakeToy, tx: Tx) -> ToyCount:
        await tx.db.execute("INSERT INTO toys (toy_id) VALUES ($1)", msg.toy_id)
        tries.append(await tx.db.fetchval("SELECT pg_backend_pid()"))
        if len(tries) < 3 and how == "terminated":
            await ours.execute("SELECT pg_terminate_backend($1)", tries[-1])
        if len(tries) < 3 and how == "cut off":
            proxy.drop()
        await tx.db.fetchval("SELECT 1")
        return ToyCount(count=len(tries))

    async with CuttingProxy(rig.dsn) as proxy:
        rig.pool = await open_pool(proxy.dsn, name="dying", size=4)
        running = await rig.start(a_room({MakeToy: make}))

        reply = await call(running, MakeToy(toy_id="bear"))

        assert reply.count == 3
        assert len(set(tries)) == 3
        rig.pool.terminate()
        await running.crash()
    rig.pool = ours
    assert await toy_ids(rig) == ["bear"]


@pytest.mark.parametrize("holding", [transaction, connection])
async def test_a_cancelled_unit_stays_cancelled_whatever_its_lost_connection_says(
    rig: Rig, holding: Any
):
    """D5: who catches the connection's error instead goes on for ever."""
    inside = asyncio.Event()

    async def unit() -> None:
        async with holding(rig.pool) as db:
            pid = await db.fetchval("SELECT pg_backend_pid()")
            await rig.pool.execute("SELECT pg_terminate_backend($1)", pid)
            await eventually(lambda: is_closed(db))
            inside.set()
            try:
                await asyncio.sleep(60)
            finally:
                await db.fetchval("SELECT 1")

    task = asyncio.create_task(unit())
    await asyncio.wait_for(inside.wait(), 10)
    task.cancel()
    await asyncio.wait([task], timeout=10)

    assert task.cancelled()


async def test_a_service_stops_though_its_database_went_away_in_the_middle(rig: Rig, toys: Toys):
    ours = rig.pool
    rig.pool = await open_pool(rig.dsn, name="doomed", size=4)
    running = await rig.start(toys.room())
    asking = asyncio.create_task(call(running, MakeToy(toy_id="bear", trouble="wait")))
    await asyncio.wait_for(toys.entered.wait(), 10)

    rig.pool.terminate()
    await asyncio.wait_for(running.crash(), 10)

    assert all(task.done() for task in running.tasks)
    await asyncio.wait([asking], timeout=10)
    assert asking.exception() is not None
    rig.pool = ours


async def test_a_deadlock_is_broken_and_its_victim_done_again_whole(rig: Rig):
    """D6: two messages lock two rows in opposite orders."""
    await rig.pool.execute("INSERT INTO toys (toy_id) VALUES ('a'), ('b')")
    tries: list[str] = []
    victims: list[str] = []
    holds_one = asyncio.Event()
    both_hold_one = asyncio.Event()

    async def cross(msg: MakeToy, tx: Tx) -> ToyCount:
        tries.append(msg.toy_id)
        first, second = msg.toy_id[0], msg.toy_id[1]
        await tx.db.execute("UPDATE toys SET swept = true WHERE toy_id = $1", first)
        (both_hold_one if holds_one.is_set() else holds_one).set()
        await both_hold_one.wait()
        try:
            await tx.db.execute("UPDATE toys SET swept = true WHERE toy_id = $1", second)
        except asyncpg.DeadlockDetectedError:
            victims.append(msg.toy_id)
            raise
        await tx.db.execute("INSERT INTO toys (toy_id) VALUES ($1)", f"done-{msg.toy_id}")
        return ToyCount(count=1)

    running = await rig.start(a_room({MakeToy: cross}))
    options: dict[str, Any] = {"is_keyed": True, "timeout_seconds": 10}

    one = asyncio.create_task(
        call(running, MakeToy(toy_id="ab"), message_id="1", body_hash="1", **options)
    )
    await asyncio.wait_for(holds_one.wait(), 5)
    await call(running, MakeToy(toy_id="ba"), message_id="2", body_hash="2", **options)
    await one

    assert len(victims) == 1
    assert sorted(tries) == sorted(["ab", "ba", *victims])
    assert await toy_ids(rig) == ["a", "b", "done-ab", "done-ba"]


async def test_a_statement_invalidated_by_a_migration_is_done_again(rig: Rig, small_pool: Pool):
    """D8: inside a transaction the driver cannot repair it by itself."""
    ours = rig.pool
    await ours.execute("CREATE TABLE shelves (size integer); INSERT INTO shelves VALUES (1)")

    async def make(_: MakeToy, tx: Tx) -> ToyCount:
        return ToyCount(count=await tx.db.fetchval("SELECT size FROM shelves"))

    rig.pool = small_pool
    running = await rig.start(a_room({MakeToy: make}))
    first = await call(running, MakeToy(toy_id="1"), message_id="1", is_keyed=True)
    await ours.execute("ALTER TABLE shelves ALTER COLUMN size TYPE bigint")

    second = await call(running, MakeToy(toy_id="2"), message_id="2", is_keyed=True)

    assert (first.count, second.count) == (1, 1)
    await ours.execute("DROP TABLE shelves")


# D11: types.


async def test_jsonb_is_what_was_put_in_and_never_text(rig: Rig):
    value = {"line": [1, "zwei", None, True, {"deep": "ü"}], "amount": 9_999_999_999}

    assert await rig.pool.fetchval("SELECT $1::jsonb", value) == value
    assert await rig.pool.fetchval("SELECT '[]'::jsonb") == []
    assert await rig.pool.fetchval("SELECT $1::jsonb ->> 'amount'", value) == "9999999999"


async def test_a_nul_that_passed_the_door_is_a_bug_and_no_outage(rig: Rig, toys: Toys):
    """D11: it is refused by the contract's types (unit/test_house_rules); here it never loops."""
    running = await rig.start(toys.room())

    body = b'{"toy_id": "a\\u0000b"}'
    await running.transport.publish("event", Envelope("evt_1", "toy.made", body, CONTEXT))
    await rig.emit(ToyMade(toy_id="good"))

    async def parked() -> bool:
        return len(await rows(rig, "SELECT 1 FROM dead_letters")) == 1

    await eventually(parked)
    await eventually(lambda: effects_are(rig, heard(["good"])))


def a_room(handlers: dict[Any, Any]) -> Room:
    """The toys' room with other handlers."""
    room = Toys().room()
    return replace(room, handlers={**room.handlers, **handlers}, sweeps=())


def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (outbox, relay):
        monkeypatch.setattr(module, "LEASE_SECONDS", 2)


async def is_closed(db: Any) -> bool:
    try:
        return bool(db.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back already
        return True
