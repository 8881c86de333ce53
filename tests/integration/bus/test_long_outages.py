"""A database that is away for minutes or for days: no message is given up because of that."""

from __future__ import annotations

import pytest

from shared.bus import consumer
from shared.bus.fate import ATTEMPTS_MAX, Fate
from shared.contracts.base import Envelope
from shared.db.pool import open_pool
from tests.support.faults import CuttingProxy, heard, parked, toy_ids
from tests.support.rigs import CONTEXT, Rig, eventually
from tests.support.toys import Toys

LAST_TRY = Envelope("evt_1", "toy.made", b'{"toy_id":"bear"}', CONTEXT, attempt=ATTEMPTS_MAX)


@pytest.fixture
def rig(rabbit_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    # As if the half minute were over for which a message is held.
    monkeypatch.setattr(consumer, "DATABASE_WAIT_SECONDS", 0.0)
    return rabbit_rig


async def test_on_its_last_try_a_message_waits_for_the_database_and_is_not_buried(rig: Rig):
    ours = rig.pool
    async with CuttingProxy(rig.dsn) as proxy:
        rig.pool = await open_pool(proxy.dsn, name="away", size=2)
        running = await rig.start(Toys().room())
        proxy._server.close()
        proxy.drop()

        await running.transport.publish("event", LAST_TRY)

        async def waits() -> bool:
            found = await running.service.consumer.receive(
                LAST_TRY, lane="in", is_redelivered=False
            )
            assert found.fate is Fate.RETRY, found
            assert not found.is_counted
            return True

        await eventually(waits)
        await running.crash()
        rig.pool.terminate()

    rig.pool = ours
    await rig.start(Toys().room())

    async def is_heard() -> bool:
        return await toy_ids(rig) == heard(["bear"])

    await eventually(is_heard)
    assert await parked(rig) == []


async def test_an_outage_that_is_not_the_databases_still_has_an_end(rig: Rig):
    toys = Toys(failures_left=10_000)
    running = await rig.start(toys.room())
    trouble = Envelope(
        "evt_2", "toy.made", b'{"toy_id":"cat","trouble":"outage"}', CONTEXT, attempt=ATTEMPTS_MAX
    )

    settled = await running.service.consumer.receive(trouble, lane="in", is_redelivered=False)

    assert settled.fate is Fate.BURY
