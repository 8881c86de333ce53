"""Subscription plans: what is paid how often, and on which terms. Orders owns them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from shared.contracts.base import Command, Event, Query
from shared.contracts.lists import ListQuery, Page
from shared.contracts.types import (
    Description,
    ImageUrl,
    ItemId,
    Metadata,
    MetadataPatch,
    ModeEnvironment,
    Name,
    Quantity,
    Resource,
    Strict,
    Time,
)
from shared.errors import Refusal, not_found
from shared.money import Currency, Money, money

BillingInterval = Literal["daily", "weekly", "monthly", "yearly"]
SubscriptionPlanStatus = Literal["active", "archived"]
# A period is ten years at most, and shorter the finer it is counted.
INTERVAL_COUNT_MAX: Final[dict[BillingInterval, int]] = {
    "daily": 365,
    "weekly": 52,
    "monthly": 36,
    "yearly": 10,
}
SETUP_FEE_KEY: Final = "setup-fee"
SETUP_FEE_NAME: Final = "Setup fee"
ARCHIVED: Final = "SUBSCRIPTION_PLAN_ARCHIVED"  # the code of whoever is too late

IntervalCount = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=365,
        description="At most 365 days, 52 weeks, 36 months or 10 years.",
    ),
]
TrialDays = Annotated[int, Field(strict=True, ge=0, le=730)]
TermMonths = Annotated[int, Field(strict=True, ge=1, le=120)]


class SubscriptionPlanLineItem(Strict):
    """What one period consists of. `name` is the plan's own when absent."""

    name: Name | None = None
    description: Description | None = None
    unit_price_money: Money | None = None
    quantity: Quantity = 1
    item_id: ItemId | None = None


PlanLineItems = Annotated[list[SubscriptionPlanLineItem], Field(max_length=50)]


class SubscriptionPlanCreateParams(Strict):
    """A new plan; one currency, and something to pay: in each period, or once."""

    name: Name
    description: Description | None = None
    image_url: ImageUrl | None = None
    currency: Currency
    billing_interval: BillingInterval
    billing_interval_count: IntervalCount = 1
    line_items: PlanLineItems = []
    setup_fee_money: Money | None = None
    trial_period_days: TrialDays | None = None
    contract_term_months: TermMonths | None = None
    early_termination_fee_money: Money | None = None
    metadata: Metadata = {}


class SubscriptionPlanUpdateParams(Strict):
    """PATCH: given fields replace, metadata merges, `null` or a `clear_…` flag unsets."""

    name: Name | None = None
    description: Description | None = None
    image_url: ImageUrl | None = None
    line_items: PlanLineItems | None = None
    setup_fee_money: Money | None = None
    trial_period_days: TrialDays | None = None
    contract_term_months: TermMonths | None = None
    early_termination_fee_money: Money | None = None
    metadata: MetadataPatch | None = None
    clear_trial_period_days: bool | None = None
    clear_setup_fee_money: bool | None = None
    clear_contract_term_months: bool | None = None
    clear_early_termination_fee_money: bool | None = None


class SubscriptionTerms(Resource):
    """What a buyer agrees to, as the plan was when it was shown or bought. Ours."""

    plan_id: str
    plan_version: Annotated[int, Field(description="The plan's `version` that these are of.")]
    name: str
    billing_interval: BillingInterval
    billing_interval_count: int
    recurring_money: Annotated[Money, Field(description="What one period costs.")]
    setup_fee_money: Money | None = None
    trial_period_days: int | None = None
    contract_term_months: int | None = None
    early_termination_fee_money: Money | None = None


@dataclass(frozen=True, slots=True)
class DueLine:
    """One line of the first payment."""

    key: str
    name: str
    quantity: int
    unit_price_money: Money
    description: str | None = None
    is_counted: bool = True  # a piece of what is sold; a fee beside it is none


