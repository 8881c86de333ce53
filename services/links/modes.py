"""Each mode translated into one Offer; nobody outside says "mode".

Pure. A new mode is a member of `LinkMode` and one `case` in each function here: `assert_never`
makes the type checker name every place that has to think about it (see the room's README).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, assert_never

from services.links import donations, lines, plans, tiers
from services.links.answers import answered
from services.links.domain import Link, refuse_unavailable
from services.links.template import (
    Template,
    asked,
    check,
)
from shared.contracts.configs import HostedConfigs
from shared.contracts.link_requests import Frequency
from shared.contracts.links import (
    BuyerLink,
    Choices,
    LinkResolved,
    Offer,
    Resolution,
    ResolvedLine,
    ResolveLink,
    ShownLink,
)
from shared.errors import Refusal, invalid
from shared.money import AMOUNT_MAX

_CONFIG_NAMES: Final = tuple(HostedConfigs.model_fields)
_BUYER_NAMES: Final = tuple(
    name
    for name in BuyerLink.model_fields
    if name in Template.model_fields.keys() - {"custom_fields", "event_config"}
)
_DONATION_NAMES: Final = tuple(
    name for name in Template.model_fields if name.startswith("donation_")
)


def checked(template: Template) -> Template:
    """The same template, once it contradicts neither itself nor its mode."""
    check(template)
    match template.mode:
        case "standard":
            _refuse_set(template, _DONATION_NAMES, "donation")
            _refuse_set(template, ("event_config",), "event")
            tiers.refuse_caps(template)
            plans.check(template)
        case "event":
            _refuse_set(template, _DONATION_NAMES, "donation")
            plans.refuse(template, "An event sells tickets, it cannot have a plan.")
            tiers.check(template)
        case "donation":
            _refuse_set(template, ("event_config",), "event")
            donations.check(template)
        case _:
            assert_never(template.mode)
    return template


def _refuse_set(template: Template, names: Sequence[str], mode: str) -> None:
    for name in names:
        if getattr(template, name) != Template.model_fields[name].get_default():
            raise invalid(name, f"'{name}' is for links of mode '{mode}'.")


def unavailable_reason(link: Link, now: datetime) -> str | None:
    """Why nobody can buy now; a link that has nothing to sell yet counts as inactive."""
    if (reason := link.unavailable_reason(now)) is not None:
        return reason
    return None if _sells(link) else "PAYMENT_LINK_INACTIVE"


def _sells(link: Link) -> bool:
    template = link.template
    match template.mode:
        case "standard" | "event":
            return bool(resolved_lines(link))
        case "donation":
            return template.plan_id is None  # giving by a plan needs renewals
        case _:
            assert_never(template.mode)


def shown(link: Link, now: datetime) -> ShownLink:
    """What a buyer may see, also of a link that cannot be resolved now."""
    fields = {name: getattr(link.template, name) for name in _BUYER_NAMES}
    buyer_link = BuyerLink.model_construct(
        payment_link_id=link.payment_link_id,
        status=link.status,
        version=link.version,
        url=link.url,
        custom_fields=asked(link.template),
        event_config=tiers.invitation(link.template.event_config),
        **fields,
    )
    return ShownLink.model_construct(
        payment_link=buyer_link,
        resolved_line_items=resolved_lines(link),
        donation_frequencies=_frequencies(link.template),
        subscription_terms=link.plan.terms() if link.plan else None,
        is_sold_out=link.capacity.exhausted_by is not None,
        remaining_quantity=link.capacity.remaining_quantity,
        unavailable_reason=unavailable_reason(link, now),
        merchant_id=link.merchant_id,
        mode_environment=link.mode_environment,
        slug=link.slug,
    )


def _frequencies(template: Template) -> list[Frequency]:
    match template.mode:
        case "standard" | "event":
            return []
        case "donation":
            return donations.frequencies(template)
        case _:
            assert_never(template.mode)


def resolved_lines(link: Link) -> list[ResolvedLine]:
    """The lines as a buyer sees them: priced, with what may be chosen."""
    template = link.template
    match template.mode:
        case "standard":
            if template.plan_id is not None:
                return plans.shown(link, link.plan) if link.plan else []
            is_sold_out = link.capacity.exhausted_by is not None
            return [lines.resolved(line, is_sold_out=is_sold_out) for line in template.line_items]
        case "event":
            return tiers.shown(link)
        case "donation":
            return [donations.line(template)]
        case _:
            assert_never(template.mode)


def resolve(link: Link, msg: ResolveLink, *, ulid: str, now: datetime) -> LinkResolved:
    """The choices of one buyer become one offer: a fresh session and a fresh order of one ULID."""
    if msg.context_version < link.shown_version:
        raise Refusal(
            "conflict",
            "PAYMENT_LINK_CHANGED_RETRY",
            "The payment link has changed since this page was opened.",
            next_actions=("Show the link again and let the buyer decide.",),
        )
    template, choices = link.template, msg.choices
    made = offer(link, choices)
    if choices.coupon_code is not None:
        raise invalid("coupon_code", "No such coupon.", "COUPON_NOT_FOUND")
    return LinkResolved.model_construct(
        checkout_session_id=f"cs_{ulid}",
        order_id=f"ord_{ulid}",
        payment_link_id=link.payment_link_id,
        merchant_id=link.merchant_id,
        mode_environment=link.mode_environment,
        offer=made,
        configs=HostedConfigs.model_construct(**_configs(template)),
        custom_fields=asked(template),
        custom_field_values=answered(asked(template), choices.custom_field_values),
        customer=choices.customer,
        client_reference_id=msg.client_reference_id,
        utm=msg.utm,
        locale=msg.locale,
        resolved_at=now,
    )


def resolution_of(fact: LinkResolved) -> Resolution:
    """The answer to the buyer: the ids that session and order will bear."""
    return Resolution.model_construct(
        checkout_session_id=fact.checkout_session_id,
        order_id=fact.order_id,
        payment_link_id=fact.payment_link_id,
        merchant_id=fact.merchant_id,
        mode_environment=fact.mode_environment,
    )


def _configs(template: Template) -> dict[str, Any]:
    return {name: getattr(template, name) for name in _CONFIG_NAMES}


def refuse_if_unavailable(link: Link, now: datetime) -> None:
    """A link's state comes before everything a buyer may have got wrong."""
    if (code := unavailable_reason(link, now)) is not None:
        raise refuse_unavailable(code)


def offer(link: Link, choices: Choices) -> Offer:
    """What this buyer buys. Raises the refusal of the first choice that cannot be accepted."""
    template, more = link.template, dict[str, Any]()
    match template.mode:
        case "standard" if link.plan is not None:
            chosen = plans.bought(link, link.plan, choices)
            more["subscription_terms"] = link.plan.terms()
        case "standard":
            chosen = lines.bought(link, resolved_lines(link), choices)
        case "event":
            chosen, more = tiers.bought(link, choices), tiers.admission(template)
        case "donation":
            chosen, more["donation_frequency"] = donations.given(template, choices)
        case _:
            assert_never(template.mode)
    if sum(line.unit_price_money.amount * line.quantity for line in chosen) > AMOUNT_MAX:
        raise invalid("quantity_overrides", "Together this costs too much.", "AMOUNT_OUT_OF_RANGE")
    return Offer.model_construct(
        name=template.name,
        currency=chosen[0].unit_price_money.currency,
        lines=chosen,
        is_limited=link.capacity.is_limited,
        **more,
    )
