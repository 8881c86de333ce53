"""The outbox: what was said, in the transaction that made it true.

`write` stores a batch's facts, their sequence numbers and the inbox rows of the messages that
caused them in one statement. Rows are born leased to the process that wrote them, which
publishes them right after the commit; whatever it does not manage (a crash) falls to the
relay's poll when the lease ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.bus.tx import Said
from shared.contracts.base import Context, Effect, Envelope, Event
from shared.db.pool import Connection, Record
from shared.ids import new_id

LEASE_SECONDS: Final = 10
CLAIM_LIMIT: Final = 200
REASON_MAX: Final = 300
MessageKind = Literal["event", "command", "effect"]

WRITE: Final = """
    WITH said AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[],
                             $6::text[], $7::text[], $8::text[], $9::text[])
        WITH ORDINALITY AS row (message_id, kind, topic, subject, body,
                                merchant_id, mode, request_id, traceparent, position)
    ), counted AS (
        INSERT INTO subject_sequences AS known (subject, last)
        SELECT subject, count(*) FROM said WHERE subject <> '' GROUP BY subject ORDER BY subject
        ON CONFLICT (subject) DO UPDATE SET last = known.last + excluded.last
        RETURNING subject, last
    ), handled AS (
        INSERT INTO inbox (message_id, handler, body_hash, reply, is_refusal, handled_at)
        SELECT message_id, handler, body_hash, reply, false, $10
        FROM unnest($11::text[], $12::text[], $13::text[], $14::bytea[])
             AS row (message_id, handler, body_hash, reply)
    )
    INSERT INTO outbox (message_id, kind, topic, subject, sequence, body, merchant_id, mode,
                        request_id, traceparent, said_at, next_at, lease_until, lease_by)
    SELECT said.message_id, said.kind, said.topic, said.subject,
           coalesce(counted.last - count(*) OVER (PARTITION BY said.subject)
                    + row_number() OVER (PARTITION BY said.subject ORDER BY said.position), 0),
           said.body, said.merchant_id, said.mode, said.request_id, said.traceparent,
           $10, now(), now() + make_interval(secs => $15), $16
    FROM said LEFT JOIN counted USING (subject)
    ORDER BY said.position
    RETURNING id, message_id, sequence
"""

CLAIM: Final = """
    UPDATE outbox
    SET lease_until = now() + make_interval(secs => $2), lease_by = $1, tries = tries + 1
    WHERE id IN (
        SELECT id FROM outbox
        WHERE next_at <= now() AND (lease_until IS NULL OR lease_until < now())
        ORDER BY next_at LIMIT $3
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, message_id, kind, topic, subject, sequence, body, merchant_id, mode,
              request_id, traceparent, said_at, tries
"""

# Whoever takes a backup holds this lock for a minute: what is sent meanwhile is kept, so that a
# copy of the database can say it again. It is counted per database.
KEEP_SENT_KEY: Final = 0x6B656570  # "keep"
KEPT_SECONDS: Final = 300
DELETE_SENT: Final = """
    WITH free AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared($2) AS is_free),
    gone AS (DELETE FROM outbox WHERE id = ANY($1::bigint[]) AND (SELECT is_free FROM free))
    SELECT is_free FROM free
"""
KEEP_SENT: Final = """
    UPDATE outbox SET lease_until = now() + make_interval(secs => $2), lease_by = $3
    WHERE id = ANY($1::bigint[])
"""

POSTPONE: Final = """
    UPDATE outbox
    SET lease_until = NULL, lease_by = NULL, next_at = now() + make_interval(secs => $2),
        tries = CASE WHEN $3 THEN tries ELSE greatest(tries - 1, 0) END, reason = $4
    WHERE id = $1
"""

PARK: Final = """
    WITH gone AS (DELETE FROM outbox WHERE id = $1 RETURNING message_id, topic)
    INSERT INTO dead_letters (message_id, queue, topic, envelope, reason)
    SELECT message_id, $2, topic, $3, $4 FROM gone
"""

OLDEST_SECONDS: Final = """
    SELECT coalesce(extract(epoch FROM now() - min(said_at)), 0)::float8 AS age, count(*) AS depth
    FROM outbox
"""


@dataclass(frozen=True, slots=True)
class Handled:
    """A message that was handled in this transaction, for the inbox."""

    message_id: str
    handler: str
    body_hash: str
    reply: bytes | None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row on its way out; `tries` counts earlier claims by the poll."""

    id: int
    kind: MessageKind
    envelope: Envelope
    tries: int = 0


def kind_of(message: object) -> MessageKind:
    """Which of the three exchanges' manners a message follows."""
    if isinstance(message, Event):
        return "event"
    return "effect" if isinstance(message, Effect) else "command"


