"""Links that offer a plan: what a buyer pays today, line by line, and the terms beside it.

Pure. Only `modes` and the handlers ask. Nothing of a plan can be chosen; what is due later is told
by the terms and is nobody's line yet.
"""

from __future__ import annotations

from services.links import lines
from services.links.domain import Link
from services.links.template import Template, refuse_other_currency
from shared.contracts.links import Choices, OfferLine, ResolvedLine
from shared.contracts.plans import DueLine, SubscriptionPlan, offered
from shared.errors import invalid


def check(template: Template) -> None:
    """Refuse what a plan says already. Raises the first refusal found."""
    if template.plan_id is not None and template.line_items:
        raise invalid("line_items", "The plan says what is sold.")


def refuse(template: Template, why: str) -> None:
    """For modes that sell something else."""
    if template.plan_id is not None:
        raise invalid("plan_id", why)


def fitting(template: Template, plan: SubscriptionPlan | None) -> SubscriptionPlan | None:
    """The plan of a new link; None for a link without one.

    Raises not_found, SUBSCRIPTION_PLAN_ARCHIVED, CURRENCY_MISMATCH.
    """
    if template.plan_id is None:
        return None
    found = offered(plan)
    refuse_other_currency(template, found.currency)
    return found


def shown(link: Link, plan: SubscriptionPlan) -> list[ResolvedLine]:
    """What is due today, as a buyer sees it."""
    is_sold_out = link.capacity.exhausted_by is not None
    return [_line(line, is_sold_out=is_sold_out) for line in plan.due_today()]


def _line(line: DueLine, *, is_sold_out: bool) -> ResolvedLine:
    return ResolvedLine.model_construct(
        key=line.key,
        name=line.name,
        description=line.description,
        unit_price_money=line.unit_price_money,
        quantity=line.quantity,
        min_quantity=line.quantity,
        max_quantity=line.quantity,
        is_sold_out=is_sold_out,
    )


def bought(link: Link, plan: SubscriptionPlan, choices: Choices) -> list[OfferLine]:
    """The first payment. Raises the refusal of the first choice, since there is none to make."""
    counted = {line.key: line.is_counted for line in plan.due_today()}
    chosen = lines.bought(link, shown(link, plan), choices)
    return [line.model_copy(update={"is_counted": counted[line.key]}) for line in chosen]
