"""A consistent cut of several databases: one moment, seen by a snapshot in each of them.

While all of them hold their tables closed for writers nothing can be said anywhere, and each
exports a snapshot; then writers go on. `pg_dump --snapshot=…` reads what the snapshot sees, as
long as its transaction here stays open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from shared.db.migrate import place_of
from shared.db.pool import OUTAGES, trouble
from shared.errors import Unavailable

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CONNECT_SECONDS: Final = 10.0
LOCK_TRIES: Final = 40
LOCK_PAUSE_SECONDS: Final = 0.25
SETTINGS: Final = {
    "application_name": "flint-snapshot",
    # Less than the second after which PostgreSQL looks for a deadlock and picks a victim: if two
    # wait for each other it is we who let go.
    "lock_timeout": "400ms",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
}
TAKE: Final = "SELECT pg_export_snapshot()"


@dataclass(frozen=True, slots=True)
class Cut:
    """Database → its snapshot's name; how long writers were kept waiting for it."""

    snapshots: Mapping[str, str]
    paused_seconds: float


@asynccontextmanager
async def held_locks(dsns: Sequence[str], key: int) -> AsyncIterator[None]:
    """An advisory lock in each database, until the block ends or this process does."""
    async with AsyncExitStack() as stack:
        for dsn in dsns:
            db = await _connected(stack, dsn)
            if not await db.fetchval("SELECT pg_try_advisory_lock($1)", key):
                await _wait_for(db, key, dsn)
        yield


@asynccontextmanager
async def cut(dsns: Mapping[str, str], closed: Mapping[str, Sequence[str]]) -> AsyncIterator[Cut]:
    """Snapshots of all databases at one moment; they live until the block ends.

    `closed` names, per database, the tables that every writer of that database writes.
    """
    async with AsyncExitStack() as stack:
        readers = {name: await _connected(stack, dsn) for name, dsn in dsns.items()}
        yield await _quiet_moment(dsns, closed, readers)


async def _quiet_moment(
    dsns: Mapping[str, str],
    closed: Mapping[str, Sequence[str]],
    readers: Mapping[str, Connection],
) -> Cut:
    for _ in range(LOCK_TRIES):
        try:
            return await _at_one_moment(dsns, closed, readers)
        except asyncpg.LockNotAvailableError:  # somebody writes for long: not now
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
    raise Unavailable("No quiet moment for a snapshot: a transaction holds the tables for long")


async def _at_one_moment(
    dsns: Mapping[str, str],
    closed: Mapping[str, Sequence[str]],
    readers: Mapping[str, Connection],
) -> Cut:
    async with AsyncExitStack() as stack:
        closers = {name: await _connected(stack, dsns[name]) for name in closed}
        began = time.monotonic()
        for name, db in closers.items():
            await db.execute("BEGIN")
            await db.execute(f"LOCK TABLE {', '.join(closed[name])} IN SHARE MODE")
        snapshots = {name: await _snapshot(db) for name, db in readers.items()}
        for db in closers.values():
            await db.execute("ROLLBACK")
        return Cut(snapshots, time.monotonic() - began)


async def _snapshot(db: Connection) -> str:
    await db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return str(await db.fetchval(TAKE))


async def _wait_for(db: Connection, key: int, dsn: str) -> None:
    try:
        await db.execute("SELECT pg_advisory_lock($1)", key)
    except asyncpg.LockNotAvailableError:
        raise Unavailable(f"{place_of(dsn)}: another backup is being taken") from None


async def _connected(stack: AsyncExitStack, dsn: str) -> Connection:
    try:
        db = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=SETTINGS)
    except OUTAGES as error:
        raise Unavailable(f"{place_of(dsn)} cannot be used: {trouble(error)}") from error
    stack.callback(db.terminate)  # its locks and its snapshot end with it
    return db