class SubscriptionPlan(Resource):
    """What is paid how often, and on which terms."""

    plan_id: str
    name: str
    description: str | None = None
    image_url: str | None = None
    currency: str
    billing_interval: BillingInterval
    billing_interval_count: int
    line_items: list[SubscriptionPlanLineItem] = []
    setup_fee_money: Money | None = None
    trial_period_days: int | None = None
    contract_term_months: int | None = None
    early_termination_fee_money: Money | None = None
    status: SubscriptionPlanStatus
    version: Annotated[int, Field(description="Ours. Grows with every change.")] = 1
    metadata: dict[str, str] = {}
    merchant_id: str
    mode_environment: ModeEnvironment
    created_at: Time
    updated_at: Time

    def due_today(self) -> list[DueLine]:
        """The first payment: a trial puts the period off, a setup fee is due at once."""
        lines = [] if self.trial_period_days else list(self._period())
        if self.setup_fee_money is not None and self.setup_fee_money.amount:
            fee, is_alone = self.setup_fee_money, not lines
            lines.append(DueLine(SETUP_FEE_KEY, SETUP_FEE_NAME, 1, fee, is_counted=is_alone))
        is_due = any(line.unit_price_money.amount for line in lines)
        return lines if is_due else []

    def terms(self) -> SubscriptionTerms:
        """What a buyer agrees to now."""
        return SubscriptionTerms.model_construct(
            plan_id=self.plan_id,
            plan_version=self.version,
            name=self.name,
            billing_interval=self.billing_interval,
            billing_interval_count=self.billing_interval_count,
            recurring_money=money(self._recurring(), self.currency),
            setup_fee_money=self.setup_fee_money,
            trial_period_days=self.trial_period_days,
            contract_term_months=self.contract_term_months,
            early_termination_fee_money=self.early_termination_fee_money,
        )

    def _recurring(self) -> int:
        return sum(line.unit_price_money.amount * line.quantity for line in self._period())

    def _period(self) -> Iterator[DueLine]:
        for position, item in enumerate(self.line_items, start=1):
            assert item.unit_price_money is not None, "a plan's lines are priced"
            yield DueLine(
                key=f"item-{position}",
                name=item.name or self.name,
                quantity=item.quantity,
                unit_price_money=item.unit_price_money,
                description=item.description,
            )


def no_such_plan() -> Refusal:
    """Unknown, another merchant's, of the other mode: one answer."""
    return not_found("subscription plan", "plan_id")


def offered(plan: SubscriptionPlan | None) -> SubscriptionPlan:
    """The plan that somebody named, if it can be bought.

    Raises not_found, SUBSCRIPTION_PLAN_ARCHIVED.
    """
    if plan is None:
        raise no_such_plan()
    if plan.status == "archived":
        message = "The subscription plan is archived: it is no longer offered."
        raise Refusal("conflict", ARCHIVED, message, param="plan_id")
    return plan


class CreatePlan(Command[SubscriptionPlan], topic="plans.create"):
    params: SubscriptionPlanCreateParams


class GetPlan(Query[SubscriptionPlan], topic="plans.get"):
    plan_id: str


class ListPlans(ListQuery[Page[SubscriptionPlan]], topic="plans.list"):
    status: SubscriptionPlanStatus | None = None


class UpdatePlan(Command[SubscriptionPlan], topic="plans.update"):
    plan_id: str
    params: dict[str, Any]  # the validated PATCH as JSON: null and absent differ


class ArchivePlan(Command[SubscriptionPlan], topic="plans.archive"):
    plan_id: str


class SubscriptionPlanFact(SubscriptionPlan, Event):
    """The plan as the API shows it, and the old values of what changed."""

    previous: dict[str, Any] = {}


class SubscriptionPlanCreated(
    SubscriptionPlanFact, topic="subscription_plan.created", subject="plan_id"
):
    """A merchant made a plan."""


class SubscriptionPlanUpdated(
    SubscriptionPlanFact, topic="subscription_plan.updated", subject="plan_id"
):
    """A merchant changed a plan; what was bought before keeps the terms it froze."""


class SubscriptionPlanArchived(
    SubscriptionPlanFact, topic="subscription_plan.archived", subject="plan_id"
):
    """The plan is no longer offered; what was bought before goes on."""
