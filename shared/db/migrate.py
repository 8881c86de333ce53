"""Plain-SQL migrations in dbmate's file format, safe when several replicas boot together.

Everything happens under one advisory lock, tried for in a loop: a blocking lock would hold a
snapshot and deadlock with CREATE INDEX CONCURRENTLY. Files only go forward; an applied file that
was edited, or a database that is newer than this code, is refused before anything is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

LOCK_KEY: Final = 0x666C696E74  # "flint"; advisory locks are counted per database.
LOCK_SECONDS: Final = 120.0
LOCK_POLL_SECONDS: Final = 0.05
CONNECT_SECONDS: Final = 10.0
SETTINGS: Final = {
    "application_name": "flint migrate",
    "lock_timeout": "5s",  # Rather fail than queue every buyer behind a waiting ALTER TABLE.
    "statement_timeout": "0",
    "client_min_messages": "warning",
}

CREATE_LEDGER: Final = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        file text PRIMARY KEY,
        sha256 text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
LEDGER_EXISTS: Final = "SELECT to_regclass('schema_migrations') IS NOT NULL"
READ_LEDGER: Final = "SELECT file, sha256 FROM schema_migrations"
ADD_TO_LEDGER: Final = "INSERT INTO schema_migrations (file, sha256) VALUES ($1, $2)"

MARK: Final = re.compile(r"^--\s*migrate:(up|down)\b(.*)$", re.MULTILINE)


class MigrationError(Exception):
    """One line for the operator: which file or database, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    file: str
    sql: str
    sha256: str
    in_transaction: bool


async def migrate(dsn: str, folders: Sequence[Path]) -> list[str]:
    """Apply what is missing, folder by folder, and name the files applied."""
    migrations = read_folders(folders)
    async with _connected(dsn) as db, _locked(db):
        await db.execute(CREATE_LEDGER)
        missing = _missing(migrations, await _ledger(db))
        for migration in missing:
            await _apply(db, migration)
    return [migration.file for migration in missing]


async def pending(dsn: str, folders: Sequence[Path]) -> list[str]:
    """The files `migrate` would apply; changes nothing and takes no lock."""
    migrations = read_folders(folders)
    async with _connected(dsn) as db:
        return [migration.file for migration in _missing(migrations, await _ledger(db))]


def read_folders(folders: Sequence[Path]) -> list[Migration]:
    return [_read(path) for folder in folders for path in sorted(folder.glob("*.sql"))]


def _read(path: Path) -> Migration:
    text = path.read_text(encoding="utf-8")
    # services/links/migrations/0001_start.sql is "links/0001_start.sql" in the shared ledger.
    room = path.parent.parent if path.parent.name == "migrations" else path.parent
    file = f"{room.name}/{path.name}"
    marks = list(MARK.finditer(text))
    if not marks or marks[0][1] != "up":
        raise MigrationError(f'{file} must begin with a line "-- migrate:up"')
    end = marks[1].start() if len(marks) > 1 else len(text)
    return Migration(
        file=file,
        sql=text[marks[0].end() : end].strip(),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        in_transaction="transaction:false" not in marks[0][2],
    )


def _missing(migrations: Sequence[Migration], ledger: Mapping[str, str]) -> list[Migration]:
    unknown = sorted(ledger.keys() - {migration.file for migration in migrations})
    if unknown:
        raise MigrationError(
            f"The database is newer than this flint, it already has {', '.join(unknown)}: "
            "run the newer version, or restore the backup made before the upgrade"
        )
    for migration in migrations:
        if ledger.get(migration.file, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"{migration.file} was edited after it was applied: "
                "restore the file and put the change into a new one"
            )
    return [migration for migration in migrations if migration.file not in ledger]


async def _ledger(db: Connection) -> dict[str, str]:
    if not await db.fetchval(LEDGER_EXISTS):
        return {}
    return {row["file"]: row["sha256"] for row in await db.fetch(READ_LEDGER)}


async def _apply(db: Connection, migration: Migration) -> None:
    # Without a transaction a crash in between runs the file again: such a file is one statement
    # with IF NOT EXISTS (several at once would again be one transaction for PostgreSQL).
    try:
        async with db.transaction() if migration.in_transaction else contextlib.nullcontext():
            await db.execute(migration.sql)
            await db.execute(ADD_TO_LEDGER, migration.file, migration.sha256)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"{migration.file} waited {SETTINGS['lock_timeout']} for a table in use; "
            "it changed nothing: run it again"
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.file} failed: {error}") from error


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=SETTINGS)
    try:
        yield db
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def _locked(db: Connection) -> AsyncIterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    while not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        if time.monotonic() > deadline:
            raise MigrationError(
                f"Another migration of this database has run for {LOCK_SECONDS:.0f} s: "
                'look for "flint migrate" in pg_stat_activity'
            )
        await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not db.is_closed():
            await db.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


# Databases and roles


async def ensure_database(
    admin_dsn: str, name: str, role: str | None = None, password: str | None = None
) -> None:
    """Make sure the database exists and, if a role is given, that it owns it alone.

    The role's password is set each time, so that a rotated secret takes effect.
    """
    async with _connected(admin_dsn) as db, _locked(db):
        if role is not None:
            await _ensure_role(db, role, password)
        if not await db.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await _run(db, "CREATE DATABASE %I", name)
        if role is not None:
            await _run(db, "ALTER DATABASE %I OWNER TO %I", name, role)
            await _run(db, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)


async def _ensure_role(db: Connection, role: str, password: str | None) -> None:
    if not await db.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await _run(db, "CREATE ROLE %I LOGIN", role)
        if not await db.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            # Managed servers: only a member of the role may hand a database over to it.
            await _run(db, "GRANT %I TO CURRENT_USER", role)
    if password is not None:
        await _run(db, "ALTER ROLE %I PASSWORD %L", role, password)


async def _run(db: Connection, template: str, *names: str) -> None:
    """DDL takes no parameters, so PostgreSQL itself quotes the names (%I) and literals (%L)."""
    await db.execute(await db.fetchval("SELECT format($1, VARIADIC $2::text[])", template, names))
