"""What RabbitMQ and its client do to those who trust them, and that the bus does not.

| rule | what it is | how it is covered |
|---|---|---|
| P1 | two publishes under one message id swap their fates | test_of_one_fact_sent_to_two_… |
| P2 | an unroutable publish looks well | test_of_one_fact_…, test_a_fact_nobody_… |
| P3 | a frozen connection cancels its users | test_a_line_that_…, faults, unit/bus/test_loops |
| P4 P5 | without confirmation: neither sent nor unsent | test_amqp_faults |
| P6 | a dead link is noticed after three heartbeats | test_amqp_faults (asked of the broker) |
| P7 | a lost connection cancels handlers half way | test_amqp_faults, test_transport_exam |
| P8 | a cancelled handler dead-letters a good message | test_a_handler_cancelled_by_… |
| P9 | closing under handlers kills the connection | test_stopping_acknowledges_… |
| P10 | callbacks for returns are lost on reconnect | unit/test_house_rules, test_amqp_faults |
| P11 | a queue that differs: endless, silent outage | test_a_deleted_…, test_a_service_lives_… |
| P12 | direct reply-to is restored wrongly | test_amqp_faults (asked after each disconnect) |
| P13 | one missing exchange fails all in flight | test_a_missing_exchange_… |
| P14 | each channel leaks | test_amqp_faults (counted by the broker) |
| P15 | everything is delivered at once | test_no_more_is_held_than_the_prefetch |
| P16 P19 | iterators lose messages; `patterns` pickle | unit/test_house_rules |
| P17 | the first connect decides; no jitter | test_reconnecting_…, test_a_service_whose_… |
| P18 | losses are logged at DEBUG | test_a_deleted_queue_… (health), unit/test_logs |
| P20 | a slow callback blocks the reader | unit/test_house_rules (none of them waits) |
| a2 | a full queue refuses: back off, keep the row | test_a_full_queue_… |
| a2 | nobody waits any more: do not start | test_a_request_nobody_waits_for_… |
| b | permanent failures leave the relay's way | test_a_fact_nobody_hears_is_parked_… |
| F12 | poison | test_poison |
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiohttp
import orjson
import pytest

from shared.bus import relay
from shared.bus.consuming import PREFETCH
from shared.bus.declare import apply
from shared.bus.line import Line
from shared.bus.topology import EVENTS, permissions, queues_of
from shared.bus.transport import NotConfirmed, Unroutable
from shared.contracts.base import Envelope
from tests.support.faults import (
    ToyLost,
    broker_channel,
    heard,
    parked,
    redeclare,
    reset,
    rows,
    send_raw,
    shared_rig,
    toy_ids,
    waiting_in,
)
from tests.support.postgres import Databases
from tests.support.rabbit import Broker, Vhosts
from tests.support.rigs import CONTEXT, DELAYS, Rig, Running, call, eventually
from tests.support.toys import MakeToy, PaintToy, ToyMade, Toys


@pytest.fixture(scope="module")
async def module_rig(databases: Databases, broker: Broker, vhosts: Vhosts) -> AsyncIterator[Rig]:
    async with shared_rig("rabbitmq", databases, vhosts, broker.api_url) as rig:
        yield rig


@pytest.fixture
async def rig(module_rig: Rig) -> AsyncIterator[Rig]:
    yield module_rig
    await reset(module_rig)


@pytest.fixture
def toys() -> Toys:
    return Toys()


def a_fact(message_id: str, toy_id: str, topic: str = "toy.made") -> Envelope:
    body = orjson.dumps({"toy_id": toy_id})
    return Envelope(message_id, topic, body, CONTEXT, source="toys", subject=toy_id, sequence=1)


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


async def test_a_deleted_queue_turns_health_red_until_it_is_declared_again(
    rig: Rig, toys: Toys, broker: Broker
):
    """P11, P18, F22."""
    running = await rig.start(toys.room())
    async with broker_channel(rig) as channel:
        await channel.queue_delete("toys.in", timeout=5)

    await eventually(lambda: health_is(running, False), 10)
    await asyncio.sleep(0.5)
    assert not running.transport.is_healthy(), "it may not flap while the queue is missing"
    await redeclare(rig, broker.api_url)
    await eventually(lambda: health_is(running, True), 10)

    await rig.emit(ToyMade(toy_id="bear"))
    await eventually(lambda: effects_are(rig, heard(["bear"])))


async def test_a_missing_exchange_turns_health_red_and_loses_nothing(
    rig: Rig, toys: Toys, broker: Broker
):
    """P13: every publish in flight fails with it, and all of them stay in the outbox."""
    running = await rig.start(toys.room())
    async with broker_channel(rig) as channel:
        await channel.exchange_delete(EVENTS, timeout=5)
    names = [f"t{number}" for number in range(10)]
    await rig.emit(*(ToyMade(toy_id=name) for name in names))

    await eventually(lambda: health_is(running, False))
    await asyncio.sleep(0.5)
    assert not running.transport.is_healthy(), "it may not flap while the exchange is missing"
    assert len(await rows(rig, "SELECT 1 FROM outbox")) == len(names)
    await redeclare(rig, broker.api_url)

    await eventually(lambda: effects_are(rig, heard(names)), 20)


async def test_a_service_whose_queues_are_not_there_yet_waits_for_them(
    rig: Rig, toys: Toys, broker: Broker
):
    """P17: start order does not matter."""
    async with broker_channel(rig) as channel:
        for spec in queues_of(toys.room(), DELAYS):
            await channel.queue_delete(spec.name, timeout=5)

    running = await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="bear"))
    await eventually(lambda: health_is(running, False))
    await redeclare(rig, broker.api_url)

    await eventually(lambda: effects_are(rig, heard(["bear"])), 20)


async def test_a_service_lives_with_a_user_who_may_declare_nothing(
    rig: Rig, toys: Toys, broker: Broker
):
    """P11, b: what it may do is exactly what it does; other rooms' queues are not its own."""
    name, url = await a_user(broker, rig, permissions(toys.room()))
    restricted = Rig("rabbitmq", toys.room(), rig.dsn, url, rig.pool)
    try:
        running = await restricted.start(toys.room())
        await call(running, MakeToy(toy_id="bear"))
        await running.transport.publish("effect", a_paint("bear"))
        await eventually(lambda: effects_are(rig, ["bear", "heard-bear", "red-bear"]))

        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            with pytest.raises(aio_pika.exceptions.ChannelClosed, match="ACCESS_REFUSED"):
                await channel.declare_queue("links.in", durable=True, timeout=5)
    finally:
        await restricted.close()
        await management(broker, "DELETE", f"users/{name}")


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


