"""What only the orders' database knows about payments under way, for the gauges."""

from __future__ import annotations

from typing import Final

from shared.db.pool import Connection
from shared.telemetry import metrics

STEPS: Final = ("charge", "authorize", "claim", "capture", "void")

# By the index of live payments: it holds no payment that has ended.
LIVE: Final = """
    SELECT phase, count(*) AS live,
           extract(epoch FROM now() - min(created_at))::float8 AS oldest,
           count(*) FILTER (WHERE is_undecided) AS undecided,
           coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE is_undecided)), 0)
               ::float8 AS oldest_undecided
    FROM (
        SELECT phase, created_at, asked > 0 AND status = 'processing' AS is_undecided
        FROM payment_intents WHERE next_action_at IS NOT NULL
        LIMIT 100000
    ) AS live
    GROUP BY phase
"""


async def measure(db: Connection) -> None:
    """Live payments by the step that is due, and those whose provider has not decided."""
    rows = {row["phase"]: row for row in await db.fetch(LIVE)}
    for step in STEPS:
        row = rows.get(step)
        metrics.ATTEMPTS.labels(step).set(row["live"] if row else 0)
        metrics.ATTEMPTS_OLDEST.labels(step).set(row["oldest"] if row else 0)
    metrics.UNDECIDED.set(sum(row["undecided"] for row in rows.values()))
    oldest = max((row["oldest_undecided"] for row in rows.values()), default=0.0)
    metrics.UNDECIDED_OLDEST.set(oldest)
