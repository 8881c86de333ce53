"""The event log: every public fact as it was said, written many at a time.

Idempotent by event id, so that a redelivery is harmless without an inbox row per fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import orjson

from services.gateway.hub import Hub
from services.gateway.stats.store import adding, counted_facts
from services.gateway.stats.store import expire_views as forget_views
from shared.bus.room import Hearer, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Envelope

KEPT: Final = timedelta(days=90)
EXPIRE_EVERY_SECONDS: Final = 60.0
EXPIRE_BATCH: Final = 1_000
# Whoever waits for one of these is told, whatever the fact is about.
WAITED_FOR: Final = (
    "checkout_session_id",
    "paid_session_id",
    "order_id",
    "payment_intent_id",
)

# What is new in the log, and only that, is counted in the same statement (see `stats`).
RECORD: Final = f"""
    WITH kept AS (
        INSERT INTO events (merchant_id, event_id, mode, type, source, subject, sequence,
                            request_id, said_at, data)
        SELECT merchant_id, event_id, mode, type, source, subject, sequence, request_id, said_at,
               data::json
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::bigint[], $8::text[], $9::timestamptz[], $10::text[])
             AS row (merchant_id, event_id, mode, type, source, subject, sequence, request_id,
                     said_at, data)
        ON CONFLICT DO NOTHING
        RETURNING merchant_id, type, sequence, said_at, data
    )
    {adding(counted_facts("kept"))}
"""  # noqa: S608 (the only thing put in is our own text)

EXPIRE: Final = """
    DELETE FROM events WHERE (merchant_id, event_id) IN (
        SELECT merchant_id, event_id FROM events WHERE said_at < $1
        ORDER BY said_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""


async def record(facts: Sequence[Envelope], tx: Tx) -> None:
    """Keep them all with one statement."""
    await tx.db.execute(
        RECORD,
        [fact.context.merchant_id for fact in facts],
        [fact.id for fact in facts],
        [fact.context.mode for fact in facts],
        [fact.topic for fact in facts],
        [fact.source for fact in facts],
        [fact.subject for fact in facts],
        [fact.sequence for fact in facts],
        [fact.context.request_id for fact in facts],
        [fact.time or tx.now for fact in facts],
        [fact.body.decode() for fact in facts],
    )


def ringing(hub: Hub) -> Hearer:
    """Ring for whoever waits in this process: a ring is only a hint, they look for themselves."""
    return partial(_ring, hub)


def _ring(hub: Hub, fact: Envelope) -> None:
    if hub.is_quiet:
        return
    data = orjson.loads(fact.body)
    about = [fact.subject, *(data.get(name) for name in WAITED_FOR)]
    hub.tell(*about, *data.get("checkout_session_ids", ()), topic=fact.topic)


async def expire(tx: Tx) -> int:
    """Forget what is older than `KEPT`, a batch at a time."""
    tag = await tx.db.execute(EXPIRE, tx.now - KEPT, EXPIRE_BATCH)
    return int(tag.split()[-1])


async def expire_views(tx: Tx) -> int:
    """The same of views: what was counted of them stays."""
    return await forget_views(tx.db, tx.now - KEPT, EXPIRE_BATCH)


SWEEPS: Final = (
    Sweep("events.expire", EXPIRE_EVERY_SECONDS, expire),
    Sweep("views.expire", EXPIRE_EVERY_SECONDS, expire_views),
)
