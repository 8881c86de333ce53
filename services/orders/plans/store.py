"""All SQL about subscription plans. A row keeps the plan whole, and beside it what lists need."""

from __future__ import annotations

from typing import Any, Final

from services.orders.plans.domain import CONTENT
from shared.bus.tx import Tx
from shared.contracts.lists import Page
from shared.contracts.plans import ListPlans, SubscriptionPlan, no_such_plan
from shared.db import keyset
from shared.db.pool import Record

COLUMNS: Final = """
    merchant_id, plan_id, mode_environment, content, name, status, version, created_at, updated_at
"""
ADD: Final = """
    INSERT INTO subscription_plans (merchant_id, plan_id, mode_environment, content, status,
                                    version, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
SAVE: Final = """
    UPDATE subscription_plans SET content = $3, status = $4, version = $5, updated_at = $6
    WHERE merchant_id = $1 AND plan_id = $2 AND version = $5 - 1
"""
FIND: Final = f"""
    SELECT {COLUMNS} FROM subscription_plans
    WHERE merchant_id = $1 AND mode_environment = $2 AND plan_id = $3
"""  # noqa: S608 the only thing put in is our own constant
LOCK: Final = FIND + " FOR UPDATE"
LIST: Final = keyset.statements(
    f"""
    SELECT {COLUMNS} FROM subscription_plans
    WHERE :common
      AND ($9::text IS NULL OR strpos(name, lower($9)) > 0 OR strpos(description, lower($9)) > 0)
      AND ($10::text IS NULL OR status = $10)
    :order
    LIMIT $11
    """,  # noqa: S608 the only thing put in is our own constant
    ("created_at", "updated_at", "name"),
    id_name="plan_id",
    texts=("name",),
)


async def add(tx: Tx, plan: SubscriptionPlan) -> None:
    """A new plan."""
    await tx.db.execute(
        ADD,
        plan.merchant_id,
        plan.plan_id,
        plan.mode_environment,
        _content(plan),
        plan.status,
        plan.version,
        plan.created_at,
        plan.updated_at,
    )


async def save(tx: Tx, plan: SubscriptionPlan, *, was: SubscriptionPlan) -> None:
    """The next version of a locked plan; one that did not change is not written."""
    if plan.version == was.version:
        return
    key = (plan.merchant_id, plan.plan_id)
    written = (_content(plan), plan.status, plan.version, plan.updated_at)
    done = await tx.db.execute(SAVE, *key, *written)
    assert done == "UPDATE 1", f"{plan.plan_id} changed under its lock"


async def find(tx: Tx, plan_id: str) -> SubscriptionPlan:
    """The merchant's plan; raises not_found."""
    return _found(await tx.db.fetchrow(FIND, tx.merchant_id, tx.mode, plan_id))


async def lock(tx: Tx, plan_id: str) -> SubscriptionPlan:
    """The same, nobody else's until the commit."""
    return _found(await tx.db.fetchrow(LOCK, tx.merchant_id, tx.mode, plan_id))


async def list_plans(tx: Tx, msg: ListPlans) -> Page[SubscriptionPlan]:
    """One page of the merchant's plans."""
    rows = await tx.db.fetch(
        LIST[msg.sort_field, msg.sort_direction],
        *keyset.common(tx, msg),
        msg.query or None,
        msg.status,
        msg.page_size + 1,
    )
    return keyset.page(rows, msg, make=_plan, id_name="plan_id")


def _content(plan: SubscriptionPlan) -> dict[str, Any]:
    return plan.model_dump(mode="json", include=set(CONTENT), exclude_none=True)


def _found(row: Record | None) -> SubscriptionPlan:
    if row is None:
        raise no_such_plan()
    return _plan(row)


def _plan(row: Record) -> SubscriptionPlan:
    """The one place where a row becomes a plan."""
    named = ("merchant_id", "plan_id", "mode_environment", "status", "version")
    times = ("created_at", "updated_at")
    return SubscriptionPlan.model_validate(
        {**row["content"], **{name: row[name] for name in (*named, *times)}}
    )
