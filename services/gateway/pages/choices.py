"""A link's posted form as choices, with every field that is wrong named at once.

What needs the link's own word (bounds, options, what is left) stays with links: its refusal is
put beside the same fields by `errors_of`.
"""

from __future__ import annotations

from typing import Final

from services.gateway.pages.forms import (
    Form,
    picked_amount,
    tidied,
    typed_money,
    whole_number,
)
from services.gateway.pages.prefill import Carried
from shared.answers import problem_with
from shared.contracts.link_requests import CustomField
from shared.contracts.links import Choices, ResolvedLine, ShownLink
from shared.errors import Refusal
from shared.money import Money

Errors = dict[str, str]
CURRENCY_DEFAULT: Final = "USD"  # of a donation that names no sum at all

# A refusal's `param` → the form's field.
FIELDS: Final = {
    "quantity_overrides": "quantity",
    "unit_price_overrides": "amount",
    "custom_field_values": "field",
}


def read_choices(form: Form, shown: ShownLink, carried: Carried) -> tuple[Choices, Errors]:
    """The choices, and what is wrong by field name; with errors the choices are not to be used."""
    errors: Errors = {}
    quantities: dict[str, int] = {}
    prices: dict[str, Money] = {}
    is_gift = shown.payment_link.mode == "donation"
    for line in shown.resolved_line_items if not is_gift else ():
        _read_line(form, line, quantities, prices, errors)
    choices = Choices.model_construct(
        quantity_overrides=quantities,
        unit_price_overrides=prices,
        custom_field_values=_answers(form, shown.payment_link.custom_fields, errors),
        donation_amount_money=_gift(form, shown, errors) if is_gift else None,
        customer=carried.customer(),
    )
    return choices, errors


def currency_of(shown: ShownLink) -> str:
    """The link's one currency."""
    lines = shown.resolved_line_items
    return lines[0].unit_price_money.currency if lines else CURRENCY_DEFAULT


def errors_of(refusal: Refusal, shown: ShownLink) -> Errors:
    """A refusal beside the field it is about; empty when it is about none on the page."""
    root, _, key = (refusal.param or "").partition(".")
    if root == "donation_amount_money":
        return {"donation_amount": refusal.message}
    if root not in FIELDS:
        return {}
    if not key:  # About all of them together: said beside the first that can be changed.
        key = next((line.key for line in shown.resolved_line_items if _is_chosen(line)), "")
    return {f"{FIELDS[root]}.{key}": refusal.message} if key else {}


def _read_line(
    form: Form,
    line: ResolvedLine,
    quantities: dict[str, int],
    prices: dict[str, Money],
    errors: Errors,
) -> None:
    if line.is_sold_out:
        return
    if line.allow_quantity_adjustment:
        name = f"quantity.{line.key}"
        count = whole_number(form.get(name, ""))
        if not count:
            errors[name] = f"Enter how many of {line.name} you want, as a whole number."
        else:
            quantities[line.key] = count
    if line.allow_amount_adjustment:
        name = f"amount.{line.key}"
        price = _amount(form, name, f"amount_other.{line.key}", line.unit_price_money.currency)
        if price is None:
            errors[name] = f"Enter an amount for {line.name}, such as 12.50."
        else:
            prices[line.key] = price


def _gift(form: Form, shown: ShownLink, errors: Errors) -> Money | None:
    amount = _amount(form, "donation_amount", "donation_amount_other", currency_of(shown))
    if amount is None:
        errors["donation_amount"] = "Choose or enter an amount, such as 12.50."
    return amount


def _amount(form: Form, name: str, other_name: str, currency: str) -> Money | None:
    return typed_money(picked_amount(form, name, other_name), currency)


def _answers(form: Form, fields: list[CustomField], errors: Errors) -> dict[str, str]:
    answers = {}
    for field in fields:
        name = f"field.{field.key}"
        answer = _answer(field, form.get(name, ""))
        if (wrong := problem_with(field, answer)) is not None:
            errors[name] = wrong.message
        elif answer:
            answers[field.key] = answer
    return answers


def _answer(field: CustomField, typed: str) -> str:
    """As typed; of a dropdown the option itself, which a form brings back tidied."""
    if field.type != "dropdown":
        return typed
    return next((option for option in field.options if tidied(option) == typed), typed)


def _is_chosen(line: ResolvedLine) -> bool:
    return line.allow_quantity_adjustment and not line.is_sold_out