async def test_reconnecting_slows_down_and_never_keeps_step(monkeypatch: pytest.MonkeyPatch):
    """P17: jittered, from a tenth of a second up; the first failure is no end."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            raise InterruptedError

    async def set_up(_: Line) -> None:
        raise AssertionError("nobody listens there")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(InterruptedError):
        await Line("amqp://127.0.0.1:1/", "test", set_up).run()

    steps = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert all(0.8 * s <= p <= 1.2 * s for s, p in zip(steps, pauses, strict=True))
    assert len({pause / step for pause, step in zip(pauses, steps, strict=True)}) > 1


async def test_a_line_that_dies_while_it_is_set_up_is_set_up_again(rig: Rig):
    """P3: the driver may say "cancelled" there, too, though nobody cancelled."""
    lives: list[int] = []

    async def set_up(_: Line) -> None:
        lives.append(len(lives))
        if len(lives) == 1:
            raise asyncio.CancelledError

    tried_twice = Line(rig.amqp_url, "test", set_up)
    running = asyncio.create_task(tried_twice.run())
    try:
        await tried_twice.ready(5)
        assert lives == [0, 1]
    finally:
        running.cancel()
        await asyncio.wait([running])
        await tried_twice.close()


async def test_a_line_ends_though_its_set_up_forgot_the_cancellation(rig: Rig):
    """P3, the other way round: or a service that was told to stop would stay for ever."""
    is_setting_up = asyncio.Event()

    async def set_up(_: Line) -> None:
        is_setting_up.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return  # as `wait_for` does when the broker's answer comes in the same turn

    forgetful = Line(rig.amqp_url, "test", set_up)
    running = asyncio.create_task(forgetful.run())
    await asyncio.wait_for(is_setting_up.wait(), 10)
    running.cancel()
    await asyncio.wait([running], timeout=5)

    assert running.cancelled()
    await forgetful.close()


async def test_a_request_nobody_waits_for_any_more_is_not_started(rig: Rig, toys: Toys):
    running = await rig.start(toys.room())
    late = {"x-event-id": "req_1", "x-deadline": int((time.time() - 1) * 1000)}

    await send_raw(rig, b'{"toy_id": "late"}', queue="toys.rpc", type="toys.make", headers=late)
    await send_raw(rig, b"not ours", queue="toys.rpc")
    await call(running, MakeToy(toy_id="in-time"))

    await eventually(lambda: effects_are(rig, ["heard-in-time", "in-time"]))
    await running.crash()
    assert await waiting_in(rig, "toys.rpc") == 0, "neither is held for another try"


async def health_is(running: Running, expected: bool) -> bool:
    return running.transport.is_healthy() is expected


async def effects_are(rig: Rig, expected: list[str]) -> bool:
    return await toy_ids(rig) == sorted(expected)


def a_paint(toy_id: str) -> Envelope:
    message = PaintToy(toy_id=toy_id, colour="red")
    return Envelope(f"evt_{toy_id}", message.topic, message.to_json(), CONTEXT)


async def a_user(broker: Broker, rig: Rig, rights: dict[str, str]) -> tuple[str, str]:
    """A broker user with these rights on the rig's virtual host, and its address."""
    name, password = f"test-{secrets.token_hex(3)}", secrets.token_hex(8)
    parts = urlsplit(rig.amqp_url)
    vhost = parts.path.removeprefix("/")
    await management(broker, "PUT", f"users/{name}", {"password": password, "tags": ""})
    await management(broker, "PUT", f"permissions/{vhost}/{name}", rights)
    host = parts.netloc.rpartition("@")[2]
    return name, parts._replace(netloc=f"{name}:{password}@{host}").geturl()


async def management(broker: Broker, method: str, path: str, body: Any = None) -> None:
    parts = urlsplit(broker.api_url)
    login = {"Authorization": aiohttp.encode_basic_auth(parts.username or "", parts.password or "")}
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"/api/{path}").geturl()
    async with aiohttp.ClientSession(headers=login, raise_for_status=True) as http:
        await http.request(method, url, json=body)