def envelope_of(said: Said, source: str, now: datetime) -> Envelope:
    """The envelope of something said; its sequence is known once it is written."""
    message = said.message
    is_event = isinstance(message, Event)
    return Envelope(
        id=new_id("evt"),
        topic=message.topic,
        body=message.to_json(),
        context=said.context,
        source=source,
        # Only public facts are numbered: a private one in between would look like a gap.
        subject=message.subject_id() if isinstance(message, Event) and message.public else "",
        time=now if is_event else None,
    )


async def write(
    db: Connection,
    said: Sequence[Said],
    handled: Sequence[Handled],
    *,
    source: str,
    now: datetime,
    lease_by: str,
) -> list[OutboxRow]:
    """Store all of it; raises UniqueViolation when a message had been handled before."""
    kinds = {one.message.topic: kind_of(one.message) for one in said}
    envelopes = [envelope_of(one, source, now) for one in said]
    rows = await db.fetch(
        WRITE,
        [e.id for e in envelopes],
        [kinds[e.topic] for e in envelopes],
        [e.topic for e in envelopes],
        [e.subject for e in envelopes],
        [e.body for e in envelopes],
        [e.context.merchant_id for e in envelopes],
        [e.context.mode for e in envelopes],
        [e.context.request_id for e in envelopes],
        [e.context.traceparent for e in envelopes],
        now,
        [h.message_id for h in handled],
        [h.handler for h in handled],
        [h.body_hash for h in handled],
        [h.reply for h in handled],
        LEASE_SECONDS,
        lease_by,
    )
    written = {row["message_id"]: (row["id"], row["sequence"]) for row in rows}
    return [_numbered(e, kinds[e.topic], *written[e.id]) for e in envelopes]


def _numbered(envelope: Envelope, kind: MessageKind, row_id: int, sequence: int) -> OutboxRow:
    # Rebuilt rather than `replace`d: this runs for every message, and replace costs 3 µs.
    return OutboxRow(
        row_id,
        kind,
        Envelope(
            envelope.id,
            envelope.topic,
            envelope.body,
            envelope.context,
            envelope.source,
            envelope.subject,
            sequence,
            envelope.time,
        ),
    )


async def claim(db: Connection, lease_by: str, source: str) -> list[OutboxRow]:
    """Take due rows nobody works on; other relays skip them while the lease lasts."""
    rows = await db.fetch(CLAIM, lease_by, LEASE_SECONDS, CLAIM_LIMIT)
    return [_row(row, source) for row in rows]


def _row(row: Record, source: str) -> OutboxRow:
    context = Context(row["merchant_id"], row["mode"], row["request_id"], row["traceparent"])
    envelope = Envelope(
        id=row["message_id"],
        topic=row["topic"],
        body=row["body"],
        context=context,
        source=source,
        subject=row["subject"],
        sequence=row["sequence"],
        time=row["said_at"],
        attempt=max(row["tries"], 1),
    )
    return OutboxRow(row["id"], row["kind"], envelope, row["tries"])


async def delete_sent(db: Connection, ids: Sequence[int]) -> bool:
    """Confirmed by the transport: nothing left to do. False while a backup wants them kept."""
    return bool(await db.fetchval(DELETE_SENT, ids, KEEP_SENT_KEY))


async def keep_sent(db: Connection, ids: Sequence[int], lease_by: str) -> None:
    """Sent, and to be deleted later: nobody publishes them again in the meantime."""
    await db.execute(KEEP_SENT, ids, KEPT_SECONDS, lease_by)


async def postpone(
    db: Connection, row_id: int, seconds: float, reason: str, *, was_tried: bool = True
) -> None:
    """Not confirmed: let go of the lease and try again later. What was not tried is not counted."""
    await db.execute(POSTPONE, row_id, seconds, was_tried, reason[:REASON_MAX])


async def park(db: Connection, row: OutboxRow, queue: str, reason: str) -> None:
    """Can never be delivered as it is: keep it with the reason, off the relay's way."""
    await db.execute(PARK, row.id, queue, as_record(row.envelope), reason)


def as_record(envelope: Envelope) -> dict[str, object]:
    """The envelope as JSON, for dead letters."""
    return {
        "id": envelope.id,
        "topic": envelope.topic,
        "body": envelope.body.decode(errors="replace"),
        "source": envelope.source,
        "subject": envelope.subject,
        "sequence": envelope.sequence,
        "merchant_id": envelope.context.merchant_id,
        "mode": envelope.context.mode,
        "request_id": envelope.context.request_id,
        "traceparent": envelope.context.traceparent,
        "attempt": envelope.attempt,
        "time": envelope.time.isoformat() if envelope.time else None,
    }
