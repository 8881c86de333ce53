"""All SQL of a link's numbers. One text says what counts, wherever the facts come from.

The same SELECT reads the facts that have just been kept and the whole log: so what was added up
fact by fact and what a rebuild finds can only differ by a mistake, which the rebuild mends.
"""

# ruff: noqa: S608  (what is put into SQL here is this file's own text)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from shared.contracts.links import LinkResolved
from shared.contracts.orders import OrderPaid
from shared.contracts.payments import PaymentIntentProcessing
from shared.db.pool import Connection

REFUNDED: Final = "order.refunded"
TOPICS: Final = (LinkResolved.topic, PaymentIntentProcessing.topic, OrderPaid.topic, REFUNDED)

_KEY: Final = "merchant_id, payment_link_id, day, measure, currency"
_COUNTED: Final = f"{_KEY}, count, amount_minor"
_FACTS_OF_DAY: Final = """
    SELECT merchant_id, type, sequence, said_at, data FROM events
    WHERE said_at >= $1 AND said_at < $2
"""
_VIEWS_OF_DAY: Final = """
    SELECT merchant_id, payment_link_id, seen_at FROM link_views
    WHERE seen_at >= $1 AND seen_at < $2
"""


def counted_facts(source: str) -> str:
    """Rows of `events` as counts by link, day, measure and currency.

    An attempt counts once, by its first fact. A refund counts what it added to those before.
    """
    return f"""
        SELECT {_KEY}, count(*) AS count, coalesce(sum(amount_minor), 0)::bigint AS amount_minor
        FROM (
            SELECT merchant_id, data ->> 'payment_link_id' AS payment_link_id,
                   (said_at AT TIME ZONE 'UTC')::date AS day,
                   CASE type WHEN '{LinkResolved.topic}' THEN 'resolve'
                             WHEN '{PaymentIntentProcessing.topic}' THEN 'attempt'
                             WHEN '{OrderPaid.topic}' THEN 'sale'
                             ELSE 'refund' END AS measure,
                   CASE WHEN type IN ('{OrderPaid.topic}', '{REFUNDED}')
                        THEN coalesce(data #>> '{{net_amounts,paid_money,currency}}', '')
                        ELSE '' END AS currency,
                   CASE type
                   WHEN '{OrderPaid.topic}' THEN
                        (data #>> '{{net_amounts,paid_money,amount}}')::bigint
                   WHEN '{REFUNDED}' THEN greatest(0,
                        (data #>> '{{net_amounts,refunded_money,amount}}')::bigint - coalesce(
                            (data #>> '{{previous,net_amounts,refunded_money,amount}}')::bigint, 0))
                   ELSE 0 END AS amount_minor
            FROM {source}
            WHERE type IN {TOPICS} AND (type <> '{PaymentIntentProcessing.topic}' OR sequence = 1)
        ) AS fact
        WHERE payment_link_id IS NOT NULL
        GROUP BY {_KEY}
    """


def counted_views(source: str) -> str:
    """Rows of `link_views` as counts."""
    return f"""
        SELECT merchant_id, payment_link_id, (seen_at AT TIME ZONE 'UTC')::date AS day,
               'view' AS measure, '' AS currency, count(*) AS count, 0::bigint AS amount_minor
        FROM {source} GROUP BY 1, 2, 3
    """


def adding(counted: str) -> str:
    """Add counts to what is there, in one order of rows, so that no two wait in a circle."""
    return f"""
        INSERT INTO link_counts AS so_far ({_COUNTED})
        SELECT {_COUNTED} FROM ({counted}) AS counted ORDER BY {_KEY}
        ON CONFLICT ({_KEY}) DO UPDATE
        SET count = so_far.count + excluded.count,
            amount_minor = so_far.amount_minor + excluded.amount_minor
    """


