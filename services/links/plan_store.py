"""All SQL of the plans that links know: what orders said last, kept by version."""

from __future__ import annotations

from typing import Any, Final

from services.links.store import plan_of
from shared.bus.tx import Tx
from shared.contracts.links import CreateLink
from shared.contracts.plans import SubscriptionPlan

# Said in any order: an older version than the one that is here is no news.
KEEP: Final = """
    INSERT INTO plans (merchant_id, plan_id, mode_environment, version, content)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (merchant_id, plan_id) DO UPDATE
    SET version = excluded.version, content = excluded.content
    WHERE plans.version < excluded.version
"""
FIND: Final = """
    SELECT content AS plan FROM plans
    WHERE merchant_id = $1 AND plan_id = $2 AND mode_environment = $3
"""


async def keep(tx: Tx, plan: SubscriptionPlan) -> None:
    """What is known of the plan from now on, unless more is known already."""
    key = (plan.merchant_id, plan.plan_id, plan.mode_environment)
    await tx.db.execute(KEEP, *key, plan.version, _written(plan))


async def of_new_link(tx: Tx, msg: CreateLink) -> SubscriptionPlan | None:
    """The merchant's plan that the link names, if there is one: as sent along, or as said since."""
    if msg.params.plan_id is None:
        return None
    if msg.plan is not None:
        await keep(tx, msg.plan)
    row = await tx.db.fetchrow(FIND, tx.merchant_id, msg.params.plan_id, tx.mode)
    return None if row is None else plan_of(row)


def _written(plan: SubscriptionPlan) -> dict[str, Any]:
    return plan.model_dump(
        mode="json", include=set(SubscriptionPlan.model_fields), exclude_none=True
    )
