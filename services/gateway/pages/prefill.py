"""What a link's address may bring along. Bad values are dropped in silence, never an error page.

Some of it fills the form in (`quantity.{key}`, `amount`); the rest is carried through the form
in hidden fields and goes with the resolve. `amount` is in minor units like every amount of the
API (2500), or, with a decimal point, of major ones (25.00).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from services.gateway.pages.amounts import OTHER, exact_money, written
from services.gateway.pages.forms import whole_number
from services.gateway.pages.locales import known_tag
from services.gateway.pages.render import major_text
from shared.contracts.configs import PrefilledCustomer
from shared.contracts.links import ResolvedLine, ShownLink
from shared.contracts.types import Email, Name, ShortText
from shared.money import AMOUNT_MAX, Money, money

T = TypeVar("T")
UTM_MAX: Final = 10
_UTM: Final = re.compile(r"utm_[a-z_]{1,32}")
_MINOR: Final = re.compile(r"[0-9]{1,10}")
_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)
_SHORT: Final[TypeAdapter[str]] = TypeAdapter(ShortText)


@dataclass(frozen=True)
class Carried:
    """What goes through the form untouched."""

    email: str | None = None
    name: str | None = None
    client_reference_id: str | None = None
    locale: str | None = None
    utm: Mapping[str, str] = field(default_factory=dict)

    def hidden(self) -> dict[str, str]:
        """The same as hidden fields, by the names they came under."""
        named = {
            "prefilled_email": self.email,
            "prefilled_name": self.name,
            "client_reference_id": self.client_reference_id,
            "locale": self.locale,
        }
        return {name: value for name, value in named.items() if value} | dict(self.utm)

    def customer(self) -> PrefilledCustomer | None:
        """The buyer, as far as the address says who it is."""
        if not (self.email or self.name):
            return None
        return PrefilledCustomer(email=self.email, name=self.name)


def carried(given: Mapping[str, str]) -> Carried:
    """What may be carried, out of a query or of a form's hidden fields."""
    tags = {name: _valid(_SHORT, given[name]) for name in given if _UTM.fullmatch(name)}
    good = [(name, value) for name, value in tags.items() if value]
    return Carried(
        email=_valid(_EMAIL, given.get("prefilled_email")),
        name=_valid(_NAME, given.get("prefilled_name")),
        client_reference_id=_valid(_SHORT, given.get("client_reference_id")),
        locale=known_tag(given.get("locale")),
        utm=dict(good[:UTM_MAX]),
    )


def values_of(given: Mapping[str, str], shown: ShownLink, locale: str) -> dict[str, str]:
    """The form's fields as the address fills them in, by name, as the locale writes them."""
    values = {}
    for line in shown.resolved_line_items:
        count = whole_number(given.get(f"quantity.{line.key}", ""))
        if count is not None and takes_quantity(line, count):
            values[f"quantity.{line.key}"] = str(count)
    free = _the_free_line(shown)
    amount = _amount(given.get("amount", ""), free) if free else None
    return values | _amount_fields(free, amount, locale) if free and amount else values


def takes_quantity(line: ResolvedLine, count: int) -> bool:
    """Whether a buyer may choose so many of it now."""
    if not line.allow_quantity_adjustment or line.is_sold_out:
        return False
    is_left = line.quantity_available is None or count <= line.quantity_available
    return line.min_quantity <= count <= line.max_quantity and is_left


def _the_free_line(shown: ShownLink) -> ResolvedLine | None:
    """The one line whose amount the buyer chooses; with several, none is meant."""
    free = [line for line in shown.resolved_line_items if line.allow_amount_adjustment]
    return free[0] if len(free) == 1 else None


def _amount_fields(line: ResolvedLine, amount: Money, locale: str) -> dict[str, str]:
    name = f"amount.{line.key}"
    if amount in line.suggested_amounts:
        return {name: major_text(amount.amount, amount.currency)}
    typed = written(amount.amount, amount.currency, locale)
    if not line.suggested_amounts:
        return {name: typed}
    return {name: OTHER, f"amount_other.{line.key}": typed}


def _amount(text: str, line: ResolvedLine) -> Money | None:
    currency = line.unit_price_money.currency
    if _MINOR.fullmatch(text):
        amount = money(int(text), currency) if int(text) <= AMOUNT_MAX else None
    else:
        amount = exact_money(text, currency)
    least, most = line.min_amount_money, line.max_amount_money
    if amount is None or (least and amount.amount < least.amount):
        return None
    return None if most and amount.amount > most.amount else amount


def _valid(shape: TypeAdapter[T], value: str | None) -> T | None:
    """The value without the blanks of a careless paste, if it is one."""
    try:
        return shape.validate_python(value.strip()) if value and value.strip() else None
    except ValidationError:
        return None
