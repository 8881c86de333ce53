"""Plain-SQL migrations in dbmate's file format, safe when several replicas boot together.

Everything happens under one advisory lock, tried for in a loop: a blocking lock would hold a
snapshot and deadlock with CREATE INDEX CONCURRENTLY. Files only go forward; an applied file that
was edited, or a database that is newer than this code, is refused before anything is touched.

A file only expands, so that the release before it runs on the new schema as well; one that takes
something away says so (`-- contract: needs flint 0.3.0`), and the ledger remembers it: a release
that is older than that refuses to run on the database. `deploy/README.md` has the rules, and
`tests/contracts/test_migration_rules.py` checks them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from shared.db.pool import OUTAGES, trouble
from shared.errors import Unavailable
from shared.version import VERSION

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
# Added to the ledgers of 0.1: the oldest release that can run on the database from this file on.
EXPAND_LEDGER: Final = "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS needs text"
LEDGER_EXISTS: Final = "SELECT to_regclass('schema_migrations') IS NOT NULL"
READ_LEDGER: Final = """
    SELECT file, sha256, to_jsonb(ledger) ->> 'needs' AS needs FROM schema_migrations AS ledger
"""
ADD_TO_LEDGER: Final = "INSERT INTO schema_migrations (file, sha256, needs) VALUES ($1, $2, $3)"

MARK: Final = re.compile(r"^--\s*migrate:(up|down)\b(.*)$", re.MULTILINE)
CONTRACT: Final = re.compile(r"^-- contract: needs flint (\d+\.\d+\.\d+)$", re.MULTILINE)


class MigrationError(Exception):
    """One line for the operator: which file or database, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; `needs` is the oldest release that runs on what it leaves, if it contracts."""

    file: str
    sql: str
    sha256: str
    in_transaction: bool
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A line of a database's ledger."""

    sha256: str
    needs: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """A database beside this code: files it lacks, and files that only a newer release knows."""

    missing: list[str]
    newer: list[str]


def silent(_: str) -> None:
    """Say nothing."""


async def migrate(
    dsn: str, folders: Sequence[Path], say: Callable[[str], None] = silent
) -> list[str]:
    """Apply what is missing, folder by folder, and name the files applied.

    Raises MigrationError, and changes nothing, for a database that is newer than this code.
    """
    migrations = read_folders(folders)
    async with _connected(dsn) as db, _locked(db):
        await db.execute(CREATE_LEDGER)
        await db.execute(EXPAND_LEDGER)
        ledger = await _ledger(db)
        refuse_newer(_newer(migrations, ledger))
        missing = _missing(migrations, ledger)
        for migration in missing:
            began = time.monotonic()
            await _apply(db, migration)
            say(f"{migration.file} ({time.monotonic() - began:.2f} s)")
    return [migration.file for migration in missing]


async def examine(dsn: str, folders: Sequence[Path]) -> Schema:
    """How a database stands to this code; changes nothing and takes no lock.

    Raises MigrationError if this code must not run on it: a file that was edited, or one of a
    newer release that took away what this release needs.
    """
    migrations = read_folders(folders)
    async with _connected(dsn) as db:
        ledger = await _ledger(db)
    newer = _newer(migrations, ledger)
    refuse_newer([file for file in newer if _is_beyond(ledger[file].needs)])
    missing = [migration.file for migration in _missing(migrations, ledger)]
    return Schema(missing, newer)


async def require_migrated(dsn: str, folders: Sequence[Path]) -> None:
    """Raises MigrationError unless this code runs on the database as it is."""
    if missing := await pending(dsn, folders):
        lacks = f"{missing[0]} and {len(missing) - 1} more" if missing[1:] else missing[0]
        raise MigrationError(f"{place_of(dsn)} lacks {lacks}: run `flint migrate`")


async def pending(dsn: str, folders: Sequence[Path]) -> list[str]:
    """The files `migrate` would apply; see `examine`."""
    return (await examine(dsn, folders)).missing


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
        needs=found[1] if (found := CONTRACT.search(text)) else None,
    )


def _newer(migrations: Sequence[Migration], ledger: Mapping[str, Applied]) -> list[str]:
    return sorted(ledger.keys() - {migration.file for migration in migrations})


def _is_beyond(needs: str | None) -> bool:
    return needs is not None and _parts(needs) > _parts(VERSION)


def _parts(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)[:3]]


def refuse_newer(files: Sequence[str]) -> None:
    """Raises MigrationError if a database has files that this code does not know."""
    if files:
        raise MigrationError(
            f"The database is newer than this flint, it already has {', '.join(files)}: "
            "run the newer version, or restore the backup made before the upgrade"
        )


def _missing(migrations: Sequence[Migration], ledger: Mapping[str, Applied]) -> list[Migration]:
    for migration in migrations:
        applied = ledger.get(migration.file)
        if applied is not None and applied.sha256 != migration.sha256:
            raise MigrationError(
                f"{migration.file} was edited after it was applied: "
                "restore the file and put the change into a new one"
            )
    return [migration for migration in migrations if migration.file not in ledger]


async def _ledger(db: Connection) -> dict[str, Applied]:
    if not await db.fetchval(LEDGER_EXISTS):
        return {}
    rows = await db.fetch(READ_LEDGER)
    return {row["file"]: Applied(row["sha256"], row["needs"]) for row in rows}


async def _apply(db: Connection, migration: Migration) -> None:
    # Without a transaction a crash in between runs the file again: such a file is one statement
    # with IF NOT EXISTS (several at once would again be one transaction for PostgreSQL).
    try:
        async with db.transaction() if migration.in_transaction else contextlib.nullcontext():
            await db.execute(migration.sql)
            await db.execute(ADD_TO_LEDGER, migration.file, migration.sha256, migration.needs)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"{migration.file} waited {SETTINGS['lock_timeout']} for a table in use; "
            "it changed nothing: run it again"
        ) from error
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.file} failed: {error}") from error


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    try:
        db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=SETTINGS)
    except OUTAGES as error:
        raise Unavailable(f"{place_of(dsn)} cannot be used: {trouble(error)}") from error
    try:
        yield db
    finally:
        await db.close()


def place_of(dsn: str) -> str:
    """Which database an address names, without its password."""
    parts = urlsplit(dsn)
    host = parts.hostname or parse_qs(parts.query).get("host", ["this machine"])[0]
    return f"The database {parts.path.removeprefix('/')} on {host}"


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
