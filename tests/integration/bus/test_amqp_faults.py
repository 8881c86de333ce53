"""A broker that freezes, is killed, runs out of disk, and throws everybody out.

| rule | what must hold | test |
|---|---|---|
| P3 P4 P5 F3 | a frozen broker cancels publishers; no loop dies | test_a_frozen_broker_… |
| P4 P5 F5 | an alarm blocks: unknown, kept, delivered after | test_a_disk_alarm_… |
| P7 P8 P10 P12 F4 | thrown out: nothing lost or twice, still asked | test_being_thrown_out_… |
| P5 P17 F2 | kill -9 under load; services may start first | test_a_killed_broker_… |
| P6 P14 | two connections, by name, 10 s heartbeat; no new channels | test_channels_… |
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from yarl import URL

from shared.bus import rabbitmq
from shared.bus.rabbitmq import RabbitTransport
from shared.bus.transport import NotConfirmed
from shared.contracts.base import Query
from shared.errors import Unavailable
from tests.support.faults import (
    a_fact,
    heard,
    lent,
    parked,
    rows,
    shared_rig,
    start_at_once,
    toy_ids,
)
from tests.support.postgres import Databases
from tests.support.rabbit import Vhosts
from tests.support.rabbit_node import RabbitNode
from tests.support.rigs import Rig, Running, call, eventually
from tests.support.toys import CountToys, MakeToy, ToyCount, ToyMade, Toys


class UnheardOf(Query[ToyCount], topic="toys.unheard_of"):
    """A question to nobody."""


# A quorum queue that is younger than this may lose confirmed messages to a kill (3.10.8).
SETTLED_SECONDS = 2.5


@pytest.fixture(scope="module")
async def module_rig(
    databases: Databases, rabbit_node: RabbitNode, node_vhosts: Vhosts
) -> AsyncIterator[Rig]:
    async with shared_rig("rabbitmq", databases, node_vhosts, rabbit_node.api_url) as rig:
        await asyncio.sleep(SETTLED_SECONDS)
        yield rig


@pytest.fixture
async def rig(module_rig: Rig) -> AsyncIterator[Rig]:
    async with lent(module_rig) as rig:
        yield rig


def impatient(rig: Rig) -> None:
    """The broker is declared dead after 6 s instead of 33 s."""
    rig.amqp_url = str(URL(rig.amqp_url).update_query(heartbeat="1"))


async def test_a_frozen_broker_kills_no_loop_and_everything_arrives_when_it_wakes(
    rig: Rig, toys: Toys, rabbit_node: RabbitNode, monkeypatch: pytest.MonkeyPatch
):
    """The publish must fail as unknown: a `CancelledError` would end its caller's loop."""
    monkeypatch.setattr(rabbitmq, "PUBLISH_SECONDS", 30.0)  # so that the heartbeat comes first
    impatient(rig)
    running = await rig.start(toys.room())
    names = [f"t{number}" for number in range(20)]

    rabbit_node.pause()
    try:
        publishing = [
            asyncio.create_task(
                running.transport.publish("event", a_fact(f"evt_{n}", f"direct-{n}"))
            )
            for n in range(3)
        ]
        await rig.emit(*(ToyMade(toy_id=name) for name in names))
        done, pending = await asyncio.wait(publishing, timeout=15)
        await eventually(lambda: broker_is(running, up=False))
    finally:
        rabbit_node.resume()

    assert not pending
    assert not any(task.cancelled() for task in done), "the driver cancelled the publisher"
    assert {type(task.exception()) for task in done} == {NotConfirmed}
    assert not any(task.done() for task in running.tasks)
    await eventually(lambda: outcome(rig, heard(names), ignoring="heard-direct-"), 30)
    assert await parked(rig) == []


async def test_a_disk_alarm_keeps_every_row_and_everything_arrives_when_it_ends(
    rig: Rig, toys: Toys, rabbit_node: RabbitNode, monkeypatch: pytest.MonkeyPatch
):
    """A publish that ran out of time is unknown, not unsent: here it is delivered after all."""
    monkeypatch.setattr(rabbitmq, "PUBLISH_SECONDS", 1.0)
    running = await rig.start(toys.room())
    names = [f"t{number}" for number in range(20)]

    await rabbit_node.ctl("set_disk_free_limit", "900GB")
    try:
        await eventually(lambda: is_in_alarm(rabbit_node))
        began = time.monotonic()
        with pytest.raises(NotConfirmed):
            await running.transport.publish("event", a_fact("evt_unknown", "unknown"))
        with pytest.raises(Unavailable):
            await call(running, CountToys(), timeout_seconds=1)
        assert time.monotonic() - began < 4, "every wait has a bound"

        await rig.emit(*(ToyMade(toy_id=name) for name in names))
        await eventually(lambda: all_tried(rig, len(names)))
        assert await toy_ids(rig) == []
    finally:
        await rabbit_node.ctl("set_disk_free_limit", "50MB")

    await eventually(lambda: outcome(rig, heard([*names, "unknown"])), 30)
    assert await parked(rig) == []


