"""What a merchant wrote on a link: defaults made, changes merged, contradictions refused.

Pure. `Template` is the create request without its slug: the same words in and out, one model for
the request, the row and the answer. What only one mode forbids stands in `modes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from shared.contracts.link_requests import (
    CustomField,
    LinkLineItem,
    PaymentLinkCreateParams,
    PaymentLinkUpdateParams,
)
from shared.contracts.types import Strict, merge, merged_metadata
from shared.errors import Refusal, invalid, not_found, required
from shared.money import AMOUNT_MAX, Money, card_step, to_text

T = TypeVar("T")
Template: TypeAlias = PaymentLinkCreateParams

FIELDS: Final = tuple(name for name in Template.model_fields if name != "slug")
_NOT_CONTENT: Final = frozenset({"expected_version", "clear_max_completions", "metadata"})


def known(value: T | None) -> T:
    """A value that `made` and `check` have seen to: optional in a request, never in a template."""
    assert value is not None, "a checked template has it"
    return value


def made(params: PaymentLinkCreateParams) -> Template:
    """The template of a create request: keys, quantities and names made where absent."""
    lines = with_defaults(params.line_items, name=params.name)
    return params.model_copy(update={"slug": None, "line_items": lines})


def with_defaults(lines: Sequence[LinkLineItem], *, name: str) -> list[LinkLineItem]:
    """A line needs only its price: `item-1` …, one piece, the link's own name."""
    taken = {line.key for line in lines if line.key is not None}
    done: list[LinkLineItem] = []
    for position, line in enumerate(lines, start=1):
        key = line.key or _free_key(position, taken)
        taken.add(key)
        update = {"key": key, "quantity": line.quantity or 1, "name": line.name or name}
        done.append(line.model_copy(update=update))
    return done


def _free_key(position: int, taken: set[str]) -> str:
    while (key := f"item-{position}") in taken:
        position += 1
    return key


def patched(old: Template, patch: PaymentLinkUpdateParams) -> Template:
    """Configs merge field by field, metadata key by key, `null` clears, the rest replaces."""
    changes: dict[str, Any] = {
        name: _patched_field(old, name, getattr(patch, name))
        for name in patch.model_fields_set - _NOT_CONTENT
    }
    if patch.clear_max_completions:
        if patch.max_completions is not None:
            raise invalid("clear_max_completions", "Give 'max_completions' or clear it, not both.")
        changes["max_completions"] = None
    if patch.metadata is not None:
        changes["metadata"] = merged_metadata(old.metadata, patch.metadata)
    elif "metadata" in patch.model_fields_set:
        changes["metadata"] = {}
    return old.model_copy(update=changes)


def _patched_field(old: Template, name: str, value: Any) -> Any:
    if value is None:
        if name == "name":
            raise required("name")
        return Template.model_fields[name].get_default()
    before = getattr(old, name)
    return merge(before, value) if isinstance(before, Strict) else value


def check(template: Template) -> None:
    """Refuse what contradicts itself, whatever the mode. Raises the first refusal found."""
    if template.customer.customer_id is not None:
        message = "A payment link is shared by many buyers: it cannot belong to one customer."
        raise invalid("customer.customer_id", message, "LINK_CUSTOMER_NOT_ALLOWED")
    _check_currency(template)  # before any two sums are compared
    _check_unique("line_items", [line.key for line in template.line_items])
    for index, line in enumerate(template.line_items):
        _check_line(line, f"line_items[{index}]")
    _check_unique("custom_fields", [field.key for field in template.custom_fields])
    for index, field in enumerate(template.custom_fields):
        _check_field(field, f"custom_fields[{index}]")
    _check_total(template)


def asked(template: Template) -> list[CustomField]:
    """The questions in the order that the merchant wants them asked in."""
    return sorted(template.custom_fields, key=lambda field: field.sort_order)


def _check_unique(param: str, keys: Sequence[str | None]) -> None:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise invalid(f"{param}[{index}].key", f"The key '{key}' is used twice.")


def _check_line(line: LinkLineItem, param: str) -> None:
    if line.amount_money is None:
        if line.item_id is not None:
            raise not_found("item", f"{param}.item_id")  # there is no catalogue to take it from
        raise required(f"{param}.amount_money")
    _check_quantity(line, param)
    check_bounds(line.min_amount_money, line.max_amount_money, f"{param}.min_amount_money")
    check_within(line, line.amount_money, f"{param}.amount_money")
    for index, suggested in enumerate(line.suggested_amounts):
        check_within(line, suggested, f"{param}.suggested_amounts[{index}]")


