"""What RabbitMQ and its client do to those who trust them, and that the bus does not.

| rule | what it is | how it is covered |
|---|---|---|
| P1 | two publishes under one message id swap their fates | test_of_one_fact_sent_to_two_… |
| P2 | an unroutable publish looks well | test_of_one_fact_…, test_a_fact_nobody_… |
| P4 P5 | without confirmation: neither sent nor unsent | test_amqp_faults |
| P6 | a dead link is noticed after three heartbeats | test_amqp_faults (asked of the broker) |
| P7 | a lost connection cancels handlers half way | test_amqp_faults, test_transport_exam |
| P8 | a cancelled handler dead-letters a good message | test_a_handler_cancelled_by_… |
| P9 | closing under handlers kills the connection | test_stopping_acknowledges_… |
| P10 | callbacks for returns are lost on reconnect | unit/test_house_rules, test_amqp_faults |
| P12 | direct reply-to is restored wrongly | test_amqp_faults (asked after each disconnect) |
| P14 | each channel leaks | test_amqp_faults (counted by the broker) |
| P15 | everything is delivered at once | test_no_more_is_held_than_the_prefetch |
| P16 P19 | iterators lose messages; `patterns` pickle | unit/test_house_rules |
| P20 | a slow callback blocks the reader | unit/test_house_rules (none of them waits) |
| a2 | a full queue refuses: back off, keep the row | test_a_full_queue_… |
| a2 | nobody waits any more: do not start | test_a_request_nobody_waits_for_… |
| b | permanent failures leave the relay's way | test_a_fact_nobody_hears_is_parked_… |
| F12 | poison | test_poison |
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from shared.bus import relay
from shared.bus.consuming import PREFETCH
from shared.bus.declare import apply
from shared.bus.topology import EVENTS, queues_of
from shared.bus.transport import NotConfirmed, Unroutable
from tests.support.faults import (
    ToyLost,
    a_fact,
    broker_channel,
    effects_are,
    parked,
    redeclare,
    rows,
    send_raw,
    toy_ids,
    waiting_in,
)
from tests.support.rabbit import Broker
from tests.support.rigs import DELAYS, Rig, call, eventually
from tests.support.toys import MakeToy, ToyMade, Toys


@pytest.fixture
def rig(rabbit_rig: Rig) -> Rig:
    return rabbit_rig


async def test_of_one_fact_sent_to_two_topics_at_once_only_the_unroutable_one_fails(
    rig: Rig, toys: Toys
):
    """P1, P2."""
    running = await rig.start(toys.room())

    for number in range(10):
        one = a_fact(f"evt_{number}", f"t{number}")
        lost = replace(one, topic="toy.unheard_of")
        outcomes = await asyncio.gather(
            *(running.transport.publish("event", fact) for fact in (lost, one, one, lost)),
            return_exceptions=True,
        )

        expected = [Unroutable, type(None), type(None), Unroutable]
        assert [type(outcome) for outcome in outcomes] == expected


async def test_a_fact_nobody_hears_is_kept_and_goes_out_once_somebody_does(rig: Rig, toys: Toys):
    """P2, P5: the row stays, and blocks nobody."""
    await rig.start(toys.room())
    await rig.emit(ToyLost(toy_id="bear"), ToyMade(toy_id="cat"))

    async def tried_twice() -> list[Any]:
        return await rows(rig, "SELECT 1 FROM outbox WHERE topic = 'toy.lost' AND tries >= 2")

    await eventually(tried_twice)
    assert await toy_ids(rig) == ["heard-cat"]
    async with broker_channel(rig) as channel:
        listener = await channel.declare_queue("a-listener", exclusive=True, timeout=5)
        await listener.bind(EVENTS, "toy.lost", timeout=5)

        async def arrived() -> bool:
            return await listener.get(fail=False, no_ack=True, timeout=5) is not None

        await eventually(arrived)


async def test_a_fact_nobody_hears_is_parked_with_its_reason_after_enough_tries(
    rig: Rig, toys: Toys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay, "PARK_AFTER_TRIES", 2)
    await rig.start(toys.room())

    await rig.emit(ToyLost(toy_id="bear"))

    async def letters() -> list[Any]:
        return await rows(rig, "SELECT topic, reason FROM dead_letters")

    (letter,) = await eventually(letters)
    assert (letter["topic"], "no queue is bound" in letter["reason"]) == ("toy.lost", True)
    assert not await rows(rig, "SELECT 1 FROM outbox")


async def test_a_full_queue_refuses_and_the_refused_message_is_not_taken_for_sent(
    rig: Rig, toys: Toys, broker: Broker
):
    running = await rig.start(toys.room())
    assert running.service._subscription is not None
    await running.service._subscription.stop()
    full = [
        replace(spec, policy=spec.policy | {"max-length": 1})
        for spec in queues_of(toys.room(), DELAYS)
        if spec.name == "toys.in"
    ]
    await apply(full, amqp_url=rig.amqp_url, management_url=broker.api_url)

    async def fill() -> None:
        for number in range(200):  # the limit is soft, and a policy takes a moment
            await running.transport.publish("event", a_fact(f"evt_{number}", "bear"))
            await asyncio.sleep(0.02)

    try:
        with pytest.raises(NotConfirmed, match="a queue is full"):
            await fill()
    finally:
        await redeclare(rig, broker.api_url)


async def test_a_handler_cancelled_by_a_shutdown_leaves_its_message_in_the_queue(
    rig: Rig, toys: Toys
):
    """P7, P8: neither acknowledged nor dead-lettered."""
    running = await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="bear", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    running.tasks[-1].cancel()
    await asyncio.wait(running.tasks[-1:], timeout=10)
    await running.crash()

    async def back() -> bool:
        return await waiting_in(rig, "toys.in") == 1

    await eventually(back)
    assert await parked(rig) == []
    assert await toy_ids(rig) == []


async def test_stopping_acknowledges_what_is_held_and_keeps_the_connection(rig: Rig, toys: Toys):
    """P9: closing the channels first would kill the connection under the acknowledgements."""
    running = await rig.start(toys.room())
    names = [f"t{number}" for number in range(30)]
    await rig.emit(*(ToyMade(toy_id=name, trouble="wait") for name in names))
    await asyncio.wait_for(toys.entered.wait(), 10)
    subscription = running.service._subscription
    assert subscription is not None

    stopping = asyncio.create_task(subscription.stop())
    await asyncio.sleep(0.3)
    assert not stopping.done(), "it waits for what is held"
    toys.gate.set()
    await asyncio.wait_for(stopping, 10)

    held = await toy_ids(rig)
    assert held
    assert running.transport.is_healthy()
    await running.crash()
    assert await waiting_in(rig, "toys.in") == len(names) - len(held)


async def test_no_more_is_held_than_the_prefetch(rig: Rig, toys: Toys):
    """P15."""
    await rig.start(toys.room())
    extra = 40
    await rig.emit(ToyMade(toy_id="first", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    facts = [ToyMade(toy_id=f"t{n}", trouble="wait") for n in range(PREFETCH["in"] + extra - 1)]
    await rig.emit(*facts)

    async def rest_waits() -> bool:
        outbox_is_empty = not await rows(rig, "SELECT 1 FROM outbox LIMIT 1")
        return outbox_is_empty and await waiting_in(rig, "toys.in") == extra

    await eventually(rest_waits)
    await asyncio.sleep(0.2)
    assert await waiting_in(rig, "toys.in") == extra


async def test_a_request_nobody_waits_for_any_more_is_not_started(rig: Rig, toys: Toys):
    running = await rig.start(toys.room())
    late = {"x-event-id": "req_1", "x-deadline": int((time.time() - 1) * 1000)}

    await send_raw(rig, b'{"toy_id": "late"}', queue="toys.rpc", type="toys.make", headers=late)
    await send_raw(rig, b"not ours", queue="toys.rpc")
    await call(running, MakeToy(toy_id="in-time"))

    await eventually(lambda: effects_are(rig, ["heard-in-time", "in-time"]))
    await running.crash()
    assert await waiting_in(rig, "toys.rpc") == 0, "neither is held for another try"
