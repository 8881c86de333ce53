"""P3: a driver may end a loop with `CancelledError`; whatever ends a loop ends the service."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from shared import loops
from shared.bus.consumer import Consumer
from shared.bus.rabbitmq import RabbitTransport
from shared.bus.relay import Relay
from shared.loops import Lag, LoopEnded, endless
from tests.support.toys import Toys


async def ends_by_itself() -> None:
    """A loop with a `return` that nobody meant."""


async def ends_as_if_it_were_cancelled() -> None:
    """What a frozen connection does to the coroutine that waits on it."""
    raise asyncio.CancelledError


ENDINGS = [ends_by_itself, ends_as_if_it_were_cancelled]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_loop_that_ends_is_an_error_that_names_it(ending: Any):
    with pytest.raises(LoopEnded, match="'poll' ended by itself"):
        await endless("poll", ending())


async def test_an_error_in_a_loop_stays_what_it_is():
    async def breaks() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await endless("poll", breaks())


async def test_cancelling_a_loop_is_no_error():
    task = asyncio.create_task(endless("poll", asyncio.sleep(60)))
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("loop", ["_publish_fresh", "_poll", "_delete_sent"])
async def test_each_loop_of_the_relay_takes_the_relay_with_it(
    loop: str, ending: Any, monkeypatch: pytest.MonkeyPatch
):
    nothing = cast(Any, None)
    relay = Relay(nothing, nothing, source="toys", instance="toys-1")
    monkeypatch.setattr(relay, loop, ending)

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5):
            await relay.run()

    assert raised.group_contains(LoopEnded)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_each_worker_of_the_consumer_takes_the_consumer_with_it(
    ending: Any, monkeypatch: pytest.MonkeyPatch
):
    nothing = cast(Any, None)
    consumer = Consumer(
        Toys().room(), nothing, source="toys", instance="toys-1",
        on_written=nothing, publish_answer=nothing,
    )  # fmt: skip
    monkeypatch.setattr(consumer, "_work", lambda *_: ending())

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5):
            await consumer.run()

    assert raised.group_contains(LoopEnded)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("line", ["_publishing", "_consuming"])
async def test_each_line_to_the_broker_takes_the_transport_with_it(
    line: str, ending: Any, monkeypatch: pytest.MonkeyPatch
):
    transport = RabbitTransport("amqp://127.0.0.1:1/", name="toys")
    monkeypatch.setattr(getattr(transport, line), "run", ending)

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(5):
            await transport.run()

    assert raised.group_contains(LoopEnded)


async def test_a_loop_that_is_held_up_is_measured_and_said_so(monkeypatch: pytest.MonkeyPatch):
    """P6: heartbeats share the loop."""
    monkeypatch.setattr(loops, "LAG_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(loops, "LAG_SECONDS_MAX", 0.2)
    lag = Lag()

    with capture_logs() as lines:
        watch = asyncio.create_task(lag.watch())
        await asyncio.sleep(0.05)
        said_of_a_quick_one = list(lines)
        time.sleep(0.3)
        async with asyncio.timeout(5):
            while not lines:
                await asyncio.sleep(0.01)
        watch.cancel()

    assert said_of_a_quick_one == []
    assert lines[0]["event"] == "loop.blocked"
    assert lines[0]["log_level"] == "warning"
    assert 0.2 < lines[0]["lag_seconds"] < 5
