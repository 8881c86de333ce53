"""A link's numbers: what was counted is what the event log says, to the unit.

A fact and its count are written in one transaction, and one statement sees both at one moment: they
never differ on their way, so nothing is waited for. What the log has let go of is known by its
counts alone; only the days that it holds whole are compared.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from services.audit.messages import LOG_KEPT
from services.audit.report import Report
from shared.db.pool import Pool, fetch

# An attempt is a payment that began by being processed; a refund, each time money went back.
DIFFERENT: Final = """
    SELECT payment_link_id || ' ' || measure
    FROM (
        SELECT merchant_id, payment_link_id, measure, currency,
               sum(count) AS times, sum(amount_minor) AS minor
        FROM link_counts WHERE day >= $1 AND count > 0
        GROUP BY merchant_id, payment_link_id, measure, currency
    ) AS counted
    FULL JOIN (
        SELECT merchant_id, payment_link_id, measure, coalesce(paid ->> 'currency', '') AS currency,
               count(*) AS times, coalesce(sum((paid ->> 'amount')::bigint), 0) AS minor
        FROM (
            SELECT merchant_id, data ->> 'payment_link_id', 'resolve', NULL::json
            FROM events WHERE type = 'link.resolved' AND said_at >= $2
            UNION ALL
            SELECT merchant_id, data ->> 'payment_link_id', 'attempt', NULL
            FROM events WHERE type = 'payment_intent.processing' AND sequence = 1 AND said_at >= $2
            UNION ALL
            SELECT merchant_id, data ->> 'payment_link_id', 'sale',
                   data -> 'net_amounts' -> 'paid_money'
            FROM events WHERE type = 'order.paid' AND said_at >= $2
            UNION ALL
            SELECT merchant_id, data ->> 'payment_link_id', 'refund', data -> 'amount_money'
            FROM events WHERE type = 'order.refunded' AND said_at >= $2
            UNION ALL
            SELECT merchant_id, payment_link_id, 'view', NULL
            FROM link_views WHERE seen_at >= $2
        ) AS fact (merchant_id, payment_link_id, measure, paid)
        WHERE payment_link_id IS NOT NULL
        GROUP BY merchant_id, payment_link_id, measure, paid ->> 'currency'
    ) AS told USING (merchant_id, payment_link_id, measure, currency)
    WHERE (counted.times, counted.minor) IS DISTINCT FROM (told.times, told.minor)
"""


async def check(gateway: Pool, report: Report) -> None:
    """Each link's views, resolves, attempts, sales and refunds, and what these brought."""
    day = first_whole_day(datetime.now(UTC))
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    wrong = [row[0] for row in await fetch(gateway, DIFFERENT, day, begin)]
    report.breach("a link's numbers are not those of its facts", wrong)


def first_whole_day(now: datetime) -> date:
    """The oldest day (UTC) of which the log has certainly forgotten nothing."""
    return (now - LOG_KEPT).date() + timedelta(days=1)
