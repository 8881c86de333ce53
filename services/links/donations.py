"""Donations: one line of an amount that the donor chooses, and what covers its fees beside it.

Pure. Only `modes` asks. A wish to give again is written on the offer; the offer itself is always
one payment.
"""

from __future__ import annotations

from typing import Final

from services.links.template import (
    Template,
    check_bounds,
    currency_mismatch,
    currency_of,
    refuse_outside,
    refuse_uneven,
)
from shared.contracts.link_requests import CoverFees, Frequency
from shared.contracts.links import Choices, OfferLine, ResolvedLine
from shared.errors import invalid, required
from shared.money import AMOUNT_MAX, Money, card_step, money

KEY: Final = "donation"
FEES_KEY: Final = "fees"
FEES_NAME: Final = "Covering the fees"
CURRENCY_DEFAULT: Final = "USD"  # of a donation that names no sum at all
AMOUNT: Final = "donation_amount_money"
ONCE: Final[Frequency] = "one_time"
TAKES_NO: Final = ("tip", "tax", "coupon")


def check(template: Template) -> None:
    """Refuse what a donation cannot have. Raises the first refusal found."""
    if template.line_items:
        raise invalid("line_items", "A donation has no line items.")
    least, most = _least(template), template.donation_max_amount_money
    asked = "min" if template.donation_min_amount_money else "max"
    check_bounds(least, most, f"donation_{asked}_amount_money")
    for index, suggested in enumerate(template.donation_suggested_amounts):
        refuse_outside(suggested, least, most, f"donation_suggested_amounts[{index}]")
    _check_frequencies(template)
    for name in TAKES_NO:
        if getattr(template, name).is_enabled:
            raise invalid(f"{name}.is_enabled", f"A donation takes no {name}.")
    if template.coupon.auto_apply_coupon_codes:
        raise invalid("coupon.auto_apply_coupon_codes", "A donation takes no coupon.")


def _check_frequencies(template: Template) -> None:
    wished = template.donation_frequencies
    if wished and template.plan_id is not None:
        raise invalid("donation_frequencies", "The plan says how often it is paid.")
    for index, frequency in enumerate(wished):
        if frequency in wished[:index]:
            message = f"'{frequency}' is there twice."
            raise invalid(f"donation_frequencies[{index}]", message)


def line(template: Template) -> ResolvedLine:
    """The donation as a buyer sees it: a line whose amount is open."""
    least = _least(template)
    return ResolvedLine.model_construct(
        key=KEY,
        name=template.name,
        unit_price_money=next(iter(template.donation_suggested_amounts), least),
        allow_amount_adjustment=True,
        is_amount_open=True,
        min_amount_money=least,
        max_amount_money=template.donation_max_amount_money,
        suggested_amounts=template.donation_suggested_amounts,
        cover_fees=_cover_fees(template),
    )


def frequencies(template: Template) -> list[Frequency]:
    """What the donor is asked to choose from; nothing, when once is all there is."""
    wished = template.donation_frequencies
    return [] if wished == [ONCE] else list(wished)


def given(template: Template, choices: Choices) -> tuple[list[OfferLine], Frequency]:
    """The lines of this donor's gift, and how often they wish to give it.

    Raises FIELD_REQUIRED, INVALID_VALUE, AMOUNT_OUT_OF_RANGE, CURRENCY_MISMATCH by field.
    """
    _refuse_what_donations_lack(choices)
    gift, param = _chosen(choices)
    currency = _currency(template)
    if gift.currency != currency:
        raise currency_mismatch(param, currency)
    refuse_outside(gift, _least(template), template.donation_max_amount_money, param)
    refuse_uneven(gift, template.donation_suggested_amounts, param)
    lines = [_line(KEY, template.name, gift)]
    if choices.donation_covers_fees:
        lines += _fees(template, gift, param)
    return lines, _frequency(template, choices)


def refuse_chosen(choices: Choices) -> None:
    """For links that are no donations: a donor's choices mean nothing there."""
    for name in (AMOUNT, "donation_frequency", "donation_covers_fees"):
        if getattr(choices, name):
            raise invalid(name, "This payment link is not for donations.")


def _refuse_what_donations_lack(choices: Choices) -> None:
    if choices.quantity_overrides:
        raise invalid("quantity_overrides", "A donation has no quantity.")
    if choices.coupon_code is not None:
        raise invalid("coupon_code", "A donation takes no coupon.")


def _chosen(choices: Choices) -> tuple[Money, str]:
    """The amount and the field it came by: its own name, or the price of the one line."""
    prices = choices.unit_price_overrides
    for key in prices:
        if key != KEY:
            param = f"unit_price_overrides.{key}"
            raise invalid(param, f"There is no line '{key}' on this payment link.")
    own = choices.donation_amount_money
    if own is not None and prices.get(KEY, own) != own:
        raise invalid(AMOUNT, f"'unit_price_overrides.{KEY}' says another amount.")
    if own is not None:
        return own, AMOUNT
    if KEY not in prices:
        raise required(AMOUNT)
    return prices[KEY], f"unit_price_overrides.{KEY}"


def _frequency(template: Template, choices: Choices) -> Frequency:
    offered = template.donation_frequencies or [ONCE]
    if choices.donation_frequency is None and ONCE not in offered:
        raise required("donation_frequency")
    wished = choices.donation_frequency or ONCE
    if wished not in offered:
        raise invalid("donation_frequency", f"Choose one of: {', '.join(offered)}.")
    return wished


def _fees(template: Template, gift: Money, param: str) -> list[OfferLine]:
    covering = _cover_fees(template)
    if covering is None:
        message = "This payment link does not let donors cover the fees."
        raise invalid("donation_covers_fees", message)
    added = covering.on(gift)
    if gift.amount + added > AMOUNT_MAX:
        raise invalid(param, "With its fees this is too much.", "AMOUNT_OUT_OF_RANGE")
    return [_line(FEES_KEY, FEES_NAME, money(added, gift.currency), is_counted=False)]


def _line(key: str, name: str, amount: Money, *, is_counted: bool = True) -> OfferLine:
    return OfferLine.model_construct(
        key=key, name=name, quantity=1, unit_price_money=amount, is_counted=is_counted
    )


def _cover_fees(template: Template) -> CoverFees | None:
    """Fees of nothing are not worth a question."""
    fees = template.donation_cover_fees
    return fees if fees is not None and (fees.percent or fees.fixed) else None


def _currency(template: Template) -> str:
    return currency_of(template) or CURRENCY_DEFAULT


def _least(template: Template) -> Money:
    """A donation of nothing is none."""
    currency = _currency(template)
    asked = template.donation_min_amount_money
    return asked if asked is not None and asked.amount else money(card_step(currency), currency)
