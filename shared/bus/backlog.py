"""Looking into an outbox from outside: how much waits, since when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.bus.outbox import MessageKind
from shared.contracts.base import TOPICS, Effect, Event, Message
from shared.db.pool import Connection, Record

DEPTH: Final = """
    SELECT count(*) AS depth, coalesce(max(tries), 0) AS tries_max,
           coalesce(extract(epoch FROM clock_timestamp() - min(said_at)), 0)::float8 AS oldest,
           (SELECT count(*) FROM dead_letters) AS dead
    FROM outbox
"""
_COLUMNS: Final = """
    SELECT message_id, kind, topic, subject, sequence, merchant_id, mode, request_id, said_at,
           tries, next_at, lease_until, lease_by, reason, length(body) AS body_bytes
    FROM outbox
"""
OLDEST: Final = f"{_COLUMNS} ORDER BY id LIMIT $1"
ONE: Final = f"{_COLUMNS} WHERE message_id = $1"
DEAD: Final = """
    SELECT message_id, queue, topic, reason, buried_at FROM dead_letters ORDER BY id LIMIT $1
"""
# Back into the outbox as it was said: whoever had handled it after all drops it by its id.
REPLAY: Final = """
    WITH kinds AS (
        SELECT * FROM unnest($2::text[], $3::text[]) AS row (topic, kind)
    ), gone AS (
        DELETE FROM dead_letters AS letter USING kinds
        WHERE letter.topic = kinds.topic AND ($1 = '' OR letter.message_id = $1)
        RETURNING letter.envelope, kinds.kind
    )
    INSERT INTO outbox (message_id, kind, topic, subject, sequence, body, merchant_id, mode,
                        request_id, traceparent, said_at)
    SELECT envelope ->> 'id', kind, envelope ->> 'topic', envelope ->> 'subject',
           (envelope ->> 'sequence')::bigint, convert_to(envelope ->> 'body', 'UTF8'),
           envelope ->> 'merchant_id', envelope ->> 'mode', envelope ->> 'request_id',
           envelope ->> 'traceparent',
           coalesce((envelope ->> 'time')::timestamptz, clock_timestamp())
    FROM gone
    RETURNING message_id
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One outbox in four numbers; `oldest_seconds` is 0 when it is empty."""

    depth: int
    oldest_seconds: float
    tries_max: int
    dead: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message that has not left yet. Its body is nobody's business: it may name a buyer."""

    message_id: str
    kind: str
    topic: str
    subject: str
    sequence: int
    merchant_id: str
    mode: str
    request_id: str
    said_at: datetime
    tries: int
    next_at: datetime
    lease_until: datetime | None
    lease_by: str | None
    reason: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter kept in a service's own database; RabbitMQ's are in its parking queues."""

    message_id: str
    queue: str
    topic: str
    reason: str
    buried_at: datetime


async def backlog_of(db: Connection) -> Backlog:
    """The outbox that this connection sees."""
    row = await db.fetchrow(DEPTH)
    assert row is not None, "counts give one row"
    return Backlog(row["depth"], row["oldest"], row["tries_max"], row["dead"])


async def oldest(db: Connection, limit: int) -> list[Waiting]:
    """The first that were said and are still here."""
    return _all(await db.fetch(OLDEST, limit))


async def dead(db: Connection, limit: int) -> list[Buried]:
    """Those that nobody could handle or hear, oldest first."""
    return [Buried(**dict(row)) for row in await db.fetch(DEAD, limit)]


async def replay(db: Connection, message_id: str = "") -> list[str]:
    """Send one dead letter again, or all of them; the ids of those that were."""
    kinds = {topic: _kind_of(kind) for topic, kind in TOPICS.items()}
    rows = await db.fetch(REPLAY, message_id, list(kinds), list(kinds.values()))
    return [row["message_id"] for row in rows]


async def one(db: Connection, message_id: str) -> Waiting | None:
    """One by its id, if it is still here."""
    row = await db.fetchrow(ONE, message_id)
    return _waiting(row) if row else None


def _all(rows: Sequence[Record]) -> list[Waiting]:
    return [_waiting(row) for row in rows]


def _waiting(row: Any) -> Waiting:
    return Waiting(**dict(row))


def _kind_of(message: type[Message]) -> MessageKind:
    if issubclass(message, Event):
        return "event"
    return "effect" if issubclass(message, Effect) else "command"
