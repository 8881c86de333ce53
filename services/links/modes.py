"""Each mode translated into one Offer; nobody outside says "mode".

Pure. A new mode is a member of `LinkMode` and one `case` in each function here: `assert_never`
makes the type checker name every place that has to think about it (see the room's README).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, assert_never
from zoneinfo import available_timezones

from services.links import donations
from services.links.answers import answered
from services.links.domain import Link, refuse_unavailable
from services.links.template import (
    Template,
    asked,
    check,
    currency_mismatch,
    known,
    refuse_outside,
    refuse_uneven,
)
from shared.contracts.configs import HostedConfigs
from shared.contracts.link_requests import Frequency, LinkLineItem
from shared.contracts.links import (
    BuyerLink,
    Choices,
    LinkResolved,
    Offer,
    OfferLine,
    Resolution,
    ResolvedLine,
    ResolveLink,
    ShownLink,
)
from shared.errors import Refusal, invalid
from shared.money import AMOUNT_MAX, Money

QUANTITY_MAX: Final = 999_999
ZONES: Final = frozenset(available_timezones())  # read once: the table comes with the installation
_CONFIG_NAMES: Final = tuple(HostedConfigs.model_fields)
_BUYER_NAMES: Final = tuple(
    name
    for name in BuyerLink.model_fields
    if name in Template.model_fields.keys() - {"custom_fields"}
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
        case "event":
            _refuse_set(template, _DONATION_NAMES, "donation")
            _check_event(template)
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


def _check_event(template: Template) -> None:
    if template.plan_id is not None:
        raise invalid("plan_id", "An event sells tickets, it cannot have a plan.")
    zone = template.event_config.timezone
    if zone is not None and zone not in ZONES:
        raise invalid("event_config.timezone", f"'{zone}' is not an IANA time zone.")


def unavailable_reason(link: Link, now: datetime) -> str | None:
    """Why nobody can buy now; a link that has nothing to sell yet counts as inactive."""
    if (reason := link.unavailable_reason(now)) is not None:
        return reason
    return None if _sells(link.template) else "PAYMENT_LINK_INACTIVE"


def _sells(template: Template) -> bool:
    if template.plan_id is not None:
        return False  # plans are not sold yet
    match template.mode:
        case "standard" | "event":
            return bool(template.line_items)
        case "donation":
            return True
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
        **fields,
    )
    return ShownLink.model_construct(
        payment_link=buyer_link,
        resolved_line_items=resolved_lines(link),
        donation_frequencies=_frequencies(link.template),
        is_sold_out=link.exhausted_by is not None,
        remaining_quantity=link.remaining_quantity,
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
        case "standard" | "event":
            return [_resolved(line, link) for line in template.line_items]
        case "donation":
            return [donations.line(template)]
        case _:
            assert_never(template.mode)


def _resolved(line: LinkLineItem, link: Link) -> ResolvedLine:
    quantity, is_adjustable = line.quantity or 1, bool(line.allow_quantity_adjustment)
    least, most = line.min_quantity or 1, line.max_quantity or QUANTITY_MAX
    return ResolvedLine.model_construct(
        key=known(line.key),
        name=known(line.name),
        description=line.description,
        image_url=line.image_url,
        unit_price_money=known(line.amount_money),
        quantity=quantity,
        allow_quantity_adjustment=is_adjustable,
        min_quantity=least if is_adjustable else quantity,
        max_quantity=most if is_adjustable else quantity,
        allow_amount_adjustment=bool(line.allow_amount_adjustment),
        min_amount_money=line.min_amount_money,
        max_amount_money=line.max_amount_money,
        suggested_amounts=line.suggested_amounts,
        is_sold_out=link.exhausted_by is not None,
        quantity_available=link.remaining_quantity if link.max_quantity is not None else None,
    )


def resolve(link: Link, msg: ResolveLink, *, ulid: str, now: datetime) -> LinkResolved:
    """The choices of one buyer become one offer: a fresh session and a fresh order of one ULID."""
    if msg.context_version < link.version:
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
    template = link.template
    match template.mode:
        case "standard" | "event":
            lines, frequency = _bought(link, choices), None
        case "donation":
            lines, frequency = donations.given(template, choices)
        case _:
            assert_never(template.mode)
    if sum(line.unit_price_money.amount * line.quantity for line in lines) > AMOUNT_MAX:
        raise invalid("quantity_overrides", "Together this costs too much.", "AMOUNT_OUT_OF_RANGE")
    return Offer.model_construct(
        name=template.name,
        currency=lines[0].unit_price_money.currency,
        lines=lines,
        is_limited=link.is_limited,
        donation_frequency=frequency,
    )


def _bought(link: Link, choices: Choices) -> list[OfferLine]:
    donations.refuse_chosen(choices)
    lines = resolved_lines(link)
    _refuse_unknown(choices.quantity_overrides, lines, "quantity_overrides")
    _refuse_unknown(choices.unit_price_overrides, lines, "unit_price_overrides")
    items = {line.key: line.item_id for line in link.template.line_items}
    bought = [
        OfferLine.model_construct(
            key=line.key,
            name=line.name,
            description=line.description,
            image_url=line.image_url,
            item_id=items[line.key],
            quantity=_quantity(line, choices.quantity_overrides.get(line.key)),
            unit_price_money=_price(line, choices.unit_price_overrides.get(line.key)),
        )
        for line in lines
    ]
    _refuse_too_many(link, sum(line.quantity for line in bought))
    return bought


def _refuse_unknown(chosen: Mapping[str, object], lines: Sequence[ResolvedLine], name: str) -> None:
    known = {line.key for line in lines}
    for key in chosen:
        if key not in known:
            raise invalid(f"{name}.{key}", f"There is no line '{key}' on this payment link.")


def _quantity(line: ResolvedLine, chosen: int | None) -> int:
    quantity = line.quantity if chosen is None else chosen
    if line.min_quantity <= quantity <= line.max_quantity:
        return quantity
    if line.min_quantity == line.max_quantity:
        message = f"The quantity is always {line.quantity}."
    else:
        message = f"Choose {line.min_quantity} to {line.max_quantity}."
    raise invalid(f"quantity_overrides.{line.key}", message, "LINE_ITEM_INVALID_QUANTITY")


def _price(line: ResolvedLine, chosen: Money | None) -> Money:
    if chosen is None or chosen == line.unit_price_money:
        return line.unit_price_money
    param, expected = f"unit_price_overrides.{line.key}", line.unit_price_money.currency
    if chosen.currency != expected:
        raise currency_mismatch(param, expected)
    if not line.allow_amount_adjustment:
        raise invalid(param, "The price of this line is fixed.", "AMOUNT_OUT_OF_RANGE")
    refuse_outside(chosen, line.min_amount_money, line.max_amount_money, param)
    refuse_uneven(chosen, line.suggested_amounts, param)
    return chosen


def _refuse_too_many(link: Link, quantity: int) -> None:
    left = link.remaining_quantity
    if link.max_quantity is not None and left is not None and quantity > left:
        message = f"Only {left} left."
        raise invalid("quantity_overrides", message, "LINE_ITEM_INVALID_QUANTITY")
