"""What orders answers about subscription plans: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.orders.plans import domain, store
from shared.bus.room import Handler
from shared.bus.tx import Tx
from shared.contracts.base import Message
from shared.contracts.lists import Page
from shared.contracts.plans import (
    ArchivePlan,
    CreatePlan,
    GetPlan,
    ListPlans,
    SubscriptionPlan,
    SubscriptionPlanUpdateParams,
    UpdatePlan,
)


async def create(msg: CreatePlan, tx: Tx) -> SubscriptionPlan:
    plan, facts = domain.create(
        msg.params,
        plan_id=tx.new_id("plan"),
        merchant_id=tx.merchant_id,
        mode_environment=tx.context.mode,
        now=tx.now,
    )
    await store.add(tx, plan)
    tx.emit(*facts)
    return plan


async def get(msg: GetPlan, tx: Tx) -> SubscriptionPlan:
    return await store.find(tx, msg.plan_id)


async def list_plans(msg: ListPlans, tx: Tx) -> Page[SubscriptionPlan]:
    return await store.list_plans(tx, msg)


async def update(msg: UpdatePlan, tx: Tx) -> SubscriptionPlan:
    patch = SubscriptionPlanUpdateParams.model_validate(msg.params)
    was = await store.lock(tx, msg.plan_id)
    return await _move(tx, was, domain.change(was, patch, tx.now))


async def archive(msg: ArchivePlan, tx: Tx) -> SubscriptionPlan:
    was = await store.lock(tx, msg.plan_id)
    return await _move(tx, was, domain.archive(was, tx.now))


async def _move(tx: Tx, was: SubscriptionPlan, moved: domain.Moved) -> SubscriptionPlan:
    plan, facts = moved
    await store.save(tx, plan, was=was)
    tx.emit(*facts)
    return plan


HANDLERS: Final[Mapping[type[Message], Handler]] = {
    CreatePlan: create,
    GetPlan: get,
    ListPlans: list_plans,
    UpdatePlan: update,
    ArchivePlan: archive,
}
