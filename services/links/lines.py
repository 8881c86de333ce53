"""A link's lines as a buyer sees them, and what a buyer makes of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.links import donations
from services.links.domain import Link
from services.links.template import currency_mismatch, known, refuse_outside, refuse_uneven
from shared.contracts.link_requests import LinkLineItem
from shared.contracts.links import Choices, OfferLine, ResolvedLine
from shared.errors import Refusal, invalid
from shared.money import Money

QUANTITY_MAX: Final = 999_999


def resolved(line: LinkLineItem, **more: Any) -> ResolvedLine:
    """A line priced, with what may be chosen; `more` replaces any of it."""
    quantity, is_adjustable = line.quantity or 1, bool(line.allow_quantity_adjustment)
    least, most = line.min_quantity or 1, line.max_quantity or QUANTITY_MAX
    fields: dict[str, Any] = {
        "key": known(line.key),
        "name": known(line.name),
        "description": line.description,
        "image_url": line.image_url,
        "unit_price_money": known(line.amount_money),
        "quantity": quantity,
        "allow_quantity_adjustment": is_adjustable,
        "min_quantity": least if is_adjustable else quantity,
        "max_quantity": most if is_adjustable else quantity,
        "allow_amount_adjustment": bool(line.allow_amount_adjustment),
        "min_amount_money": line.min_amount_money,
        "max_amount_money": line.max_amount_money,
        "suggested_amounts": line.suggested_amounts,
    }
    return ResolvedLine.model_construct(**fields | more)


def bought(link: Link, lines: Sequence[ResolvedLine], choices: Choices) -> list[OfferLine]:
    """What was chosen of these lines. Raises the refusal of the first choice that is wrong."""
    donations.refuse_chosen(choices)
    _refuse_unknown(choices.quantity_overrides, lines, "quantity_overrides")
    _refuse_unknown(choices.unit_price_overrides, lines, "unit_price_overrides")
    items = {line.key: line.item_id for line in link.template.line_items}
    chosen = [
        OfferLine.model_construct(
            key=line.key,
            name=line.name,
            description=line.description,
            image_url=line.image_url,
            item_id=items.get(line.key),
            quantity=_quantity(line, choices.quantity_overrides.get(line.key)),
            unit_price_money=_price(line, choices.unit_price_overrides.get(line.key)),
        )
        for line in lines
    ]
    return [line for line in chosen if line.quantity]


def _refuse_unknown(chosen: Mapping[str, object], lines: Sequence[ResolvedLine], name: str) -> None:
    keys = {line.key for line in lines}
    for key in chosen:
        if key not in keys:
            raise invalid(f"{name}.{key}", f"There is no line '{key}' on this payment link.")


def _quantity(line: ResolvedLine, chosen: int | None) -> int:
    quantity, param = line.quantity if chosen is None else chosen, f"quantity_overrides.{line.key}"
    if quantity == 0 and line.is_optional:
        return 0
    if line.is_sold_out:
        raise Refusal("conflict", "EVENT_SOLD_OUT", f"{line.name} is sold out.", param=param)
    if not line.min_quantity <= quantity <= line.max_quantity:
        raise invalid(param, _bounds(line), "LINE_ITEM_INVALID_QUANTITY")
    if line.quantity_available is not None and quantity > line.quantity_available:
        message = f"Only {line.quantity_available} left."
        raise invalid(param, message, "LINE_ITEM_INVALID_QUANTITY")
    return quantity


def _bounds(line: ResolvedLine) -> str:
    or_none = " or none" if line.is_optional else ""
    if line.min_quantity == line.max_quantity:
        always = "" if line.is_optional else "always "
        return f"The quantity is {always}{line.min_quantity}{or_none}."
    return f"Choose {line.min_quantity} to {line.max_quantity}{or_none}."


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
