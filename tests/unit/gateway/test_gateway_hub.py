"""Wake-ups: who listens first and looks then misses nothing; nobody waits for ever."""

from __future__ import annotations

import asyncio

from services.gateway.hub import Hub
from services.gateway.room import room
from shared.contracts import OWNERS, events_of
from shared.contracts.links import ClaimSettled
from shared.contracts.orders import OrderPaid


async def test_what_is_told_after_listening_is_not_missed():
    hub = Hub()

    with hub.listen("cs_1", "ord_1") as bell:
        hub.tell("ord_1")
        heard = await bell.wait(0.01)
        heard_again = await bell.wait(0.01)

    assert (heard, heard_again) == (True, False)


async def test_other_keys_do_not_ring():
    hub = Hub()

    waiter = asyncio.create_task(hub.wait("cs_1", 0.02))
    await asyncio.sleep(0)
    hub.tell("cs_2", None, "")

    assert await waiter is False


async def test_until_looks_again_as_soon_as_it_is_told():
    hub, looks = Hub(), []

    async def look():
        looks.append(1)
        return "there" if len(looks) > 3 else None

    async def ring():
        while True:
            hub.tell("cs_1")
            await asyncio.sleep(0)

    ringing = asyncio.create_task(ring())
    async with asyncio.timeout(0.5):
        found = await hub.until("cs_1", look, seconds=30)
    ringing.cancel()

    assert found == "there"


async def test_until_also_paces_itself_and_gives_up_in_time():
    looks = []

    async def look() -> str | None:
        looks.append(1)
        return None

    assert await Hub().until("cs_1", look, seconds=0.1) is None
    assert len(looks) >= 4


async def test_a_bell_too_many_only_paces():
    hub = Hub(bells_max=1)

    with hub.listen("a"), hub.listen("a") as silent:
        hub.tell("a")
        assert await silent.wait(0.01) is False
    with hub.listen("a") as bell:
        hub.tell("a")
        assert await bell.wait(0.01) is True


async def test_nothing_is_left_of_who_has_gone():
    hub = Hub()

    with hub.listen("a", "b"):
        pass
    hub.tell("a", "b")

    assert not hub._bells


def test_the_room_records_every_public_event_and_no_other():
    recorded = room(Hub()).recorded

    assert set(recorded) == {
        kind for service in set(OWNERS.values()) for kind in events_of(service) if kind.public
    }
    assert OrderPaid in recorded
    assert ClaimSettled not in recorded
