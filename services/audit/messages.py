"""Messages: nothing old in an outbox, every subject's facts numbered without a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from services.audit.report import Report
from shared.db.pool import Pool
from shared.ids import minted_at

BATCH: Final = 5_000
LOG_KEPT: Final = timedelta(days=89)  # a day less than the event log keeps

OLD: Final = """
    SELECT topic || ' ' || message_id FROM outbox WHERE said_at < now() - interval '60 seconds'
"""
DEPTH: Final = "SELECT count(*) FROM outbox"
DEAD: Final = "SELECT count(*) FROM dead_letters"

GAPS: Final = """
    SELECT source || ' ' || subject FROM events
    GROUP BY source, subject
    HAVING count(*) <> max(sequence) - min(sequence) + 1
"""

SAID: Final = """
    SELECT subject, last FROM subject_sequences WHERE subject > $1 ORDER BY subject LIMIT $2
"""

HEARD: Final = """
    SELECT subject, max(sequence) AS last FROM events
    WHERE source = $1 AND subject = ANY($2::text[]) GROUP BY subject
"""


async def check(pools: dict[str, Pool], report: Report) -> None:
    """The outboxes of all services, and the gateway's event log against what was said."""
    for name, pool in pools.items():
        report.count("messages on their way", await pool.fetchval(DEPTH))
        report.count("dead letters kept here", await pool.fetchval(DEAD))
        old = [f"{name}: {row[0]}" for row in await pool.fetch(OLD)]
        report.breach("a message is older than a minute in its outbox", old)
    log = pools["gateway"]
    report.count("events", await log.fetchval("SELECT count(*) FROM events"))
    report.breach("the sequence of a subject has a gap", [row[0] for row in await log.fetch(GAPS)])
    for name, pool in pools.items():
        await _compare(name, pool, log, report)


async def _compare(name: str, pool: Pool, log: Pool, report: Report) -> None:
    last = ""
    while rows := await pool.fetch(SAID, last, BATCH):
        last = rows[-1]["subject"]
        said = {row["subject"]: row["last"] for row in rows}
        heard = {r["subject"]: r["last"] for r in await log.fetch(HEARD, name, list(said))}
        report.count("subjects with facts", len(said))
        missing = [subject for subject, number in said.items() if heard.get(subject) != number]
        report.breach(
            "a fact was said that nobody recorded",
            [f"{name} {subject}" for subject in missing if not _is_forgotten(subject, heard)],
        )


def _is_forgotten(subject: str, heard: dict[str, int]) -> bool:
    """Whether the log may have let go of it: it keeps facts for a while only."""
    return subject not in heard and minted_at(subject) < datetime.now(UTC) - LOG_KEPT
