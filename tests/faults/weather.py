"""Bad weather: what surrounds a service is wrong, missing or full, and how the service says so."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import glob
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from tests.faults.crowds import Purchase
from tests.faults.scenes import Broken
from tests.support.rigs import eventually
from tests.support.shops import FLINT, Shop

START_SECONDS: Final = 30.0
FAKETIME: Final = "/usr/lib/*/faketime/libfaketime.so.1"


def with_env(shop: Shop, **env: str) -> Shop:
    """The same shop; what is started through this one gets a changed environment."""
    return dataclasses.replace(shop, env=shop.env | env)


async def says(
    shop: Shop, role: str, event: str, words: str = "", *, after: int = 0
) -> dict[str, Any]:
    """Wait until a service has said this in one line of its log; the line."""

    async def said() -> dict[str, Any] | None:
        for line in shop.log(role)[after:].splitlines():
            if f'"{event}"' in line and words in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return None

    try:
        found: dict[str, Any] = await eventually(said, START_SECONDS)
    except AssertionError:
        log = shop.log(role)[-1500:]
        raise AssertionError(f"{role} never said {event} {words}: {log}") from None
    return found


async def refused(shop: Shop, role: str, **env: str) -> str:
    """The only line of a start that is refused; an empty value takes a variable away."""
    process = await asyncio.create_subprocess_exec(
        FLINT, "serve", role,
        env={name: value for name, value in (shop.env | env).items() if value},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode == 2, output.decode()
    (line,) = output.decode().splitlines()
    return line


async def sells(broken: Broken, link_id: str) -> None:
    """Somebody buys, and gets an answer."""
    for role in broken.shop.processes:
        await broken.until_consumed(f"{role}.in")
    one = Purchase(link_id)
    await one.make(broken.shop)
    assert one.is_paid, one


async def as_admin(broken: Broken, *statements: str) -> None:
    """What the administrator of the PostgreSQL does."""
    db = await asyncpg.connect(broken.postgres.url("postgres"), timeout=10)
    try:
        for statement in statements:
            await db.execute(statement)
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def asked_for_password(broken: Broken, role: str) -> AsyncIterator[None]:
    """The embedded server trusts everybody; this role has to show its password."""
    rules = broken.postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all {role} scram-sha-256\n{before}")
    await as_admin(broken, "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        rules.write_text(before)
        await as_admin(broken, "SELECT pg_reload_conf()")


@contextlib.contextmanager
def small_disk(megabytes: int, owner: int) -> Iterator[Path]:
    """A file system of its own, that a test can fill."""
    folder = Path(f"/tmp/flint-small-{os.getpid()}")
    folder.mkdir(mode=0o755)
    options = f"size={megabytes}m,uid={owner},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here: the full disk was not tried")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
        folder.rmdir()


def fill(folder: Path) -> Path:
    """Leave no byte free; the file that takes them."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
            file.flush()
    return ballast


def wrong_clock(hours: float) -> dict[str, str]:
    """The environment of a process whose machine's clock is off; its steady clock is right."""
    found = glob.glob(FAKETIME)
    if not found:
        pytest.skip("faketime is not installed: the wrong clock was not tried")
    return {
        "LD_PRELOAD": found[0],
        "FAKETIME": f"{hours * 3600:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
