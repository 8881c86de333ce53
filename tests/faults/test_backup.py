"""A backup of a shop that sells, restored into an empty one: nothing lost, nothing paid twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from services.rooms import DATABASES, ROLES
from shared.bus.addresses import connect_any
from tests.faults.crowds import Purchase, buy_on, until_settled, was_the_truth
from tests.faults.scenes import a_link, value
from tests.support.postgres import Databases
from tests.support.rabbit import Broker, FreshVhost
from tests.support.shops import FLINT, Shop, closed_shop

DEPLOY = Path("deploy").absolute()
SCRIPT_SECONDS = 90
SETTLE_SECONDS = "2"  # nothing here is ever held for longer


async def script(name: str, folder: Path, shop: Shop, **env: str) -> tuple[int, str]:
    """Run one of deploy/'s scripts in a shop's environment."""
    process = await asyncio.create_subprocess_exec(
        str(DEPLOY / name),
        str(folder),
        env=shop.env | {"FLINT": FLINT, "SETTLE_SECONDS": SETTLE_SECONDS} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SCRIPT_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # it took too long, or the test was given up
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started goes with it
            await process.wait()
    return process.returncode or 0, output.decode()


@pytest.fixture
async def empty_shop(
    tmp_path: Path, databases: Databases, broker: Broker, fresh_vhost: FreshVhost
) -> AsyncIterator[Shop]:
    """Databases without a table and a broker without a message."""
    shop = await closed_shop(tmp_path, databases, broker, await fresh_vhost(), is_migrated=False)
    yield shop
    await shop.stop()
    for name in DATABASES:
        await databases.drop(shop.database_url(name))


@pytest.mark.timeout(180)
async def test_a_backup_taken_while_the_shop_sells_is_restored_into_an_empty_one(
    rabbit_shop: Shop, empty_shop: Shop, tmp_path: Path
):
    folder = tmp_path / "backup"
    link = await a_link(rabbit_shop)
    crowd: list[Purchase] = []
    is_over = asyncio.Event()
    buyers = [
        asyncio.create_task(buy_on(rabbit_shop, link["payment_link_id"], crowd, is_over))
        for _ in range(4)
    ]
    while len(crowd) < 8:
        await asyncio.sleep(0.05)
    before = list(crowd)

    taken = await script("backup.sh", folder, rabbit_shop)
    during = len(crowd) - len(before)
    is_over.set()
    await asyncio.gather(*buyers)
    restored = await script("restore.sh", folder, empty_shop)
    unheard = [await value(empty_shop, role, "SELECT count(*) FROM outbox") for role in ROLES]
    await empty_shop.start()
    empty_shop.demo = rabbit_shop.demo  # keys are in the copy
    await until_settled(empty_shop, link["payment_link_id"])
    outcomes = await was_the_truth(empty_shop, before)
    again = Purchase(link["payment_link_id"])
    await again.make(empty_shop)

    print(f"sold before {len(before)}, during {during}, rows kept {unheard}\n{taken[1]}")
    assert taken[0] == 0, taken[1]
    assert restored[0] == 0, restored[1]
    assert during > 0, "it was taken from a shop that sold"
    assert sum(unheard) > 0, "what was sent meanwhile is in the copy"
    assert outcomes == {"paid": len(before)}
    assert sum(one.silences for one in crowd) == 0, "no buyer noticed"
    assert again.is_paid
    await empty_shop.audit()
    await rabbit_shop.audit()
    await _refuses(folder, rabbit_shop, empty_shop)


async def _refuses(folder: Path, full: Shop, restored: Shop) -> None:
    """What must never happen with a backup, on one that is there: each ends with one line."""
    code, said = await script("backup.sh", folder, full)
    assert (code, said) == (
        1, f"backup.sh: {folder} is there already: every backup gets a folder of its own\n",
    )  # fmt: skip
    code, said = await script("restore.sh", folder, full)
    assert (code, said) == (1, "restore.sh: the broker is not empty, or services are running\n")
    await restored.stop()
    code, said = await script("restore.sh", folder, restored)
    assert code == 1
    assert "links is not empty: restore into a fresh one" in said
    code, said = await script("backup.sh", folder.parent / "none", full, PG_BIN="/nowhere",
                              PATH="/usr/bin-without-it:/bin")  # fmt: skip
    assert code == 1, said
    archive = folder / "orders.dump"
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    code, said = await script("restore.sh", folder, restored)
    assert code == 1
    assert "is damaged: take another backup, nothing was changed" in said
    assert not (folder.parent / "none").exists()


async def test_a_shop_that_is_not_calm_is_not_copied(rabbit_shop: Shop, tmp_path: Path):
    """A message that waits in a retry queue is in no database; the backup gives up, and says so."""

    async with await connect_any(rabbit_shop.amqp_url, 10) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"{}"), "orders.in.retry.3")
        code, said = await rabbit_shop.flint("snapshot", "--patience-seconds", "2")
        queue = await channel.get_queue("orders.in.retry.3", ensure=False)
        await queue.purge()

    assert code == 2
    assert said == "flint: the queues were not calm in 2 s: see `flint doctor`\n"