def _check_quantity(line: LinkLineItem, param: str) -> None:
    least, most, quantity = line.min_quantity or 1, line.max_quantity, line.quantity or 1
    if most is not None and least > most:
        raise invalid(f"{param}.min_quantity", "'min_quantity' is above 'max_quantity'.")
    if quantity < least or (most is not None and quantity > most):
        message = "'quantity' is outside 'min_quantity' and 'max_quantity'."
        raise invalid(f"{param}.quantity", message, "LINE_ITEM_INVALID_QUANTITY")


def check_bounds(least: Money | None, most: Money | None, param: str) -> None:
    """Refuse a lower bound above the upper one."""
    if least is not None and most is not None and least.amount > most.amount:
        raise invalid(param, "The minimum is above the maximum.")


def check_within(line: LinkLineItem, amount: Money, param: str) -> None:
    """Refuse a price outside the line's own bounds."""
    refuse_outside(amount, line.min_amount_money, line.max_amount_money, param)


def refuse_outside(amount: Money, least: Money | None, most: Money | None, param: str) -> None:
    """AMOUNT_OUT_OF_RANGE unless least ≤ amount ≤ most; an absent bound binds nothing."""
    if least is not None and amount.amount < least.amount:
        raise invalid(param, "The amount is below the minimum.", "AMOUNT_OUT_OF_RANGE")
    if most is not None and amount.amount > most.amount:
        raise invalid(param, "The amount is above the maximum.", "AMOUNT_OUT_OF_RANGE")


def refuse_uneven(amount: Money, offered: Sequence[Money], param: str) -> None:
    """An amount of the buyer's own has to be one that cards can be charged.

    What the merchant offers stands as it is: merchants know what their provider takes.
    """
    step = card_step(amount.currency)
    if amount.amount % step and amount not in offered:
        raise invalid(param, f"Choose an amount in steps of {to_text(step, amount.currency)}.")


def _check_field(field: CustomField, param: str) -> None:
    if field.type == "dropdown" and not field.options:
        raise required(f"{param}.options")
    if not field.label.strip():
        raise invalid(f"{param}.label", "Nobody can see this label.")
    _check_options([option.strip() for option in field.options], f"{param}.options")


def _check_options(options: Sequence[str], param: str) -> None:
    """As a form shows and sends them: spaces at their ends do not make two of one."""
    for index, option in enumerate(options):
        if not option:
            raise invalid(f"{param}[{index}]", "Nobody can see this option.")
        if option in options[:index]:
            raise invalid(f"{param}[{index}]", f"The option '{option}' is there twice.")


def _check_currency(template: Template) -> None:
    if (first := currency_of(template)) is not None:
        refuse_other_currency(template, first)


def refuse_other_currency(template: Template, currency: str) -> None:
    """CURRENCY_MISMATCH for the first sum that is in another."""
    for param, sum_of_money in all_money(template):
        if sum_of_money.currency != currency:
            raise currency_mismatch(param, currency)


def currency_mismatch(param: str, expected: str) -> Refusal:
    """One link, one currency: there is no conversion."""
    return invalid(param, f"Everything on this link is in {expected}.", "CURRENCY_MISMATCH")


def currency_of(template: Template) -> str | None:
    """The link's one currency; None while it names no sum at all."""
    return next((found.currency for _, found in all_money(template)), None)


def all_money(template: Template) -> Iterator[tuple[str, Money]]:
    """Every sum on the link with the name of its field, lines first."""
    for index, line in enumerate(template.line_items):
        yield from _money_of_line(line, f"line_items[{index}]")
    fees = template.donation_cover_fees
    named = {
        "donation_min_amount_money": template.donation_min_amount_money,
        "donation_max_amount_money": template.donation_max_amount_money,
        "donation_cover_fees.fixed_money": fees.fixed_money if fees else None,
        "tip.default_smart_tip_amount": template.tip.default_smart_tip_amount,
    }
    yield from _listed("donation_suggested_amounts", template.donation_suggested_amounts)
    yield from ((param, found) for param, found in named.items() if found is not None)
    yield from _listed("tip.smart_tip_amounts", template.tip.smart_tip_amounts)


def _money_of_line(line: LinkLineItem, param: str) -> Iterator[tuple[str, Money]]:
    for name in ("amount_money", "min_amount_money", "max_amount_money"):
        if (found := getattr(line, name)) is not None:
            yield f"{param}.{name}", found
    yield from _listed(f"{param}.suggested_amounts", line.suggested_amounts)


def _listed(param: str, sums: Sequence[Money]) -> Iterator[tuple[str, Money]]:
    return ((f"{param}[{index}]", found) for index, found in enumerate(sums))


def _check_total(template: Template) -> None:
    whole = sum(
        line.amount_money.amount * (line.quantity or 1)
        for line in template.line_items
        if line.amount_money is not None
    )
    if whole > AMOUNT_MAX:
        raise invalid("line_items", "Together the lines cost too much.", "AMOUNT_OUT_OF_RANGE")
