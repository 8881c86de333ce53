"""Money: whole minor units of one currency. No float, no Decimal, rounding written once.

Exponents are ISO 4217's (JPY 0, USD 2, KWD 3) and serve only the eye: sums never need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final

from iso4217 import Currency as _Iso
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AMOUNT_MAX: Final = 9_999_999_999  # 99 999 999.99 in a two-digit currency
WHOLE_MILLIONTHS: Final = 1_000_000
MILLIONTHS_PER_PERCENT: Final = 10_000
EXPONENTS: Final[dict[str, int]] = {c.code: c.exponent for c in _Iso if c.exponent is not None}


def _known(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"'{code}' is not an ISO 4217 currency code.")
    return code


Currency = Annotated[
    str,
    AfterValidator(_known),
    Field(
        json_schema_extra={"enum": sorted(EXPONENTS)},
        description="ISO 4217, upper case",
    ),
]
MinorUnits = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)]


class Money(BaseModel):
    """A sum of money: `amount` in minor units, 0 … 9 999 999 999."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    amount: MinorUnits
    currency: Currency

    def __add__(self, other: Money) -> Money:
        return money(self.amount + same_currency(self, other).amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        """Never below zero: a negative sum is a bug and fails loudly."""
        return money(self.amount - same_currency(self, other).amount, self.currency)

    def __mul__(self, quantity: int) -> Money:
        return money(self.amount * quantity, self.currency)


class SignedMoney(BaseModel):
    """A change of balance, which may be negative."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    amount: Annotated[int, Field(strict=True, ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    currency: Currency


def money(amount: int, currency: str) -> Money:
    """A `Money` made by our own code from checked parts; a sum out of range is an error."""
    if not 0 <= amount <= AMOUNT_MAX:
        raise OverflowError(f"{amount} is outside 0 … {AMOUNT_MAX} minor units")
    return Money.model_construct(amount=amount, currency=currency)


def same_currency(left: Money, right: Money) -> Money:
    """`right`, once it is certain that both are of one currency."""
    assert left.currency == right.currency, f"{left.currency} and {right.currency} never mix"
    return right


def total(sums: Iterable[Money], currency: str) -> Money:
    """The sum of all, zero of `currency` for none."""
    return money(sum(one.amount for one in sums), currency)


def millionths(percent: float) -> int:
    """8.875 → 88 750: a percentage as a whole number; four decimals are kept."""
    return round(percent * MILLIONTHS_PER_PERCENT)


def percent_half_up(amount: int, percent_millionths: int, step: int = 1) -> int:
    """`percent_millionths` as `millionths` makes them; the nearest `step`, halves go up."""
    whole = step * WHOLE_MILLIONTHS
    return step * ((2 * amount * percent_millionths + whole) // (2 * whole))


def nearest(amount: int, step: int) -> int:
    """The nearest multiple of `step`; halves go up."""
    return percent_half_up(amount, WHOLE_MILLIONTHS, step)


def grossed_up(net: int, percent_millionths: int, fixed: int, step: int = 1) -> int:
    """The least multiple of `step` that leaves `net` when its own percentage and `fixed` are gone.

    total = (net + fixed) / (1 - percent), rounded up. `percent_millionths` is below 1 000 000.
    """
    assert percent_millionths < WHOLE_MILLIONTHS, "fees of all there is leave nothing"
    kept = step * (WHOLE_MILLIONTHS - percent_millionths)  # in millionths, of each step
    return step * -(-(net + fixed) * WHOLE_MILLIONTHS // kept)


def card_step(currency: str) -> int:
    """What a card's charge is a multiple of, in minor units: two decimals are all cards know.

    10 in KWD (1.230, never 1.234), 1 where there are two decimals or none.
    """
    step: int = 10 ** max(0, exponent(currency) - 2)
    return step


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Split by largest remainder: the parts always add up to the whole.

    Ties go to the earlier part. All weights zero: nothing can be split, `amount` has to be 0.
    """
    whole = sum(weights)
    if whole == 0:
        assert amount == 0, "there is nothing to split over"
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(amount * weights[i] % whole))
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def exponent(currency: str) -> int:
    """Digits after the point, by ISO 4217."""
    return EXPONENTS[currency]


def to_text(amount: int, currency: str) -> str:
    """`1250 USD` → `12.50 USD`, for logs and messages; pages use Babel."""
    digits = exponent(currency)
    text = str(amount).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]} {currency}" if digits else f"{text} {currency}"


def as_dict(value: Money) -> dict[str, Any]:
    """Plain JSON shape."""
    return {"amount": value.amount, "currency": value.currency}
