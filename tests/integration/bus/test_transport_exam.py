"""The exam that every transport passes: what a room may rely on, whichever carries it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.errors import DeadlineExceeded, Refusal, Unavailable
from tests.conftest import FreshDatabase
from tests.support.rabbit import Broker, FreshVhost
from tests.support.rigs import CONTEXT, Kind, Rig, call, eventually, open_rig
from tests.support.toys import CountToys, MakeToy, PaintToy, ToyMade, Toys


@pytest.fixture(params=["local", "rabbitmq"])
async def rig(
    request: pytest.FixtureRequest,
    toys: Toys,
    fresh_database: FreshDatabase,
    broker: Broker,
    fresh_vhost: FreshVhost,
) -> AsyncIterator[Rig]:
    kind: Kind = request.param
    room = toys.room()
    dsn = await fresh_database(*room.migrations)
    amqp_url = await fresh_vhost() if kind == "rabbitmq" else ""
    async with open_rig(kind, room, dsn, amqp_url, broker.api_url) as rig:
        yield rig


async def rows(rig: Rig, sql: str, *arguments: Any) -> list[Any]:
    return list(await rig.pool.fetch(sql, *arguments))


async def toy_ids(rig: Rig) -> set[str]:
    return {row["toy_id"] for row in await rows(rig, "SELECT toy_id FROM toys")}


async def outbox_is_empty(rig: Rig) -> bool:
    return not await rows(rig, "SELECT id FROM outbox")


async def test_a_fact_reaches_its_listener_and_leaves_the_outbox(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())

    reply = await call(running, MakeToy(toy_id="bear"))

    assert reply.count == 1

    async def heard() -> bool:
        return await toy_ids(rig) == {"bear", "heard-bear"} and await outbox_is_empty(rig)

    await eventually(heard)


async def test_two_receivers_share_the_work_and_each_message_is_handled_once(
    rig: Rig, toys: Toys
) -> None:
    other = Toys()
    await rig.start(toys.room())
    await rig.start(other.room(), name="toys-2")

    await rig.emit(*(ToyMade(toy_id=f"t{n}") for n in range(60)))

    async def all_heard() -> bool:
        return len(await toy_ids(rig)) == 60

    await eventually(all_heard)
    assert toys.seen
    assert other.seen
    assert len(set(toys.seen) | set(other.seen)) == 60


async def test_a_refusal_is_the_answer_and_leaves_nothing_behind(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())

    with pytest.raises(Refusal) as refused:
        await call(running, MakeToy(toy_id="bear", trouble="refuse"))

    assert (refused.value.code, refused.value.param) == ("TOY_REFUSED", "toy_id")
    assert await toy_ids(rig) == set()


async def test_a_refused_fact_is_not_delivered_again(rig: Rig, toys: Toys) -> None:
    await rig.start(toys.room())

    await rig.emit(ToyMade(toy_id="no", trouble="refuse"), ToyMade(toy_id="yes"))

    async def done() -> bool:
        return await toy_ids(rig) == {"heard-yes"} and await outbox_is_empty(rig)

    await eventually(done)
    assert not await rows(rig, "SELECT id FROM dead_letters")


async def test_an_outage_is_retried_with_a_delay_until_it_works(rig: Rig, toys: Toys) -> None:
    toys.failures_left = 3  # the batch, the look alone, and the first delayed retry
    await rig.start(toys.room())

    await rig.emit(ToyMade(toy_id="late", trouble="outage"))

    async def heard() -> bool:
        return "heard-late" in await toy_ids(rig)

    await eventually(heard)
    assert toys.failures_left == 0


async def test_a_bug_is_dead_lettered_with_its_reason_and_blocks_nobody(
    rig: Rig, toys: Toys
) -> None:
    running = await rig.start(toys.room())

    await rig.emit(ToyMade(toy_id="bad", trouble="bug"), ToyMade(toy_id="good"))

    async def good_heard() -> bool:
        return await toy_ids(rig) == {"heard-good"}

    await eventually(good_heard)
    dead = await eventually(lambda: dead_letters(rig, running))
    assert [letter["topic"] for letter in dead] == ["toy.made"]
    assert "KeyError" in dead[0]["reason"]


async def test_the_same_message_twice_takes_effect_once(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())

    first = await running.transport.call(MakeToy(toy_id="bear"), context=CONTEXT, message_id="same")
    again = await running.transport.call(MakeToy(toy_id="bear"), context=CONTEXT, message_id="same")

    assert (first.value, first.is_replayed) == (again.value, False)
    assert again.is_replayed


async def test_a_key_with_another_body_is_a_conflict_and_a_refusal_is_kept(
    rig: Rig, toys: Toys
) -> None:
    running = await rig.start(toys.room())
    keyed: dict[str, Any] = {"context": CONTEXT, "is_keyed": True}

    await running.transport.call(MakeToy(toy_id="bear"), message_id="key-1", body_hash="a", **keyed)
    with pytest.raises(Refusal) as reused:
        await running.transport.call(
            MakeToy(toy_id="cat"), message_id="key-1", body_hash="b", **keyed
        )
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            await running.transport.call(
                MakeToy(toy_id="dog", trouble="refuse"), message_id="key-2", body_hash="c", **keyed
            )

    assert reused.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert refused.value.code == "TOY_REFUSED"
    kept = await rows(rig, "SELECT is_refusal FROM inbox WHERE message_id = 'key-2'")
    assert [row["is_refusal"] for row in kept] == [True]


async def test_a_second_request_with_a_key_whose_first_still_runs_is_told_so(
    rig: Rig, toys: Toys
) -> None:
    running = await rig.start(toys.room())
    keyed: dict[str, Any] = {
        "context": CONTEXT, "is_keyed": True, "message_id": "key", "body_hash": "a",
    }  # fmt: skip
    slow = MakeToy(toy_id="bear", trouble="wait")

    first = asyncio.create_task(running.transport.call(slow, **keyed))
    await asyncio.wait_for(toys.entered.wait(), 10)
    with pytest.raises(Refusal) as refused:
        await running.transport.call(slow, **keyed)
    toys.gate.set()

    assert refused.value.code == "IDEMPOTENCY_KEY_IN_PROGRESS"
    assert refused.value.retry_after_seconds == 1
    assert (await first).value.count == 1


async def test_a_crash_in_the_middle_of_a_handler_redelivers_and_nothing_is_half_done(
    rig: Rig, toys: Toys
) -> None:
    running = await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="bear", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    await running.crash()
    assert await toy_ids(rig) == set()
    heir = Toys()
    heir.gate.set()
    await rig.start(heir.room(), name="heir")

    async def heard() -> bool:
        return await toy_ids(rig) == {"heard-bear"} and await outbox_is_empty(rig)

    await eventually(heard, seconds=30)


async def test_a_request_past_its_deadline_says_unknown_and_does_not_hang(
    rig: Rig, toys: Toys
) -> None:
    running = await rig.start(toys.room())

    with pytest.raises(DeadlineExceeded):
        await call(running, MakeToy(toy_id="slow", trouble="wait"), timeout_seconds=0.3)
    toys.gate.set()

    async def made_after_all() -> bool:
        return "slow" in await toy_ids(rig)

    await eventually(made_after_all)


async def test_a_question_reads_and_keeps_no_inbox_row(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())

    reply = await call(running, CountToys())

    assert reply.count == 0
    assert not await rows(rig, "SELECT message_id FROM inbox")


async def test_a_question_nobody_answers_is_an_outage(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())
    await running.stop()

    with pytest.raises(Unavailable):
        await call(running, CountToys(), timeout_seconds=0.5)


async def test_a_world_handler_answers_with_a_fact(rig: Rig, toys: Toys) -> None:
    await rig.start(toys.room())

    await say(rig, PaintToy(toy_id="bear", colour="red"))

    async def painted() -> bool:
        return "red-bear" in await toy_ids(rig)

    await eventually(painted)


async def test_a_handler_that_waits_holds_up_nobody_else(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="slow", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    await rig.emit(ToyMade(toy_id="quick"))

    async def heard() -> bool:
        return await toy_ids(rig) == {"heard-quick"}

    await eventually(heard)
    assert (await call(running, CountToys())).count == 1
    toys.gate.set()


async def test_a_drain_finishes_what_is_held_and_takes_nothing_new(rig: Rig, toys: Toys) -> None:
    running = await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="held", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    stopping = asyncio.create_task(running.stop())
    await asyncio.sleep(0)
    toys.gate.set()
    await stopping
    await rig.emit(ToyMade(toy_id="later"))

    assert await toy_ids(rig) == {"heard-held"}


async def test_facts_of_one_subject_are_numbered_without_gaps(rig: Rig, toys: Toys) -> None:
    await rig.emit(ToyMade(toy_id="a"), ToyMade(toy_id="b"), ToyMade(toy_id="a"))
    await rig.emit(ToyMade(toy_id="a"))

    numbered = await rows(rig, "SELECT subject, sequence FROM outbox ORDER BY id")

    assert [tuple(row) for row in numbered] == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]


async def test_a_sweep_runs_by_itself(rig: Rig, toys: Toys) -> None:
    await rig.pool.execute("INSERT INTO toys (toy_id) VALUES ('dusty')")
    await rig.start(toys.room())

    async def swept() -> bool:
        return bool(await rows(rig, "SELECT 1 FROM toys WHERE swept"))

    await eventually(swept)


async def say(rig: Rig, effect: PaintToy) -> None:
    from datetime import UTC, datetime

    from shared.bus import outbox
    from shared.bus.tx import Said
    from shared.db.pool import transaction

    async with transaction(rig.pool) as db:
        said = [Said(effect, CONTEXT)]
        await outbox.write(db, said, [], source="toys", now=datetime.now(UTC), lease_by="nobody")
        await db.execute("UPDATE outbox SET lease_until = NULL, lease_by = NULL")


async def dead_letters(rig: Rig, running: Any) -> list[dict[str, str]]:
    if rig.kind == "local":
        found = await rows(rig, "SELECT topic, reason FROM dead_letters")
        return [dict(row) for row in found]
    import aio_pika

    connection = await aio_pika.connect(rig.amqp_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("toys.in.parking", passive=True)
        message = await queue.get(fail=False, timeout=5)
        if message is None:
            return []
        return [{"topic": str(message.type), "reason": str(message.headers["x-reason"])}]
