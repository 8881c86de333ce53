"""A link's posted form as choices, with every field that is wrong named at once.

What needs the link's own word (bounds, options, what is left) stays with links: its refusal is
put beside the same fields by `errors_of`.
"""

from __future__ import annotations

from typing import Final

from services.gateway.pages.amounts import OTHER, exact_money, such_as, typed_money
from services.gateway.pages.forms import Form, tidied, whole_number
from services.gateway.pages.prefill import Carried
from shared.answers import problem_with
from shared.contracts.link_requests import CustomField, Frequency
from shared.contracts.links import Choices, ResolvedLine, ShownLink
from shared.errors import Refusal
from shared.money import Money

Errors = dict[str, str]
CURRENCY_DEFAULT: Final = "USD"  # of a link that has nothing on it

# A refusal's `param` → the form's field.
FIELDS: Final = {
    "quantity_overrides": "quantity",
    "unit_price_overrides": "amount",
    "custom_field_values": "field",
}
WHOLE_FIELDS: Final = {
    "donation_frequency": "donation_frequency",
    "donation_covers_fees": "cover_fees",
}


def read_choices(
    form: Form, shown: ShownLink, carried: Carried, locale: str
) -> tuple[Choices, Errors]:
    """The choices, and what is wrong by field name; with errors the choices are not to be used."""
    errors: Errors = {}
    quantities: dict[str, int] = {}
    prices: dict[str, Money] = {}
    for line in shown.resolved_line_items:
        if line.is_sold_out:
            if whole_number(form.get(f"quantity.{line.key}", "")):  # there a moment ago
                errors[f"quantity.{line.key}"] = f"{line.name} is sold out."
            continue
        if line.allow_quantity_adjustment:
            _read_quantity(form, line, quantities, errors)
        if line.allow_amount_adjustment:
            price = chosen_amount(form, line, locale)
            if price is None:
                errors[f"amount.{line.key}"] = _no_amount(line, shown, locale)
            else:
                prices[line.key] = price
    choices = Choices.model_construct(
        quantity_overrides=quantities,
        unit_price_overrides=prices,
        custom_field_values=_answers(form, shown.payment_link.custom_fields, errors),
        donation_frequency=_frequency(form, shown, errors),
        donation_covers_fees=covers_fees(form, shown),
        customer=carried.customer(),
    )
    return choices, errors


def chosen_amount(form: Form, line: ResolvedLine, locale: str) -> Money | None:
    """The amount in a line's fields: of the chip that is picked, else as it was typed."""
    name, currency = f"amount.{line.key}", line.unit_price_money.currency
    picked = form.get(name, "")
    if not line.suggested_amounts:
        return typed_money(picked, currency, locale)
    if picked in {"", OTHER}:
        return typed_money(form.get(f"amount_other.{line.key}", ""), currency, locale)
    return exact_money(picked, currency)


def covers_fees(form: Form, shown: ShownLink) -> bool:
    """Whether the box is ticked; a box that is not on the page is not."""
    is_offered = any(line.cover_fees for line in shown.resolved_line_items)
    return is_offered and form.get("cover_fees") == "true"


def currency_of(shown: ShownLink) -> str:
    """The link's one currency."""
    lines = shown.resolved_line_items
    return lines[0].unit_price_money.currency if lines else CURRENCY_DEFAULT


def errors_of(refusal: Refusal, shown: ShownLink) -> Errors:
    """A refusal beside the field it is about; empty when it is about none on the page."""
    root, _, key = (refusal.param or "").partition(".")
    if root in WHOLE_FIELDS:
        return {WHOLE_FIELDS[root]: refusal.message}
    if root not in FIELDS:
        return {}
    if not key:  # About all of them together: said beside the first that can be changed.
        key = next((line.key for line in shown.resolved_line_items if _is_chosen(line)), "")
    return {f"{FIELDS[root]}.{key}": refusal.message} if key else {}


def _read_quantity(
    form: Form, line: ResolvedLine, quantities: dict[str, int], errors: Errors
) -> None:
    name = f"quantity.{line.key}"
    count = whole_number(form.get(name, ""))
    if count is None or (count == 0 and not line.is_optional):
        errors[name] = f"Enter how many of {line.name} you want, as a whole number."
    else:
        quantities[line.key] = count


def _no_amount(line: ResolvedLine, shown: ShownLink, locale: str) -> str:
    thing = "" if line.name == shown.payment_link.name else f" for {line.name}"
    example = such_as(line.unit_price_money.currency, locale)
    return f"Enter an amount{thing}, {example}."


def _frequency(form: Form, shown: ShownLink, errors: Errors) -> Frequency | None:
    if not shown.donation_frequencies:
        return None
    wished = form.get("donation_frequency", "")
    for frequency in shown.donation_frequencies:
        if frequency == wished:
            return frequency
    errors["donation_frequency"] = "Choose how often you would like to give."
    return None


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
