"""Messages: nothing old in an outbox, every subject's facts numbered without a gap, told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from services.audit.report import Report
from shared.contracts.orders import OrderClosed, OrderPaid
from shared.contracts.payments import (
    PaymentIntentCanceled,
    PaymentIntentFailed,
    PaymentIntentLate,
    PaymentIntentSucceeded,
)
from shared.contracts.sessions import (
    SessionClosed,
    SessionCompleted,
    SessionExpired,
    SessionInvalidated,
)
from shared.db.pool import Pool, Record, fetch, fetchval, transaction
from shared.ids import minted_at

BATCH: Final = 5_000
LOG_KEPT: Final = timedelta(days=89)  # a day less than the event log keeps

# The facts that say how something ended: each of them is said once about one subject.
ENDS: Final = tuple(
    kind.topic
    for kind in (
        SessionCompleted,
        SessionExpired,
        SessionClosed,
        SessionInvalidated,
        OrderPaid,
        OrderClosed,
        PaymentIntentSucceeded,
        PaymentIntentLate,
        PaymentIntentFailed,
        PaymentIntentCanceled,
    )
)

OLD: Final = """
    SELECT topic || ' ' || message_id FROM outbox WHERE said_at < now() - interval '60 seconds'
"""
DEPTH: Final = "SELECT count(*) FROM outbox"
DEAD: Final = "SELECT count(*) FROM dead_letters"

HEARD: Final = """
    SELECT source, subject, count(*) AS facts, count(DISTINCT sequence) AS numbers,
           min(sequence) AS first, max(sequence) AS last,
           array_agg(type) FILTER (WHERE type = ANY($1::text[])) AS ends
    FROM events GROUP BY source, subject
"""

SAID: Final = """
    SELECT subject, last FROM subject_sequences WHERE subject > $1 ORDER BY subject LIMIT $2
"""


@dataclass
class Log:
    """What the event log says of each subject. A million facts take about 100 MB here."""

    last: dict[tuple[str, str], int] = field(default_factory=dict)  # by source and subject
    ends: dict[str, list[str]] = field(default_factory=dict)

    def ends_of(self, subject: str) -> list[str]:
        """How it ended, by the facts that say so."""
        return self.ends.get(subject, [])


async def check(pools: Mapping[str, Pool], report: Report) -> Log:
    """The outboxes of all services, and the gateway's event log against what was said."""
    for name, pool in pools.items():
        report.count("messages on their way", await fetchval(pool, DEPTH))
        report.count("dead letters kept here", await fetchval(pool, DEAD))
        old = [f"{name}: {row[0]}" for row in await fetch(pool, OLD)]
        report.breach("a message is older than a minute in its outbox", old)
    log = await _read(pools["gateway"], report)
    unsaid = dict(log.last)
    for name, pool in pools.items():
        await _compare(name, pool, unsaid, report)
    report.breach(
        "a fact was recorded that nobody said",
        [f"{source} {subject}" for source, subject in unsaid],
    )
    return log


async def _read(gateway: Pool, report: Report) -> Log:
    """One pass, in one snapshot, never all of it in memory."""
    log = Log()
    async with transaction(gateway) as db:
        async for row in db.cursor(HEARD, ENDS, prefetch=BATCH):
            report.count("events", row["facts"])
            _check_numbers(row, report)
            log.last[row["source"], row["subject"]] = row["last"]
            if row["ends"]:
                log.ends[row["subject"]] = row["ends"]
    twice = [subject for subject, ends in log.ends.items() if max(Counter(ends).values()) > 1]
    report.breach("an end was said more than once", twice)
    return log


def _check_numbers(row: Record, report: Report) -> None:
    name = f"{row['source']} {row['subject']}"
    is_cut = row["first"] != 1 and not is_old(row["subject"])
    if row["numbers"] != row["last"] - row["first"] + 1 or is_cut:
        report.breach("the sequence of a subject has a gap", [name])
    if row["facts"] != row["numbers"]:
        report.breach("two facts of a subject have one number", [name])


async def _compare(
    name: str, pool: Pool, unsaid: dict[tuple[str, str], int], report: Report
) -> None:
    """What a service has said against the log; what is both said and heard leaves `unsaid`."""
    last = ""
    while rows := await fetch(pool, SAID, last, BATCH):
        last = rows[-1]["subject"]
        report.count("subjects with facts", len(rows))
        for row in rows:
            heard = unsaid.pop((name, row["subject"]), 0)
            if heard != row["last"] and not (heard == 0 and is_old(row["subject"])):
                subject = f"{name} {row['subject']}"
                report.breach("a fact was said that nobody recorded", [subject])


def is_old(subject: str) -> bool:
    """Whether the log may have let go of its first facts: it keeps them for a while only."""
    try:
        return minted_at(subject) < datetime.now(UTC) - LOG_KEPT
    except ValueError:  # no id of ours
        return False
