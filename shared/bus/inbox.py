"""The inbox: a message is handled once per handler, and a command's answer is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import orjson

from shared.bus.caller import WireReply
from shared.contracts.base import Envelope
from shared.db.pool import Connection
from shared.errors import Refusal

# The lock tells a request that is still running from one that never came: it is held by the
# transaction that handles the key, and a second one does not wait for it.
LOOK: Final = """
    SELECT ($3 = false OR pg_try_advisory_xact_lock(hashtextextended($1 || $2, 0))) AS is_mine,
           known.message_id IS NOT NULL AS is_known, known.body_hash, known.reply, known.is_refusal
    FROM (SELECT 1) AS one
    LEFT JOIN inbox AS known ON known.message_id = $1 AND known.handler = $2
"""

KEEP_REFUSAL: Final = """
    INSERT INTO inbox (message_id, handler, body_hash, reply, is_refusal, handled_at)
    VALUES ($1, $2, $3, $4, true, $5)
    ON CONFLICT DO NOTHING
"""

# Replies outlive the 24 h that an Idempotency-Key is promised; the rest goes after 30 days. Each
# by its own index: a batch looks at no row that has to stay, however many there are.
CLEAN_LIMIT: Final = 500  # as written below
CLEAN: Final = """
    WITH old AS (
        SELECT message_id, handler FROM inbox
        WHERE handled_at < now() - interval '30 days'
        ORDER BY handled_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    ), answered AS (
        SELECT message_id, handler FROM inbox
        WHERE reply IS NOT NULL AND handled_at < now() - interval '24 hours'
        ORDER BY handled_at LIMIT 500
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM inbox WHERE (message_id, handler) IN (
        SELECT message_id, handler FROM old UNION SELECT message_id, handler FROM answered
    )
"""

_REUSED: Final = Refusal(
    "conflict",
    "IDEMPOTENCY_KEY_REUSED",
    "This Idempotency-Key was used with another request body.",
    next_actions=("Use a new key for a new request.",),
)
_IN_PROGRESS: Final = Refusal(
    "conflict",
    "IDEMPOTENCY_KEY_IN_PROGRESS",
    "The first request with this Idempotency-Key is still running.",
    retryable=True,
    retry_after_seconds=1,
)


async def look(db: Connection, envelope: Envelope, handler: str) -> WireReply | None:
    """The kept answer of an earlier delivery, or None: then it is ours to handle.

    Raises the refusal of a key used for another body, or of one whose first request still runs.
    """
    row = await db.fetchrow(LOOK, envelope.id, handler, envelope.keyed)
    assert row is not None, "a SELECT from one row gives one row"
    if not row["is_known"]:
        if row["is_mine"]:
            return None
        raise _IN_PROGRESS
    if envelope.keyed and row["body_hash"] != envelope.body_hash:
        raise _REUSED
    reply = row["reply"] or b"null"
    if row["is_refusal"]:
        return WireReply(refusal=orjson.loads(reply), is_replayed=True)
    return WireReply(value=reply, is_replayed=True)


async def keep_refusal(
    db: Connection, envelope: Envelope, handler: str, refusal: Refusal, now: datetime
) -> None:
    """A 'no' under a client's key is an answer too: the same for 24 h."""
    body = orjson.dumps(refusal.to_wire())
    await db.execute(KEEP_REFUSAL, envelope.id, handler, envelope.body_hash, body, now)


def is_kept(refusal: Refusal) -> bool:
    """Whether a refusal may be replayed.

    A 429, the two key refusals, and a 404 (what it asks for may be on its way) are of the moment.
    """
    of_moment = refusal.kind in {"rate_limited", "not_found"}
    return not of_moment and not refusal.code.startswith("IDEMPOTENCY_KEY_")
