"""Migrations: replicas may boot together, and nothing surprising is ever run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from shared.db.migrate import MigrationError, ensure_database, migrate, pending
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
