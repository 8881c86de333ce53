"""A new version is rolled out under load: no request fails, nothing is dead-lettered."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import subprocess

from tests.faults.crowds import Purchase, buy_on, until_settled, was_the_truth
from tests.faults.scenes import Broken, a_link
from tests.support.proxy import Proxy
from tests.support.shops import STOP_SECONDS, Shop, free_port


async def test_every_service_is_replaced_under_load_and_no_request_fails(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    crowd: list[Purchase] = []
    is_over = asyncio.Event()
    async with Proxy(shop.url) as door:  # What a load balancer does: new lines to the new one.
        shown = dataclasses.replace(shop, url=door.url)
        buyers = [
            asyncio.create_task(buy_on(shown, link["payment_link_id"], crowd, is_over))
            for _ in range(4)
        ]
        codes = {role: await _replace(broken, role) for role in ("links", "sessions", "orders")}
        codes["gateway"] = await _replace_gateway(shop, door)
        is_over.set()
        await asyncio.gather(*buyers)

    await until_settled(shop)
    outcomes = await was_the_truth(shop, crowd)
    print(outcomes)
    assert codes == dict.fromkeys(("links", "sessions", "orders", "gateway"), 0)
    assert outcomes == {"paid": len(crowd)}
    assert sum(one.silences for one in crowd) == 0
    assert await broken.dead_letters() == 0
    await shop.audit()


async def test_a_stop_alone_lets_nothing_fall(broken: Broken) -> None:
    """No replacement is there: what was taken is finished, what waits is done after the start."""
    shop = broken.shop
    link = await a_link(shop)
    crowd = [Purchase(link["payment_link_id"]) for _ in range(12)]
    buying = [asyncio.create_task(one.make(shop)) for one in crowd]
    await asyncio.wait(buying, return_when=asyncio.FIRST_COMPLETED)

    codes = await shop.stop()
    await shop.start()
    await asyncio.gather(*buying)
    await until_settled(shop)

    assert set(codes.values()) == {0}
    assert await was_the_truth(shop, crowd) == {"paid": len(crowd)}
    assert await broken.dead_letters() == 0
    await shop.audit()


async def _replace(broken: Broken, role: str) -> int:
    old = broken.shop.processes.pop(role)
    await broken.shop.start(role)
    await broken.until_consumed(f"{role}.in", by=2)
    return await _stopped(old)


async def _replace_gateway(shop: Shop, door: Proxy) -> int:
    old, port = shop.processes.pop("gateway"), free_port()
    shop.env["FLINT_PORT"] = str(port)
    shop.url = f"http://localhost:{port}"
    await shop.start("gateway")
    door.upstream = shop.url
    return await _stopped(old)


async def _stopped(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait, STOP_SECONDS)
