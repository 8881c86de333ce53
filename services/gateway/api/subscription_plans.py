"""`/v1/subscription-plans`: what is paid how often, for links and sessions to offer."""

from __future__ import annotations

from typing import Final, Literal

from services.gateway.api import examples
from services.gateway.api.lists import ListParams
from services.gateway.api.operation import ApiCall, NoParams, Operation
from shared.contracts.lists import Page
from shared.contracts.plans import (
    ArchivePlan,
    CreatePlan,
    GetPlan,
    ListPlans,
    SubscriptionPlan,
    SubscriptionPlanCreateParams,
    SubscriptionPlanStatus,
    SubscriptionPlanUpdateParams,
    UpdatePlan,
)
from shared.errors import Refusal

READ: Final = "commerce.subscription_plans.read"
WRITE: Final = "commerce.subscription_plans.write"


class SubscriptionPlanListParams(ListParams):
    """Filters and order of the list."""

    sort_field: Literal["name", "created_at", "updated_at"] = "created_at"
    status: SubscriptionPlanStatus | None = None


async def known_plan(call: ApiCall, plan_id: str | None) -> SubscriptionPlan | None:
    """The plan that a link or a session is to offer, if there is one: what becomes of an unknown
    or archived one is their owner's word, which has kept its first answer to this request.
    """
    if plan_id is None:
        return None
    try:
        return await call.ask(GetPlan(plan_id=plan_id))
    except Refusal as refusal:
        if refusal.kind != "not_found":
            raise
        return None


async def create(call: ApiCall) -> SubscriptionPlan:
    return await call.ask(CreatePlan(params=call.body))


async def get(call: ApiCall) -> SubscriptionPlan:
    return await call.ask(GetPlan(**call.ids))


async def list_all(call: ApiCall) -> Page[SubscriptionPlan]:
    return await call.ask(ListPlans(**call.page()))


async def update(call: ApiCall) -> SubscriptionPlan:
    given = call.body.model_dump(mode="json", exclude_unset=True)
    return await call.ask(UpdatePlan(**call.ids, params=given))


async def archive(call: ApiCall) -> SubscriptionPlan:
    return await call.ask(ArchivePlan(**call.ids))


_WRONG_PLAN: Final = ("CURRENCY_MISMATCH", "AMOUNT_OUT_OF_RANGE")
_BASE: Final = "/v1/subscription-plans"
_ONE: Final = f"{_BASE}/{{plan_id}}"

OPERATIONS: Final = (
    Operation(
        "POST",
        _BASE,
        "createSubscriptionPlan",
        "Create a subscription plan",
        create,
        SubscriptionPlan,
        scope=WRITE,
        status=201,
        body=SubscriptionPlanCreateParams,
        codes=_WRONG_PLAN,
        example=examples.PLAN_PARAMS,
        reply_example=examples.PLAN,
        description="Everything is in the plan's `currency`, and something has to be paid: in each "
        "period (`line_items`), or once (`setup_fee_money`). A line without a `name` bears the "
        "plan's. A period is at most 365 days, 52 weeks, 36 months or 10 years. Links and sessions "
        "offer a plan and take its first payment; renewals are not charged yet.",
    ),
    Operation(
        "GET",
        _BASE,
        "listSubscriptionPlans",
        "List subscription plans",
        list_all,
        SubscriptionPlan,
        scope=READ,
        query=SubscriptionPlanListParams,
        reply_example=examples.PLAN,
        description="`query` looks into name and description. By `name` means by its letters in "
        "one case, in the order of their code points.",
    ),
    Operation(
        "GET",
        _ONE,
        "getSubscriptionPlan",
        "Retrieve a subscription plan",
        get,
        SubscriptionPlan,
        scope=READ,
        reply_example=examples.PLAN,
    ),
    Operation(
        "PATCH",
        _ONE,
        "updateSubscriptionPlan",
        "Update a subscription plan",
        update,
        SubscriptionPlan,
        scope=WRITE,
        body=SubscriptionPlanUpdateParams,
        codes=_WRONG_PLAN,
        example={"setup_fee_money": examples.SETUP_FEE, "clear_trial_period_days": True},
        reply_example=examples.PLAN,
        description="Given fields replace, metadata merges, `null` or a `clear_…` flag unsets. "
        "Currency and interval are fixed. A buyer who has the page of a link with this plan open "
        "is shown the change first (409 `PAYMENT_LINK_CHANGED_RETRY`); sessions and orders keep "
        "the terms they froze. An archived plan may still be changed.",
    ),
    Operation(
        "POST",
        f"{_ONE}/archive",
        "archiveSubscriptionPlan",
        "Archive a subscription plan",
        archive,
        SubscriptionPlan,
        scope=WRITE,
        body=NoParams,
        is_body_optional=True,
        reply_example=examples.ARCHIVED_PLAN,
        description="Repeats safely. Its links are unavailable from now on, and no new link or "
        "session can offer it; sessions that are open may be paid.",
    ),
)