KEEP_VIEWS: Final = f"""
    WITH kept AS (
        INSERT INTO link_views (merchant_id, payment_link_id, view_id, seen_at)
        SELECT merchant_id, payment_link_id, view_id, seen_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
             AS row (merchant_id, payment_link_id, view_id, seen_at)
        ON CONFLICT DO NOTHING
        RETURNING merchant_id, payment_link_id, seen_at
    )
    {adding(counted_views("kept"))}
"""

READ: Final = """
    SELECT measure, currency, sum(count)::bigint AS count, sum(amount_minor)::bigint AS amount_minor
    FROM link_counts WHERE merchant_id = $1 AND payment_link_id = $2
    GROUP BY measure, currency HAVING sum(count) > 0 ORDER BY measure, currency
"""

# What the log holds of one day (from $1 to before $2), beside what was counted of it. Both are of
# one moment, and whoever counts changes both in one transaction: the difference stays right
# whatever comes meanwhile, and adding it needs no lock on anything.
DIFFERENCE: Final = f"""
    SELECT {_KEY}, coalesce(truth.count, 0) - coalesce(was.count, 0) AS count,
           coalesce(truth.amount_minor, 0) - coalesce(was.amount_minor, 0) AS amount_minor,
           was.count IS NULL AS is_new
    FROM (
        {counted_facts(f"({_FACTS_OF_DAY}) AS log")}
        UNION ALL
        {counted_views(f"({_VIEWS_OF_DAY}) AS log")}
    ) AS truth
    FULL JOIN (
        SELECT {_COUNTED} FROM link_counts
        WHERE day = ($1 AT TIME ZONE 'UTC')::date
    ) AS was
        USING ({_KEY})
    WHERE (truth.count, truth.amount_minor) IS DISTINCT FROM (was.count, was.amount_minor)
      AND (coalesce(truth.count, 0), coalesce(was.count, 0)) <> (0, 0)
"""

REBUILD: Final = f"""
    WITH difference AS MATERIALIZED ({DIFFERENCE}),
    corrected AS (
        UPDATE link_counts AS so_far
        SET count = so_far.count + difference.count,
            amount_minor = so_far.amount_minor + difference.amount_minor
        FROM difference
        WHERE NOT difference.is_new
          AND ({", ".join(f"so_far.{name}" for name in _KEY.split(", "))})
            = ({", ".join(f"difference.{name}" for name in _KEY.split(", "))})
        RETURNING 1
    ),
    added AS (
        {adding(f"SELECT {_COUNTED} FROM difference WHERE is_new")}
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM corrected) + (SELECT count(*) FROM added)
"""

ONE_REBUILD_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('link_counts', 0))"

EXPIRE_VIEWS: Final = """
    DELETE FROM link_views WHERE (merchant_id, view_id) IN (
        SELECT merchant_id, view_id FROM link_views WHERE seen_at < $1
        ORDER BY seen_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""


class View(NamedTuple):
    """A page of a link on which somebody did something; `view_id` is the page's nonce."""

    merchant_id: str
    payment_link_id: str
    view_id: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """How often, and minor units of `currency` where money is counted (else '' and 0)."""

    measure: str
    currency: str
    count: int
    amount_minor: int


async def keep_views(db: Connection, views: Sequence[View]) -> None:
    """Keep and count them with one statement; one that is known already counts no more."""
    await db.execute(KEEP_VIEWS, *(list(column) for column in zip(*views, strict=True)))


async def read(db: Connection, merchant_id: str, payment_link_id: str) -> list[Count]:
    """The link's counts over all days."""
    rows = await db.fetch(READ, merchant_id, payment_link_id)
    return [Count(*row) for row in rows]


async def rebuild_day(db: Connection, begin: datetime, end: datetime) -> int:
    """Make one day's counts what the log says, in this transaction; how many were wrong."""
    await db.execute(ONE_REBUILD_AT_A_TIME)
    wrong: int = await db.fetchval(REBUILD, begin, end)
    return wrong


async def expire_views(db: Connection, before: datetime, limit: int) -> int:
    """Forget the oldest views, at most `limit`; their counts stay."""
    tag = await db.execute(EXPIRE_VIEWS, before, limit)
    return int(tag.split()[-1])
