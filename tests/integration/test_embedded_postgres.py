"""The embedded server: it never outlives its flint, loses nothing, and explains itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from shared.db import child, embedded
from shared.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from shared.db.keeper import keep_running
from tests.support.servers import short_folder

PARENT = """
import asyncio, sys, asyncpg
from pathlib import Path
from shared.db.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    db = await asyncpg.connect(server.url("postgres"))
    await db.execute("CREATE TABLE IF NOT EXISTS tea (cups int)")
    await db.execute("INSERT INTO tea VALUES (1)")
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder("embedded") as folder:
        yield folder / "data"


async def cups(server: EmbeddedPostgres) -> int:
    db = await asyncpg.connect(server.url("postgres"))
    try:
        return int(await db.fetchval("SELECT count(*) FROM tea"))
    finally:
        await db.close()


async def execute(server: EmbeddedPostgres, sql: str) -> None:
    db = await asyncpg.connect(server.url("postgres"))
    try:
        await db.execute(sql)
    finally:
        await db.close(timeout=5)


async def work(server: EmbeddedPostgres, rounds: int) -> None:
    """A backend that computes and looks at nothing else meanwhile."""
    loop = f"FOR i IN 1..{rounds} LOOP PERFORM md5(i::text); END LOOP"
    await execute(server, f"DO $$ BEGIN {loop}; END $$")


async def at_work(server: EmbeddedPostgres) -> None:
    db = await asyncpg.connect(server.url("postgres"))
    sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
    async with asyncio.timeout(10):
        while not await db.fetchval(sql):
            await asyncio.sleep(0.02)
    await db.close()


async def started_and_stopped(folder: Path) -> None:
    async with EmbeddedPostgres(folder, extra={"fsync": "off"}):
        pass


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
            await asyncio.sleep(0.02)


async def killed_after_one_row(folder: Path) -> int:
    argv = [sys.executable, "-c", PARENT, str(folder)]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        server = int(await asyncio.to_thread(parent.stdout.readline))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    return server


async def test_kill_9_of_flint_leaves_no_server_and_loses_no_row(folder):
    server = await killed_after_one_row(folder)

    await gone(server)

    async with EmbeddedPostgres(folder) as again:
        assert await cups(again) == 1


async def test_a_start_right_after_kill_9_finds_every_row(folder):
    for _ in range(3):
        await killed_after_one_row(folder)

    async with EmbeddedPostgres(folder) as again:
        assert await cups(again) == 3


async def test_a_start_waits_for_the_backends_of_a_server_that_was_killed(folder):
    """They still hold its memory: PostgreSQL refuses to start, and nothing is damaged."""
    async with EmbeddedPostgres(folder, extra={"fsync": "off"}) as first:
        busy = asyncio.create_task(work(first, 1_000_000))
        await at_work(first)
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await first.ended()

        await first.start_again()

        await asyncio.gather(busy, return_exceptions=True)
        await execute(first, "SELECT 1")


async def test_a_server_that_ends_is_started_again(folder):
    async with EmbeddedPostgres(folder, extra={"fsync": "off"}) as server:
        await execute(server, "CREATE TABLE tea (cups int); INSERT INTO tea VALUES (1)")
        keeping = asyncio.create_task(keep_running(server))
        for _ in range(2):
            was = server.pid
            assert was is not None
            os.kill(was, signal.SIGKILL)
            async with asyncio.timeout(15):
                while server.pid == was or not await server.answers():
                    await asyncio.sleep(0.02)
        keeping.cancel()

        assert await cups(server) == 1


async def test_a_server_that_keeps_ending_is_one_clear_line(folder):
    async with EmbeddedPostgres(folder, extra={"fsync": "off"}) as server:
        (folder / "data" / "postgresql.conf").write_text("max_connections = tea\n")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)

        with pytest.raises(EmbeddedPostgresError, match="keeps ending") as caught:
            async with asyncio.timeout(15):
                await keep_running(server, pauses=(0.0, 0.1))

    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_commits_are_durable_unless_a_test_says_otherwise(folder):
    async with EmbeddedPostgres(folder) as server:
        db = await asyncpg.connect(server.url("postgres"))

        assert await db.fetchval("SHOW fsync") == "on"
        assert await db.fetchval("SHOW synchronous_commit") == "on"
        await db.close()


async def test_a_second_flint_on_the_same_folder_is_told_so(folder):
    async with EmbeddedPostgres(folder):
        with pytest.raises(EmbeddedPostgresError, match=f"Another flint is running on {folder}"):
            await EmbeddedPostgres(folder).start()


async def test_a_damaged_folder_is_named_with_the_next_step(folder):
    await started_and_stopped(folder)
    (folder / "data" / "global" / "pg_control").unlink()

    with pytest.raises(EmbeddedPostgresError, match="restore the folder from a backup") as caught:
        await EmbeddedPostgres(folder).start()

    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_folder_of_another_major_version_is_refused(folder):
    await started_and_stopped(folder)
    (folder / "data" / "PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedPostgresError, match="written by PostgreSQL 15"):
        await EmbeddedPostgres(folder).start()


async def test_a_file_left_behind_by_a_dead_server_is_no_obstacle(folder):
    await started_and_stopped(folder)
    (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}/data\n")

    await started_and_stopped(folder)


async def test_a_first_start_that_died_half_way_is_repeated(folder):
    (folder / "data.new" / "base").mkdir(parents=True)

    await started_and_stopped(folder)


async def test_a_path_too_long_for_a_socket_still_works(folder):
    await started_and_stopped(folder / ("long" * 30))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets folders closed to other users")
async def test_root_may_keep_the_data_below_a_closed_folder(folder):
    folder.mkdir(mode=0o700)

    await started_and_stopped(folder / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets folders closed to other users")
async def test_root_without_user_namespaces_is_told_where_to_go(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(child, "CLONE_NEWUSER", -1)

    with pytest.raises(EmbeddedPostgresError, match="from a folder open to all"):
        await EmbeddedPostgres(folder / "data").start()


async def test_without_the_wheel_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)

    with pytest.raises(EmbeddedPostgresError, match="--extra embedded"):
        await EmbeddedPostgres(folder).start()


async def test_what_grows_from_nothing_is_counted_within_seconds(folder):
    async with EmbeddedPostgres(folder, extra={"fsync": "off"}) as server:
        await execute(
            server, "CREATE TABLE tea (cups int); INSERT INTO tea SELECT generate_series(1, 1000)"
        )
        counted = "SELECT reltuples FROM pg_class WHERE relname = 'tea'"
        db = await asyncpg.connect(server.url("postgres"))
        async with asyncio.timeout(30):
            while await db.fetchval(counted) != 1000:
                await asyncio.sleep(0.05)
        await db.close()
