"""`flint outbox`: what was said and has not left yet, per service, and why."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from services.installed import databases
from services.rooms import ROLES, migration_folders
from shared.bus import backlog
from shared.bus.backlog import Buried, Waiting
from shared.config import Settings
from shared.db.migrate import require_migrated
from shared.db.pool import Connection, connection, open_pool, transaction
from shared.errors import not_found

LIMIT_MAX: Final = 1_000


async def list_outboxes(
    settings: Settings, services: Sequence[str], limit: int, *, is_json: bool
) -> None:
    """A line per service, then its oldest messages; `limit` of each at most."""
    found: dict[str, Any] = {}
    async for name, db in _opened(settings, services):
        waits = await backlog.backlog_of(db)
        oldest = await backlog.oldest(db, min(limit, LIMIT_MAX))
        dead = await backlog.dead(db, min(limit, LIMIT_MAX))
        found[name] = {**asdict(waits), "oldest": oldest, "dead_letters": dead}
        if not is_json:
            since = f", the oldest since {waits.oldest_seconds:.0f} s" if waits.depth else ""
            tries = f", tried up to {waits.tries_max} times" if waits.tries_max else ""
            _say(f"{name}: {waits.depth} waiting{since}{tries}; {waits.dead} dead letters")
            _say(*(f"    {_waiting_line(one)}" for one in oldest))
            _say(*(f"    {_buried_line(one)}" for one in dead))
    if is_json:
        _say(_json(found))


async def show_message(settings: Settings, message_id: str, *, is_json: bool) -> None:
    """One message with all that is known of it but its body; raises Refusal for an unknown id."""
    async for name, db in _opened(settings, ROLES):
        if one := await backlog.one(db, message_id):
            facts = {"service": name, **asdict(one)}
            if is_json:
                _say(_json(facts))
            else:
                _say(*(f"{fact}: {value}" for fact, value in facts.items()))
            return
    raise not_found("message in an outbox: it may have left")


async def replay_buried(settings: Settings, message_id: str) -> None:
    """Put dead letters that a service's own database keeps back into its outbox."""
    sent: list[str] = []
    async for name, db in _opened(settings, ROLES, writing=True):
        sent += [f"sent again: {name} {one}" for one in await backlog.replay(db, message_id)]
    if message_id and not sent:
        raise not_found("dead letter")
    _say(*sent, f"{len(sent)} sent again")


async def _opened(
    settings: Settings, services: Sequence[str], *, writing: bool = False
) -> AsyncIterator[tuple[str, Connection]]:
    folders = migration_folders()
    async with databases(settings, partly=True) as dsns:
        for name in services or ROLES:
            if name in dsns:
                await require_migrated(dsns[name], folders[name])
                async with _database(dsns[name], writing=writing) as db:
                    yield name, db


@asynccontextmanager
async def _database(dsn: str, *, writing: bool) -> AsyncIterator[Connection]:
    pool = await open_pool(dsn, name="outbox", size=1)
    try:
        async with transaction(pool) if writing else connection(pool) as db:
            yield db
    finally:
        await pool.close()


def _waiting_line(one: Waiting) -> str:
    age_seconds = (datetime.now(UTC) - one.said_at).total_seconds()
    why = f"  {one.reason}" if one.reason else ""
    return f"{one.message_id}  {one.topic}  {age_seconds:.0f} s old  tries {one.tries}{why}"


def _buried_line(one: Buried) -> str:
    return f"{one.message_id}  {one.topic}  dead in {one.queue}  {one.reason}"


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
