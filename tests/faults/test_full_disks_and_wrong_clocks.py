"""A disk that is full and clocks that are hours apart: honest refusals, and nothing lost."""

from __future__ import annotations

import asyncio
import shutil
import stat
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.faults.crowds import a_crowd, seeded, until_settled, was_the_truth
from tests.faults.scenes import Broken, a_link, value
from tests.faults.weather import as_admin, fill, says, sells, small_disk, with_env, wrong_clock
from tests.support.shops import free_port


async def test_a_full_disk_stops_sales_and_loses_none(broken: Broken):
    """Of orders' database; what cannot be written is refused, or waits in a queue."""
    shop = broken.shop
    link = await a_link(shop)
    crowd = a_crowd(seeded(), 12, [link["payment_link_id"]])
    name = urlsplit(shop.database_url("orders")).path.removeprefix("/")
    owner = (broken.postgres.folder / "data").stat().st_uid
    with small_disk(48, owner) as disk:
        (disk / "space").mkdir(mode=stat.S_IRWXU)
        shutil.chown(disk / "space", owner)
        await shop.stop("orders")
        await as_admin(
            broken,
            f"CREATE TABLESPACE small LOCATION '{disk}/space'",
            f'ALTER DATABASE "{name}" SET TABLESPACE small',
        )
        await broken.restart("orders")
        ballast = fill(disk)
        buying = [asyncio.create_task(one.make(shop)) for one in crowd]
        line = await says(shop, "orders", "database.waiting", "DiskFullError")

        ballast.unlink()
        await asyncio.gather(*buying)
        await until_settled(shop)
        outcomes = await was_the_truth(shop, crowd)
        await shop.stop("orders")
        await as_admin(
            broken, f'ALTER DATABASE "{name}" SET TABLESPACE pg_default', "DROP TABLESPACE small"
        )
    await broken.restart("orders")

    assert "53100" in line["reason"]
    assert outcomes["paid"] > 0, outcomes
    assert await broken.dead_letters() == 0
    await sells(broken, link["payment_link_id"])


@pytest.mark.timeout(120)
async def test_machines_whose_clocks_are_hours_apart_sell_all_the_same(broken: Broken):
    """Both ways, so that every question and every token crosses between times."""
    shop = broken.shop
    link = await a_link(shop)
    await shop.stop("gateway", "orders", "links")
    port = free_port()
    with_env(shop, **wrong_clock(+1))._spawn("gateway")
    with_env(shop, **wrong_clock(-1), FLINT_INTERNAL_PORT=str(port))._spawn("orders")
    with_env(shop, **wrong_clock(+24))._spawn("links")
    await shop.ready()
    ahead = await says(shop, "gateway", "clock.wrong")
    behind = await says(shop, "orders", "clock.wrong")

    began = datetime.now(UTC)
    await sells(broken, link["payment_link_id"])
    paid_at = await value(shop, "orders", "SELECT max(updated_at) FROM orders")
    expires_at = await value(shop, "sessions", "SELECT max(expires_at) FROM sessions")
    warned = await _warnings(port)
    await until_settled(shop)
    await shop.stop("gateway", "orders", "links")
    await broken.restart("gateway", "orders", "links")

    assert "3600 s ahead of the database's: set it by NTP" in ahead["reason"]
    assert "3600 s behind the database's" in behind["reason"]
    assert warned == [behind["reason"]]
    assert abs(paid_at - began) < timedelta(minutes=1)
    assert timedelta(0) < expires_at - began < timedelta(days=2)
    await shop.audit()


async def _warnings(port: int) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/readyz") as answer,
    ):
        found: list[str] = (await answer.json()).get("warnings", [])
        return found
