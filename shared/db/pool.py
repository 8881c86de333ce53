"""Connection pools with a bound on every wait, and the one place that tells outage from bug.

asyncpg's own query timeout is no bound (a frozen backend hangs the rollback and the release as
well), so a pool has `command_timeout`, a caller an outer `asyncio.timeout`, and a connection that
does not come to an end within a second of either is dropped; acquiring waits 2 s at most.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
import orjson

from shared.errors import Unavailable
from shared.loops import stay_cancelled
from shared.telemetry import tracing

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from asyncpg.transaction import Transaction

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Record: TypeAlias = asyncpg.Record
else:
    Connection = Any
    Pool = Any
    Record = Any

QUERY_TEXT_MAX: Final = 1_000
ACQUIRE_SECONDS: Final = 2.0
COMMAND_SECONDS: Final = 5.0
GOODBYE_SECONDS: Final = 1.0
UniqueViolation = asyncpg.UniqueViolationError

# Everything that says "the database is not there or could not decide": retried whole.
OUTAGES: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver, when a connection dies in the middle of its words
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.PostgresSystemError,  # the server cannot write its own files
    asyncpg.ReadOnlySQLTransactionError,  # a standby that has not been promoted yet
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is being rotated
    asyncpg.InvalidCatalogNameError,  # a database that is not there yet
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    ConnectionError,
    TimeoutError,
    OSError,
)


async def _prepare(connection: Connection) -> None:
    # asyncpg hands jsonb over as text; orjson is the fastest codec that speaks bytes.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        format="binary",
    )
    if tracing.is_on():
        connection.add_query_logger(_trace)


def _trace(query: asyncpg.connection.LoggedQuery) -> None:
    """A span per statement, under whatever runs it. Its arguments are nobody's business."""
    words = query.query.split()
    tracing.note(
        f"SQL {words[0].upper() if words else ''}",
        "client",
        took_seconds=query.elapsed,
        failed=reason(query.exception) if query.exception else "",
        db__system__name="postgresql",
        db__query__text=" ".join(words)[:QUERY_TEXT_MAX],
    )


async def _tidy(connection: Connection) -> None:
    # asyncpg's own reset is four statements at every release. We keep no session state (locks
    # are transactional, nothing listens, nothing is SET), so only a torn transaction needs it.
    if connection.is_in_transaction():
        await connection.reset()


async def open_pool(
    dsn: str, *, name: str, size: int = 10, command_seconds: float | None = None
) -> Pool:
    """A pool of at most `size` connections; `name` shows in `pg_stat_activity`."""
    bound = command_seconds or COMMAND_SECONDS
    try:
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            command_timeout=bound,
            timeout=COMMAND_SECONDS,
            init=_prepare,
            reset=_tidy,
            server_settings={
                "application_name": f"flint-{name}",
                "statement_timeout": str(int(bound * 1000)),
                "idle_in_transaction_session_timeout": "10000",
                "jit": "off",
            },
        )
    except OUTAGES as error:
        raise Unavailable(f"The {name} database cannot be used: {trouble(error)}") from error


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """One connection, no transaction: for reads of one statement."""
    try:
        async with _lent(pool) as held:
            yield held
    except Exception as error:  # a broken connection may garble the cancellation of its user
        stay_cancelled(error)
        raise


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One connection, one transaction. A function that holds one never acquires another."""
    try:
        async with _lent(pool) as held:
            unit = held.transaction()
            await unit.start()
            try:
                yield held
            except BaseException:
                await _undo(unit, held)
                raise
            await unit.commit()
    except Exception as error:
        stay_cancelled(error)
        raise


@asynccontextmanager
async def _lent(pool: Pool) -> AsyncIterator[Connection]:
    """Taken back within a second: what still runs then ends with its connection."""
    held = await pool.acquire(timeout=ACQUIRE_SECONDS)
    try:
        yield held
    finally:
        await pool.release(held, timeout=GOODBYE_SECONDS)


async def _undo(unit: Transaction, held: Connection) -> None:
    """Roll back, or drop the connection, which comes to the same: never another error."""
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await unit.rollback()
    except Exception:
        held.terminate()


async def fetch(pool: Pool, sql: str, *args: object) -> list[Record]:
    """The rows of one statement; waits for a connection no longer than anybody else."""
    async with connection(pool) as db:
        return await db.fetch(sql, *args)


async def fetchval(pool: Pool, sql: str, *args: object) -> Any:
    """The first value of one statement's first row."""
    async with connection(pool) as db:
        return await db.fetchval(sql, *args)


async def answers(pool: Pool) -> bool:
    """Whether the database answers, asked now and within two seconds."""
    try:
        async with asyncio.timeout(ACQUIRE_SECONDS), connection(pool) as db:
            return bool(await db.fetchval("SELECT true"))
    except Exception as error:
        if not is_outage(error):
            raise
        return False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a pool is doing: connections, and tasks that wait for one."""

    connections_max: int
    used: int
    idle: int
    waiting: int


def usage(pool: Pool) -> Usage:
    """The pool right now. How many wait only its own queue knows."""
    idle = pool.get_idle_size()
    waiting = len(getattr(getattr(pool, "_queue", None), "_getters", ()))
    return Usage(pool.get_max_size(), pool.get_size() - idle, idle, waiting)


def is_outage(error: BaseException) -> bool:
    """Whether trying the whole unit again may help. Constraint and data errors are bugs.

    asyncpg calls a lost connection an InterfaceError, and a wrong argument of ours as well.
    """
    if isinstance(error, asyncpg.InterfaceError):
        return not (isinstance(error, ValueError) or "server expects" in str(error))
    return isinstance(error, OUTAGES)


def is_drivers(error: BaseException) -> bool:
    """Whether the database or its driver says so: their words may echo rows and arguments."""
    ours = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(error, ours)


def reason(error: BaseException) -> str:
    """What may be logged of a database error: never DETAIL, it echoes values."""
    state = getattr(error, "sqlstate", None)
    constraint = getattr(error, "constraint_name", None)
    words = [type(error).__name__, f"sqlstate {state}" if state else "", constraint or ""]
    return " ".join(word for word in words if word)


_TROUBLES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (asyncpg.InvalidPasswordError, "it refuses the password: is the one in the address current?"),
    (asyncpg.InvalidAuthorizationSpecificationError, "it refuses the role: does the role exist?"),
    (asyncpg.InvalidCatalogNameError, "there is no such database on that server: create it"),
    (asyncpg.InsufficientPrivilegeError, "the role lacks a right: make it the database's owner"),
    (asyncpg.TooManyConnectionsError, "it has no connection left: raise max_connections"),
    (asyncpg.DiskFullError, "its disk is full: free or add space"),
    (asyncpg.CannotConnectNowError, "it is starting up or shutting down"),
    (ConnectionRefusedError, "nobody listens there: is the server running?"),
    (FileNotFoundError, "nobody listens there: is the server running?"),
    (socket.gaierror, "its host name is unknown"),
    (TimeoutError, "no answer in time: is the network open?"),
)


def trouble(error: BaseException) -> str:
    """Why a database cannot be used, in words for whoever has to mend it."""
    for kind, words in _TROUBLES:
        if isinstance(error, kind):
            return f"{words} ({reason(error)})"
    return reason(error)
