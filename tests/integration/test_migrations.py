"""Migrations: replicas may boot together, and nothing surprising is ever run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.db.migrate import (
    MigrationError,
    Schema,
    ensure_database,
    examine,
    migrate,
    pending,
)
from shared.errors import Unavailable
from tests.conftest import FreshDatabase
from tests.support.postgres import PostgresServer

START = "-- migrate:up\nCREATE TABLE tea (cups int);\n-- migrate:down\nDROP TABLE tea;\n"
INDEX = (
    "-- migrate:up transaction:false\n"
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS tea_cups ON tea (cups);\n"
)


@pytest.fixture
def links(tmp_path: Path) -> Path:
    folder = tmp_path / "links" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_start.sql").write_text(START)
    (folder / "0002_index.sql").write_text(INDEX)
    return folder


async def test_four_replicas_booting_together_migrate_once(fresh_database: FreshDatabase, links):
    dsn = await fresh_database()

    applied = await asyncio.gather(*(migrate(dsn, [links]) for _ in range(4)))

    assert sorted(applied) == [[], [], [], ["links/0001_start.sql", "links/0002_index.sql"]]


async def test_rooms_share_one_ledger_and_keep_their_order(
    fresh_database: FreshDatabase, links, tmp_path
):
    bus = tmp_path / "bus" / "migrations"
    bus.mkdir(parents=True)
    (bus / "0001_start.sql").write_text("-- migrate:up\nCREATE TABLE outbox (id int);")
    dsn = await fresh_database()

    await migrate(dsn, [bus])

    assert await pending(dsn, [bus, links]) == ["links/0001_start.sql", "links/0002_index.sql"]
    assert await migrate(dsn, [bus, links]) == ["links/0001_start.sql", "links/0002_index.sql"]
    assert await pending(dsn, [bus, links]) == []


async def test_a_file_edited_after_it_was_applied_is_refused(fresh_database: FreshDatabase, links):
    dsn = await fresh_database(links)
    (links / "0001_start.sql").write_text(START.replace("int", "bigint"))

    with pytest.raises(MigrationError, match=r"links/0001_start\.sql was edited"):
        await migrate(dsn, [links])


async def test_a_database_newer_than_the_code_is_refused(fresh_database: FreshDatabase, links):
    dsn = await fresh_database(links)
    (links / "0002_index.sql").unlink()

    with pytest.raises(MigrationError, match=r"newer than this flint.*links/0002_index\.sql"):
        await migrate(dsn, [links])


async def test_the_release_before_runs_on_a_database_that_only_grew(
    fresh_database: FreshDatabase, links
):
    dsn = await fresh_database(links)
    (links / "0002_index.sql").unlink()

    assert await examine(dsn, [links]) == Schema(missing=[], newer=["links/0002_index.sql"])


@pytest.mark.parametrize("needs, runs", [("99.0.0", False), ("0.0.1", True)])
async def test_a_release_older_than_a_contract_needs_does_not_run(
    fresh_database: FreshDatabase, links, needs: str, runs: bool
):
    contract = links / "0003_contract.sql"
    contract.write_text(f"-- migrate:up\n-- contract: needs flint {needs}\nDROP TABLE tea;\n")
    dsn = await fresh_database(links)
    contract.unlink()

    if runs:
        assert (await examine(dsn, [links])).newer == ["links/0003_contract.sql"]
    else:
        with pytest.raises(MigrationError, match=r"newer than this flint.*0003_contract\.sql"):
            await examine(dsn, [links])


async def test_a_ledger_of_the_first_release_is_read_and_grows(
    fresh_database: FreshDatabase, links
):
    dsn = await fresh_database(links)
    db = await asyncpg.connect(dsn)
    await db.execute("ALTER TABLE schema_migrations DROP COLUMN needs")
    (links / "0003_cake.sql").write_text("-- migrate:up\nCREATE TABLE cake (slices int);")

    assert await pending(dsn, [links]) == ["links/0003_cake.sql"]
    assert await migrate(dsn, [links]) == ["links/0003_cake.sql"]
    await db.close()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"path": "/nowhere"}, "The database nowhere on .* there is no such database"),
        ({"netloc": "localhost:1"}, "nobody listens there"),
        ({"netloc": "no.such.host.invalid:5432"}, "its host name is unknown"),
    ],
)
async def test_a_database_that_cannot_be_used_is_one_line(
    postgres_server: PostgresServer, change: dict[str, str], words: str
):
    parts = urlsplit(postgres_server.admin_dsn)
    if "netloc" in change:
        parts = parts._replace(query="", scheme="postgresql")
    dsn = parts._replace(**change).geturl()

    with pytest.raises(Unavailable, match=words) as raised:
        await pending(dsn, [])

    assert "\n" not in str(raised.value)


async def test_progress_is_said_file_by_file(fresh_database: FreshDatabase, links):
    said: list[str] = []

    await migrate(await fresh_database(), [links], said.append)

    assert [line.split()[0] for line in said] == ["links/0001_start.sql", "links/0002_index.sql"]


async def test_a_file_that_fails_changes_nothing_and_is_named(fresh_database: FreshDatabase, links):
    (links / "0003_wrong.sql").write_text(
        "-- migrate:up\nCREATE TABLE cake (slices int);\nSELECT 1 / 0;"
    )
    dsn = await fresh_database()

    with pytest.raises(MigrationError, match=r"links/0003_wrong\.sql failed: division by zero"):
        await migrate(dsn, [links])

    db = await asyncpg.connect(dsn)
    assert await db.fetchval("SELECT to_regclass('cake')") is None
    await db.close()
    assert await pending(dsn, [links]) == ["links/0003_wrong.sql"]


async def test_a_file_without_its_mark_is_refused(fresh_database: FreshDatabase, links):
    (links / "0003_bare.sql").write_text("CREATE TABLE cake (slices int);")

    with pytest.raises(MigrationError, match="-- migrate:up"):
        await migrate(await fresh_database(), [links])


async def test_four_services_may_make_the_same_database_at_once(postgres_server: PostgresServer):
    admin = postgres_server.admin_dsn

    await asyncio.gather(
        *(ensure_database(admin, "flint_ensured", "flint_owner", "it's") for _ in range(4))
    )

    db = await asyncpg.connect(admin)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'flint_ensured'"
    assert await db.fetchval(owner) == "flint_owner"
    await db.execute("DROP DATABASE flint_ensured")
    await db.execute("DROP ROLE flint_owner")
    await db.close()
