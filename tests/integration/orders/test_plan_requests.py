"""Subscription plans over real tables: made, read, listed, changed and archived."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts.lists import Page
from shared.contracts.orders import GetOrder, OrderCreated
from shared.contracts.plans import (
    ArchivePlan,
    GetPlan,
    ListPlans,
    SubscriptionPlan,
    SubscriptionPlanArchived,
    SubscriptionPlanCreated,
    SubscriptionPlanUpdated,
    UpdatePlan,
)
from shared.errors import Refusal
from shared.ids import new_id
from tests.builders_orders import Shop, resolved, session_attached
from tests.builders_plans import a_plan, creating, item, usd

STRANGER = "mer_01JZZZZZZZZZZZZZZZZZZZZZZB"


async def made(shop: Shop, **given: Any) -> SubscriptionPlan:
    shop.desk.later(1)
    plan = (await shop.tell(creating(**given))).reply
    assert isinstance(plan, SubscriptionPlan)
    return plan


async def pages(shop: Shop, **asked: Any) -> list[list[str]]:
    """The names on each page, until there is no next."""
    found: list[list[str]] = []
    after = None
    while True:
        page = (await shop.desk(ListPlans(**asked, after=after))).reply
        assert isinstance(page, Page)
        found.append([plan.name for plan in page.rows])
        after = page.next
        if after is None:
            return found


async def test_what_was_created_is_what_is_read_and_said(shop: Shop):
    plan = await made(
        shop,
        description="Three teas",
        image_url="https://img.example/tea.jpg",
        billing_interval="weekly",
        billing_interval_count=2,
        line_items=[item(description="Fresh", quantity=2), item(0, name=None)],
        setup_fee_money=usd(500),
        trial_period_days=14,
        contract_term_months=6,
        early_termination_fee_money=usd(900),
        metadata={"shelf": "B"},
    )

    read = (await shop.desk(GetPlan(plan_id=plan.plan_id))).reply

    assert read == plan
    (fact,) = shop.said(SubscriptionPlanCreated)
    assert fact.model_dump() == plan.model_dump() | {"previous": {}}


async def test_every_change_raises_the_version_and_is_said(shop: Shop):
    plan = await made(shop)

    change = UpdatePlan(plan_id=plan.plan_id, params={"name": "Tea society"})
    await shop.tell(change)
    await shop.tell(change)
    for _ in range(2):
        archived = (await shop.tell(ArchivePlan(plan_id=plan.plan_id))).reply

    assert (archived.name, archived.status, archived.version) == ("Tea society", "archived", 3)
    assert [fact.version for fact in shop.said(SubscriptionPlanUpdated)] == [2]
    assert [fact.version for fact in shop.said(SubscriptionPlanArchived)] == [3]
    assert (await shop.desk(GetPlan(plan_id=plan.plan_id))).reply == archived


async def test_two_changes_at_once_are_two_versions(shop: Shop):
    plan = await made(shop)
    patches = [{"metadata": {"a": "1"}}, {"metadata": {"b": "2"}}]

    await asyncio.gather(
        *(shop.tell(UpdatePlan(plan_id=plan.plan_id, params=patch)) for patch in patches)
    )

    read = (await shop.desk(GetPlan(plan_id=plan.plan_id))).reply
    assert (read.version, read.metadata) == (3, {"a": "1", "b": "2"})


@pytest.mark.parametrize("other", [{"merchant_id": STRANGER}, {"mode": "live"}])
async def test_a_foreign_plan_looks_like_an_unknown_one(shop: Shop, other: dict[str, str]):
    plan = await made(shop)
    requests = (
        GetPlan(plan_id=plan.plan_id),
        UpdatePlan(plan_id=plan.plan_id, params={"name": "Mine"}),
        ArchivePlan(plan_id=plan.plan_id),
    )

    for request in requests:
        with pytest.raises(Refusal) as caught:
            await shop.desk(request, **other)
        assert (caught.value.kind, caught.value.param) == ("not_found", "plan_id")
    assert (await shop.desk(ListPlans(), **other)).reply.rows == []


@pytest.mark.parametrize(
    "asked, names",
    [
        ({}, [["Élan", "b", "A 100%"], ["a"]]),
        ({"sort_field": "name", "sort_direction": "asc"}, [["a", "A 100%", "b"], ["Élan"]]),
        ({"sort_field": "name"}, [["Élan", "b", "A 100%"], ["a"]]),
        ({"sort_field": "updated_at", "sort_direction": "asc"}, [["A 100%", "b", "Élan"], ["a"]]),
        ({"status": "archived"}, [["a"]]),
        ({"status": "active", "sort_field": "name"}, [["Élan", "b", "A 100%"]]),
        ({"query": "LEAF"}, [["b"]]),
        ({"query": "0%"}, [["A 100%"]]),
        ({"query": "_"}, [[]]),
        ({"query": "a"}, [["Élan", "b", "A 100%"], ["a"]]),
    ],
)
async def test_a_list_is_filtered_and_sorted_page_by_page(
    shop: Shop, asked: dict[str, Any], names: list[list[str]]
):
    first = await made(shop, name="a")
    await made(shop, name="A 100%")
    await made(shop, name="b", description="loose leaf")
    await made(shop, name="Élan")
    shop.desk.later(1)
    await shop.tell(ArchivePlan(plan_id=first.plan_id))

    assert await pages(shop, page_size=3, **asked) == names


async def test_equal_names_are_each_shown_once(shop: Shop):
    for _ in range(5):
        await made(shop, name="Tea")

    assert await pages(shop, page_size=2, sort_field="name") == [["Tea", "Tea"]] * 2 + [["Tea"]]


# ---- what is bought of them ----------------------------------------------------------------------


async def test_an_order_keeps_the_terms_it_was_bought_on(shop: Shop):
    plan = a_plan(setup_fee_money=usd(500))
    link = resolved(1200)
    offer = link.offer.model_copy(update={"subscription_terms": plan.terms()})

    await shop.tell(link.model_copy(update={"offer": offer}))

    order = (await shop.desk(GetOrder(order_id=link.order_id))).reply
    assert order.subscription_plan_id == plan.plan_id
    assert order.subscription_terms == plan.terms()
    assert shop.said(OrderCreated)[0].subscription_terms == plan.terms()


async def test_a_page_for_a_plan_becomes_an_order_of_its_lines(shop: Shop):
    plan = a_plan(setup_fee_money=usd(500))
    lines = [
        {"key": line.key, "name": line.name, "quantity": line.quantity}
        | {"unit_price_money": line.unit_price_money}
        for line in plan.due_today()
    ]
    offer = {"name": plan.name, "currency": "USD", "lines": lines}
    page = session_attached(
        new_id("ord"), source="subscription", offer=offer | {"subscription_terms": plan.terms()}
    )

    await shop.tell(page)
    await shop.tell(page)

    order = (await shop.desk(GetOrder(order_id=page.order_id))).reply
    assert [line.name for line in order.line_items] == ["Tea box", "Setup fee"]
    assert order.net_amounts.balance_money.amount == 1700
    assert (order.source, order.subscription_plan_id) == ("subscription", plan.plan_id)
    assert order.checkout_session_ids == [page.checkout_session_id]
    assert len(shop.said(OrderCreated)) == 1
