"""`flint run` as a newcomer meets it: quick, talkative, and plain about what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.db.embedded import EmbeddedPostgres
from tests.support.buying import pay_order, resolve
from tests.support.servers import short_folder
from tests.support.shops import FLINT, Shop, free_port, open_local_shop


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder("run") as path:
        yield path


async def outcome(env: dict[str, str], *argv: str) -> tuple[int, str]:
    """Exit code and everything it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLINT_")}
    process = await asyncio.create_subprocess_exec(
        FLINT, *argv, env=clean | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode or 0, output.decode()


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_it_keeps_everything_over_a_stop_and_a_start(folder: Path) -> None:
    async with open_local_shop(folder) as shop:
        key, link = shop.api_key, shop.demo["links"]["standard"]
        bought = await resolve(shop)
        codes = await shop.stop()
        path = folder / "data" / "demo.json"
        older = json.loads(path.read_text())
        del older["links"]["donation"]  # as a version without it wrote the file
        path.write_text(json.dumps(older))

        await shop.start()

        assert codes == {"run": 0}
        demo = json.loads(path.read_text())
        assert (demo["api_key"], demo["links"]["standard"]) == (key, link)
        assert "donation" in demo["links"]
        assert (await pay_order(shop, bought.order_id, "tok_visa"))["status"] == "paid"
        await shop.audit()


async def test_kill_9_leaves_no_postgresql_and_loses_nothing(folder: Path) -> None:
    async with open_local_shop(folder) as shop:
        bought = await resolve(shop)
        server = server_pid(shop)

        shop.kill("run")

        deadline = time.monotonic() + 15
        while is_alive(server):
            assert time.monotonic() < deadline, "PostgreSQL outlived the process that started it"
            await asyncio.sleep(0.05)
        await shop.start()
        assert (await pay_order(shop, bought.order_id, "tok_visa"))["status"] == "paid"
        await shop.audit()


async def test_a_postgresql_that_is_killed_comes_back_by_itself(folder: Path) -> None:
    async with open_local_shop(folder) as shop:
        bought = await resolve(shop)
        server = server_pid(shop)

        os.kill(server, signal.SIGKILL)

        async with asyncio.timeout(20):
            while server_pid(shop) in (0, server):
                await asyncio.sleep(0.05)
        await shop.ready()
        assert (await pay_order(shop, bought.order_id, "tok_visa"))["status"] == "paid"
        await shop.audit()


async def test_the_demo_file_says_what_a_newcomer_wants(folder: Path) -> None:
    async with open_local_shop(folder) as shop:
        demo = shop.demo

        assert set(demo) == {"url", "api_key", "merchant_id", "links", "order_id"}
        assert demo["url"] == shop.url
        assert set(demo["links"]) >= {"standard", "donation", "adjustable", "event", "plan"}
        for link in demo["links"].values():
            assert set(link) == {"payment_link_id", "url"}
        for word in (demo["url"], demo["api_key"], demo["links"]["standard"]["url"]):
            assert word in shop.log("run")


async def test_a_taken_port_is_one_clear_line(folder: Path) -> None:
    with taken_port() as port:
        env = {"FLINT_PORT": str(port), "FLINT_DATA": str(folder)}

        code, output = await outcome(env, "run")

    assert code == 2
    assert output.splitlines() == [output.strip()]
    assert str(port) in output
    assert "FLINT_PORT" in output


async def test_a_damaged_data_folder_is_one_clear_line(folder: Path) -> None:
    env = {"FLINT_PORT": str(free_port()), "FLINT_DATA": str(folder)}
    async with EmbeddedPostgres(folder / "postgres"):
        pass
    (folder / "postgres" / "data" / "PG_VERSION").unlink()

    code, output = await outcome(env, "run")

    said = [line for line in output.splitlines() if line.startswith("flint: ")]
    assert code == 2
    assert len(said) == 1
    assert "Traceback" not in output
    assert str(folder) in said[0]


async def test_a_misspelt_variable_stops_the_start_and_is_named(folder: Path) -> None:
    env = {"FLINT_DATA": str(folder), "FLINT_PROT": "8081"}

    code, output = await outcome(env, "run")

    assert code == 2
    assert "FLINT_PROT" in output


async def test_serve_names_every_missing_variable_at_once() -> None:
    code, output = await outcome({}, "serve", "orders")

    assert code == 2
    for name in (
        "FLINT_ORDERS_DATABASE_URL",
        "FLINT_ORDERS_AMQP_URL",
        "FLINT_SANDBOX_DATABASE_URL",
    ):
        assert name in output
    assert "LINKS" not in output


async def test_help_teaches() -> None:
    code, output = await outcome({}, "--help")

    assert code == 0
    assert {"run", "serve", "audit", "topology", "migrate"} <= set(output.split())


def server_pid(shop: Shop) -> int:
    """The embedded server's process, as its own lock file names it; 0 while there is none."""
    pid_file = shop.folder / "data" / "postgres" / "data" / "postmaster.pid"
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError):
        return 0  # it is about to start


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return True
