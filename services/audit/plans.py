"""Plans: what links keeps of each is what orders says of it, or what it has said since."""

from __future__ import annotations

from typing import Final

from services.audit.report import Report
from shared.db.pool import Pool, fetch

BATCH: Final = 2_000

PLANS: Final = """
    SELECT merchant_id, plan_id, version,
           (content || jsonb_build_object('status', status))::text AS said
    FROM subscription_plans WHERE (merchant_id, plan_id) > ($1, $2)
    ORDER BY merchant_id, plan_id LIMIT $3
"""
# A copy that is newer than what we have just read of orders is as good as one that is the same.
GOOD_COPIES: Final = """
    SELECT plan_id
    FROM plans JOIN unnest($1::text[], $2::text[], $3::integer[], $4::text[])
                    AS asked (merchant_id, plan_id, version, said) USING (merchant_id, plan_id)
    WHERE plans.version > asked.version
       OR (plans.version = asked.version AND plans.content @> asked.said::jsonb)
"""


async def check(links: Pool, orders: Pool, report: Report) -> None:
    """Every plan of orders against its copy."""
    last = ("", "")
    while rows := await fetch(orders, PLANS, *last, BATCH):
        last = (rows[-1]["merchant_id"], rows[-1]["plan_id"])
        report.count("subscription plans", len(rows))
        columns = ("merchant_id", "plan_id", "version", "said")
        asked = [[row[name] for row in rows] for name in columns]
        good = {row["plan_id"] for row in await fetch(links, GOOD_COPIES, *asked)}
        wrong = [row["plan_id"] for row in rows if row["plan_id"] not in good]
        report.breach("a link's copy of a plan is not the plan", wrong)
