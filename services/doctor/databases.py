"""Each database: reachable, migrated, with the right rights, the right time, and room to live."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.doctor.finding import Finding, fail, ok, warn
from shared.bus.backlog import Backlog, backlog_of
from shared.bus.timekeeping import DATABASE_TIME
from shared.clock import TOLERANCE_SECONDS
from shared.db.migrate import MigrationError, examine
from shared.db.pool import Connection, Record, connection, is_outage, open_pool
from shared.errors import Unavailable

WAITING_SECONDS_MAX: Final = 60.0
USED_SHARE_MAX: Final = 0.8
FREE_SHARE_MIN: Final = 0.1
VERSION_MIN: Final = 150_000

FACTS: Final = """
    SELECT current_user::text AS role,
           current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS version_number,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
           pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'
               AS is_read_only,
           current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off'
               AS is_durable,
           current_setting('max_connections')::int AS connections_max,
           (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')
               AS connections,
           pg_size_pretty(pg_database_size(current_database())) AS size,
           array(
               SELECT relname::text FROM pg_class
               WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
                 AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                          AND has_table_privilege(oid, 'UPDATE')
                          AND has_table_privilege(oid, 'DELETE'))
           ) AS closed_tables
"""
OPEN_NEIGHBOURS: Final = """
    SELECT datname::text FROM pg_database
    WHERE datname = ANY($1::text[]) AND datname <> current_database()
      AND has_database_privilege(datname, 'CONNECT')
"""
DATA_FOLDER: Final = "SELECT current_setting('data_directory', true)"


@dataclass(frozen=True)
class Looked:
    """What one database showed. `ahead_seconds` is None if nobody could ask it."""

    findings: list[Finding]
    ahead_seconds: float | None = None


async def look(
    name: str, dsn: str, folders: Sequence[Path], neighbours: Sequence[str], *, has_bus: bool
) -> Looked:
    """All checks of one database; the first that stops the others is the only finding."""
    subject = f"database {name}"
    try:
        schema = await examine(dsn, folders)
        pool = await open_pool(dsn, name="doctor", size=1)
    except MigrationError as error:
        return Looked([fail(subject, str(error), "no service runs on it until then")])
    except Unavailable as error:
        cure = f"mend it, or FLINT_{name.upper()}_DATABASE_URL; services wait for it meanwhile"
        return Looked([fail(subject, str(error), cure)])
    try:
        if schema.missing:
            words = f"lacks {', '.join(schema.missing)}"
            return Looked([fail(subject, words, "run `flint migrate`")])
        async with connection(pool) as db:
            ahead_seconds = await _ahead(db)
            facts = await db.fetchrow(FACTS)
            open_ones = [row[0] for row in await db.fetch(OPEN_NEIGHBOURS, neighbours)]
            folder = await _readable_folder(db)
            backlog = await backlog_of(db) if has_bus else None
    finally:
        await pool.close()
    assert facts is not None, "a SELECT without FROM gives one row"
    findings = [*_of_role(subject, facts, open_ones), *_of_server(subject, facts)]
    findings += [*_of_disk(subject, folder), *_of_backlog(subject, backlog)]
    if schema.newer:
        words = f"is one release ahead of this flint: {', '.join(schema.newer)}"
        findings.append(warn(subject, words, "finish the upgrade, or the rollback"))
    words = f"PostgreSQL {facts['version']}, migrated, {facts['size']}, role {facts['role']}"
    return Looked([ok(subject, words), *findings], ahead_seconds)


def compare_clocks(ahead: Mapping[str, float]) -> Iterator[Finding]:
    """The databases' times beside ours, and beside each other."""
    if not ahead:
        return
    apart = max(ahead.values()) - min(ahead.values())
    if apart > TOLERANCE_SECONDS:
        words = f"the databases' clocks are {apart:.0f} s apart"
        yield fail("clock", words, "set them by NTP: services compare each other's times")
    furthest = max(ahead.values(), key=abs)
    if abs(furthest) > TOLERANCE_SECONDS:
        direction = "behind" if furthest > 0 else "ahead of"
        words = f"this machine's clock is {abs(furthest):.0f} s {direction} the database's"
        yield warn("clock", words, "set it by NTP; services go by the database's time meanwhile")
    else:
        yield ok("clock", f"within {max(abs(furthest), 0.001):.3f} s of the database's")


async def _ahead(db: Connection) -> float:
    """How far the database's clock is ahead of this machine's."""
    before = time.time()
    database_seconds: float = await db.fetchval(DATABASE_TIME)
    return database_seconds - (before + time.time()) / 2


async def _readable_folder(db: Connection) -> Path | None:
    """Where the server keeps its data, if that is this machine and we may know."""
    try:
        folder = await db.fetchval(DATA_FOLDER)
    except Exception as error:  # not for this role's eyes
        if not is_outage(error):
            raise
        return None
    with suppress(OSError):
        if folder and Path(folder).exists():
            return Path(folder)
    return None


def _of_role(subject: str, facts: Record, open_ones: Sequence[str]) -> Iterator[Finding]:
    role = facts["role"]
    if facts["is_superuser"]:
        cure = "give the service a role that owns this database and nothing else"
        yield warn(subject, f"the role {role} is a superuser", cure)
    elif open_ones:
        cure = "REVOKE CONNECT ON DATABASE … FROM PUBLIC: a service sees its own tables only"
        yield warn(subject, f"the role {role} may enter {', '.join(open_ones)}", cure)
    if facts["closed_tables"]:
        words = f"the role {role} may not read and write {', '.join(facts['closed_tables'])}"
        yield fail(subject, words, "make it the tables' owner")


def _of_server(subject: str, facts: Record) -> Iterator[Finding]:
    if facts["version_number"] < VERSION_MIN:
        yield fail(subject, f"PostgreSQL {facts['version']} is too old", "upgrade to 15 or newer")
    if facts["is_read_only"]:
        cure = "point the address at the primary, or promote this server"
        yield fail(subject, "the server takes no writes: it is a standby or read-only", cure)
    if not facts["is_durable"]:
        cure = "set fsync = on and synchronous_commit = on"
        yield warn(subject, "a power cut may lose what was committed", cure)
    if facts["connections"] > USED_SHARE_MAX * facts["connections_max"]:
        words = f"{facts['connections']} of {facts['connections_max']} connections are taken"
        yield warn(subject, words, "raise max_connections, or lower FLINT_DATABASE_POOL_SIZE")


def _of_disk(subject: str, folder: Path | None) -> Iterator[Finding]:
    if folder is None:
        return
    with suppress(OSError):
        disk = shutil.disk_usage(folder)
        share = disk.free / disk.total
        words = f"{disk.free // 2**20:,} MiB free on its disk ({share:.0%})"
        if share < FREE_SHARE_MIN:
            yield warn(subject, words, "free or add space: a full disk stops every sale")
        else:
            yield ok(subject, words)


def _of_backlog(subject: str, backlog: Backlog | None) -> Iterator[Finding]:
    if backlog is None:
        return
    if backlog.oldest_seconds > WAITING_SECONDS_MAX:
        words = f"{backlog.depth} messages wait in the outbox, since {backlog.oldest_seconds:.0f} s"
        yield warn(subject, words, "`flint outbox list` says why")
    if backlog.dead:
        cure = "`flint outbox list` shows them; mend the reason first"
        yield warn(subject, f"{backlog.dead} dead letters are kept here", cure)
