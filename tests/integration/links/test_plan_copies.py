"""What links knows of plans: said in any order, kept by version, brought along by a new link."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts.link_requests import ReplaceLineItemsParams
from shared.contracts.links import (
    CreateLink,
    LinkResolved,
    PaymentLink,
    ReplaceLineItems,
    ShowLink,
    ShownLink,
    UpdateLink,
)
from shared.contracts.plans import (
    SubscriptionPlan,
    SubscriptionPlanArchived,
    SubscriptionPlanFact,
    SubscriptionPlanUpdated,
)
from shared.errors import Refusal
from tests.builders_links import params, resolving, tea
from tests.builders_plans import PLAN, a_plan, item, usd
from tests.support.desk import Desk

STRANGER = "mer_01JZZZZZZZZZZZZZZZZZZZZZZB"


def said(kind: type[SubscriptionPlanFact], **given: Any) -> SubscriptionPlanFact:
    return kind.model_construct(**vars(a_plan(**given)))


async def a_club(links: Desk, plan: SubscriptionPlan | None, **given: Any) -> PaymentLink:
    wanted = params(**{"name": "Club", "plan_id": PLAN, "line_items": [], **given})
    link = (await links(CreateLink(params=wanted, plan=plan))).reply
    assert isinstance(link, PaymentLink)
    return link


async def shown(links: Desk, link: PaymentLink) -> ShownLink:
    reply = (await links(ShowLink(payment_link_id=link.payment_link_id))).reply
    assert isinstance(reply, ShownLink)
    return reply


async def refused(links: Desk, message: Any, **to: str) -> tuple[str, str | None]:
    with pytest.raises(Refusal) as caught:
        await links(message, **to)
    return caught.value.code, caught.value.param


async def test_a_link_sells_its_plan_before_anything_was_heard_of_it(links: Desk):
    link = await a_club(links, a_plan(setup_fee_money=usd(500)))

    page = await shown(links, link)
    resolution = await links(resolving(link.payment_link_id, version=page.version))

    assert link.plan_id == PLAN
    assert [line.key for line in page.resolved_line_items] == ["item-1", "setup-fee"]
    assert page.version == 2
    offer = resolution.only(LinkResolved).offer
    assert offer.subscription_terms == a_plan(setup_fee_money=usd(500)).terms()


async def test_the_latest_version_counts_in_whatever_order_it_is_heard(links: Desk):
    link = await a_club(links, a_plan())
    old = await shown(links, link)

    await links(said(SubscriptionPlanUpdated, version=3, line_items=[item(1500)]))
    await links(said(SubscriptionPlanUpdated, version=2, line_items=[item(1300)]))
    await a_club(links, a_plan(), slug="another")  # whose request was overtaken, too

    page = await shown(links, link)
    (line,) = page.resolved_line_items
    assert (line.unit_price_money.amount, page.version) == (1500, 4)
    stale = resolving(link.payment_link_id, version=old.version)
    assert await refused(links, stale) == ("PAYMENT_LINK_CHANGED_RETRY", None)


async def test_an_archived_plan_is_offered_no_more(links: Desk):
    link = await a_club(links, a_plan())
    context = (await shown(links, link)).version

    await links(said(SubscriptionPlanArchived, version=2, status="archived"))

    assert (await shown(links, link)).unavailable_reason == "SUBSCRIPTION_PLAN_ARCHIVED"
    late = resolving(link.payment_link_id, version=context)
    assert (await refused(links, late))[0] == "SUBSCRIPTION_PLAN_ARCHIVED"
    # A snapshot of before does not bring it back.
    again = CreateLink(params=params(plan_id=PLAN, line_items=[]), plan=a_plan())
    assert await refused(links, again) == ("SUBSCRIPTION_PLAN_ARCHIVED", "plan_id")


@pytest.mark.parametrize("other", [{"merchant_id": STRANGER}, {"mode": "live"}])
async def test_a_foreign_plan_looks_like_an_unknown_one(links: Desk, other: dict[str, str]):
    await a_club(links, a_plan())

    wanted = CreateLink(params=params(plan_id=PLAN, line_items=[]))

    assert await refused(links, wanted, **other) == ("RESOURCE_NOT_FOUND", "plan_id")


async def test_a_link_with_a_plan_takes_no_lines_and_no_sum_in_another_currency(links: Desk):
    link = await a_club(links, a_plan())
    lines = ReplaceLineItemsParams.model_validate({"line_items": [tea()]})
    tips = {"tip": {"smart_tip_amounts": [{"amount": 1, "currency": "EUR"}]}}

    replaced = ReplaceLineItems(payment_link_id=link.payment_link_id, params=lines)
    patched = UpdateLink(payment_link_id=link.payment_link_id, params=tips)

    assert await refused(links, replaced) == ("INVALID_VALUE", "line_items")
    assert await refused(links, patched) == ("CURRENCY_MISMATCH", "tip.smart_tip_amounts[0]")


async def test_links_of_one_plan_are_made_side_by_side(links: Desk):
    made = await asyncio.gather(*(a_club(links, a_plan(), slug=f"club-{n}") for n in range(8)))

    assert len({link.payment_link_id for link in made}) == 8
    assert await links.rows("SELECT version FROM plans") == [{"version": 1}]
