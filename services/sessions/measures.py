"""What only the sessions' database knows about how things stand, for the gauges."""

from __future__ import annotations

from typing import Final

from shared.db.pool import Connection
from shared.telemetry import metrics

# Bounded: an exact count of millions is not worth reading them all every ten seconds.
OPEN: Final = """
    SELECT count(*) FROM (SELECT 1 FROM sessions WHERE status = 'open' LIMIT 100000) AS counted
"""
OVERDUE: Final = """
    SELECT count(*) FROM (
        SELECT 1 FROM sessions
        WHERE status = 'open' AND live_attempt_id IS NULL
          AND expires_at <= now() - interval '60 seconds'
        LIMIT 100000
    ) AS counted
"""


async def measure(db: Connection) -> None:
    """Sessions open, and those that a sweep should have ended a minute ago."""
    metrics.SESSIONS_OPEN.set(await db.fetchval(OPEN))
    metrics.SESSIONS_OVERDUE.set(await db.fetchval(OVERDUE))
