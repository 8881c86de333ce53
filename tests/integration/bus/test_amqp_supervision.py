"""Losing and finding the broker: what is missing turns health red, and comes back by itself.

| rule | what it is | how it is covered |
|---|---|---|
| P3 | a frozen connection cancels its users | test_a_line_that_…, faults, unit/bus/test_loops |
| P11 | a queue that differs: endless, silent outage | test_a_deleted_…, test_a_service_lives_… |
| P13 | one missing exchange fails all in flight | test_a_missing_exchange_… |
| P17 | the first connect decides; no jitter | test_reconnecting_…, test_a_service_whose_… |
| P18 | losses are logged at DEBUG | test_a_deleted_queue_… (health), unit/test_logs |
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import aiohttp
import pytest

from shared.bus.line import Line
from shared.bus.topology import EVENTS, permissions, queues_of
from tests.support.faults import a_paint, broker_channel, effects_are, heard, redeclare, rows
from tests.support.rabbit import Broker
from tests.support.rigs import DELAYS, Rig, Running, call, eventually
from tests.support.toys import MakeToy, ToyMade, Toys


@pytest.fixture
def rig(rabbit_rig: Rig) -> Rig:
    return rabbit_rig


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


async def health_is(running: Running, expected: bool) -> bool:
    return running.transport.is_healthy() is expected


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