async def test_being_thrown_out_under_load_loses_nothing_and_does_nothing_twice(
    rig: Rig, toys: Toys, rabbit_node: RabbitNode
):
    """And after each disconnect: questions are answered, and those to nobody come back (P10)."""
    running = await rig.start(toys.room())
    facts: list[str] = []
    asked: list[str] = []
    enough = asyncio.Event()
    load = asyncio.gather(
        pour_until(enough, rig, facts),
        *(make_until(enough, running, asked, f"made-{number}") for number in range(4)),
    )

    for _ in range(3):
        await throw_out(rabbit_node, running)
        assert await call(running, CountToys()) is not None
        with pytest.raises(Unavailable, match="nobody answers"):
            await call(running, UnheardOf(), timeout_seconds=10)
    enough.set()
    await asyncio.wait_for(load, 30)

    assert len(facts) > 50
    assert len(asked) > 50
    await eventually(lambda: outcome(rig, [*asked, *heard(asked), *heard(facts)]), 30)
    assert await parked(rig) == []
    assert not await rows(rig, "SELECT 1 FROM dead_letters")


async def test_a_killed_broker_comes_back_and_every_fact_took_effect_once(
    rig: Rig, toys: Toys, rabbit_node: RabbitNode
):
    """Its second replica starts while the broker is down: start order does not matter."""
    running = await rig.start(toys.room())
    facts = [f"t{number}" for number in range(400)]

    load = asyncio.create_task(pour(rig, facts))
    await eventually(lambda: some_heard(rig))
    await rabbit_node.kill()
    late = start_at_once(rig, Toys().room(), name="late")
    await asyncio.wait_for(load, 20)  # the database takes what the broker cannot
    assert len(await toy_ids(rig)) < len(facts)
    await rabbit_node.start()

    await eventually(lambda: outcome(rig, heard(facts)), 40)
    await eventually(lambda: broker_is(late, up=True))
    await eventually(lambda: broker_is(running, up=True))
    assert await parked(rig) == []
    assert not await rows(rig, "SELECT 1 FROM dead_letters")


async def test_channels_never_grow_however_much_is_published_and_asked(
    rig: Rig, toys: Toys, rabbit_node: RabbitNode
):
    """And there are two connections per process, with names and a heartbeat of 10 s."""
    running = await rig.start(toys.room())
    await call(running, CountToys())
    before = await channels(rig, rabbit_node)

    names = [f"t{number}" for number in range(1_000)]
    facts = rig.emit(*(ToyMade(toy_id=name) for name in names))
    await asyncio.gather(facts, *(ask(running, 250) for _ in range(4)))
    await eventually(lambda: outcome(rig, heard(names)), 40)

    assert await channels(rig, rabbit_node) == before
    found = await rabbit_node.ctl("list_connections", "timeout", "client_properties")
    ours = [one for one in found.splitlines() if '"connection_name","toys-' in one]
    assert len(ours) == 2
    assert all(one.startswith("10\t") for one in ours)


async def pour(rig: Rig, names: Iterable[str]) -> None:
    """Facts one transaction after the other, as handlers would say them."""
    for name in names:
        await rig.emit(ToyMade(toy_id=name))


async def pour_until(enough: asyncio.Event, rig: Rig, names: list[str]) -> None:
    while not enough.is_set():
        names.append(f"t{len(names)}")
        await rig.emit(ToyMade(toy_id=names[-1]))
        await asyncio.sleep(0.003)


async def make_until(
    enough: asyncio.Event, running: Running, names: list[str], prefix: str
) -> None:
    while not enough.is_set():
        names.append(f"{prefix}-{len(names)}")
        await make(running, names[-1])


async def throw_out(node: RabbitNode, running: Running) -> None:
    """Every connection is closed by an operator; back only with new ones."""
    before = connections_of(running)
    await node.ctl("close_all_connections", "--global", "test")
    await eventually(lambda: was_replaced(running, before))


async def make(running: Running, name: str) -> None:
    """As the gateway does it: unknown means to ask again under the same id."""
    for _ in range(60):
        try:
            await call(running, MakeToy(toy_id=name), message_id=f"req_{name}", timeout_seconds=1)
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError(f"{name} was never answered")


async def ask(running: Running, times: int) -> None:
    for _ in range(times):
        await call(running, CountToys(), timeout_seconds=10)


async def is_in_alarm(node: RabbitNode) -> bool:
    return "disk" in await node.ctl("eval", "rabbit_alarm:get_alarms().")


async def broker_is(running: Running, *, up: bool) -> bool:
    return running.transport.is_healthy() is up


def connections_of(running: Running) -> set[object]:
    transport = running.transport
    assert isinstance(transport, RabbitTransport)
    return {transport._publishing._connection, transport._consuming._connection}


async def was_replaced(running: Running, before: set[object]) -> bool:
    return running.transport.is_healthy() and not connections_of(running) & before


async def some_heard(rig: Rig) -> bool:
    return len(await toy_ids(rig)) > 20


async def all_tried(rig: Rig, count: int) -> bool:
    tried = "SELECT 1 FROM outbox WHERE tries >= 1 AND lease_until IS NULL"
    return len(await rows(rig, tried)) == count


async def outcome(rig: Rig, effects: list[str], *, ignoring: str = "nothing") -> bool:
    """These effects and no others, and nothing left to say."""
    found = [name for name in await toy_ids(rig) if not name.startswith(ignoring)]
    return found == sorted(effects) and not await rows(rig, "SELECT 1 FROM outbox")


async def channels(rig: Rig, node: RabbitNode) -> int:
    """Of this rig alone: another's processes may just be on their way back to the node."""
    vhost = URL(rig.amqp_url).path.removeprefix("/")
    found = await node.ctl("list_channels", "vhost")
    return found.split().count(vhost)
