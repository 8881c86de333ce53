"""The money rules: discounts, then tax, then tips, all in whole minor units.

Pure arithmetic. A percentage is rounded half up once and then split over the lines by largest
remainder, so subtotal - discount + tax + tip = total, and the lines add up to the order, exactly.
What is computed is a multiple of `step`, all that cards know of a currency of three decimals: where
the given prices are, the total is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.contracts.orders import AppliedDiscount, Order, OrderLineItem, Tip
from shared.errors import Refusal, invalid
from shared.money import (
    AMOUNT_MAX,
    WHOLE_MILLIONTHS,
    Money,
    card_step,
    millionths,
    money,
    nearest,
    percent_half_up,
    split,
)


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A rate in millionths (8.875 % is 88 750). An inclusive one is already in the price."""

    millionths: int
    is_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """What pricing has to know of a line."""

    gross: int
    is_taxable: bool = True


@dataclass(frozen=True, slots=True)
class Off:
    """A discount: a fixed sum, or millionths of what its lines still cost. `None`: all lines."""

    amount: int = 0
    millionths: int | None = None
    lines: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """A tip: a fixed sum, or millionths of the discounted subtotal."""

    amount: int = 0
    millionths: int | None = None


@dataclass(frozen=True, slots=True)
class PricedLine:
    """net = gross - discount + tax; `included_tax` is the part of net that was in the price."""

    gross: int
    discount: int
    tax: int
    included_tax: int

    @property
    def net(self) -> int:
        """What the buyer pays for the line."""
        return self.gross - self.discount + self.tax


@dataclass(frozen=True, slots=True)
class Quote:
    """The whole sum, with what each discount took off and what each tip comes to."""

    lines: tuple[PricedLine, ...]
    discounts: tuple[int, ...]
    tips: tuple[int, ...]

    @property
    def subtotal(self) -> int:
        """Before discounts."""
        return sum(line.gross for line in self.lines)

    @property
    def discount(self) -> int:
        """Never more than the subtotal."""
        return sum(self.discounts)

    @property
    def tax(self) -> int:
        """Added on top; inclusive tax is already in the subtotal."""
        return sum(line.tax for line in self.lines)

    @property
    def tip(self) -> int:
        """Never discounted, never taxed."""
        return sum(self.tips)

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.subtotal - self.discount + self.tax + self.tip


def quote(
    lines: Sequence[Line],
    discounts: Sequence[Off] = (),
    tips: Sequence[Extra] = (),
    rates: Sequence[TaxRate] = (),
    step: int = 1,
) -> Quote:
    """The price of an order. All sums in minor units of one currency."""
    left = [line.gross for line in lines]
    taken = []
    for discount in discounts:
        parts = _parts_off(discount, left, step)
        left = [rest - part for rest, part in zip(left, parts, strict=True)]
        taken.append(sum(parts))
    taxed = [_taxed(line, rest, rates) for line, rest in zip(lines, left, strict=True)]
    priced = _evenly_taxed(taxed, step)
    made = Quote(priced, tuple(taken), tuple(_tip(tip, sum(left), step) for tip in tips))
    assert sum(line.net for line in priced) + made.tip == made.total, "the lines add up"
    assert sum(line.discount for line in priced) == made.discount, "the discounts add up"
    return made


def priced(order: Order, rates: Sequence[TaxRate] = ()) -> Order:
    """The same order with every sum made from its lines, discounts, tips and `paid_money`.

    Raises `Refusal` (AMOUNT_OUT_OF_RANGE).
    """
    currency = order.net_amounts.total_money.currency
    sums = quote(
        [
            Line(line.unit_price_money.amount * line.quantity, line.taxable)
            for line in order.line_items
        ],
        [_off(discount, order.line_items) for discount in order.discounts],
        [_extra(tip) for tip in order.tips],
        rates,
        card_step(currency),
    )
    _check_range(sums)
    lines = zip(order.line_items, sums.lines, strict=True)
    discounts = zip(order.discounts, sums.discounts, strict=True)
    return order.model_copy(
        update={
            "line_items": [_priced_line(line, one, currency) for line, one in lines],
            "discounts": [_applied(discount, off, currency) for discount, off in discounts],
            "tips": [
                tip.model_copy(update={"amount_money": money(amount, currency)})
                for tip, amount in zip(order.tips, sums.tips, strict=True)
            ],
            "net_amounts": order.net_amounts.model_copy(update=_amounts(order, sums, currency)),
        }
    )


def _parts_off(discount: Off, left: Sequence[int], step: int) -> list[int]:
    """How much of each line it takes: never more than is left of it."""
    chosen = discount.lines
    eligible = [rest if chosen is None or index in chosen else 0 for index, rest in enumerate(left)]
    whole = sum(eligible)
    wanted = discount.amount
    if discount.millionths is not None:
        is_all = discount.millionths == WHOLE_MILLIONTHS  # of an uneven price, too
        wanted = whole if is_all else percent_half_up(whole, discount.millionths, step)
    return _split_evenly(min(wanted, whole), eligible, step)


def _split_evenly(amount: int, eligible: Sequence[int], step: int) -> list[int]:
    """In whole steps where all are: else a later discount might take an uneven rest of a line."""
    unit = 1 if any(one % step for one in (amount, *eligible)) else step
    return [unit * part for part in split(amount // unit, [one // unit for one in eligible])]


def _taxed(line: Line, rest: int, rates: Sequence[TaxRate]) -> PricedLine:
    discount = line.gross - rest
    if not line.is_taxable:
        return PricedLine(line.gross, discount, 0, 0)
    inclusive = sum(rate.millionths for rate in rates if rate.is_inclusive)
    included = rest - _half_up(rest * 1_000_000, 1_000_000 + inclusive)
    # An added tax is on the price without the tax that is already in it.
    base = rest - included
    added = (percent_half_up(base, rate.millionths) for rate in rates if not rate.is_inclusive)
    return PricedLine(line.gross, discount, sum(added), included)


def _evenly_taxed(lines: Sequence[PricedLine], step: int) -> tuple[PricedLine, ...]:
    """The added tax as a whole is the nearest multiple of `step`, and the lines share it."""
    taxes = [line.tax for line in lines]
    shares = split(nearest(sum(taxes), step), taxes)
    return tuple(replace(line, tax=tax) for line, tax in zip(lines, shares, strict=True))


def _half_up(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor)


def _tip(tip: Extra, discounted_subtotal: int, step: int) -> int:
    if tip.millionths is None:
        return tip.amount
    return percent_half_up(discounted_subtotal, tip.millionths, step)


def _off(discount: AppliedDiscount, lines: Sequence[OrderLineItem]) -> Off:
    chosen = set(discount.order_line_item_ids)
    indexes = frozenset(i for i, line in enumerate(lines) if line.order_line_item_id in chosen)
    return Off(
        amount=discount.amount_money.amount,
        millionths=None if discount.percent_off is None else millionths(discount.percent_off),
        lines=indexes if chosen else None,
    )


def _extra(tip: Tip) -> Extra:
    return Extra(
        amount=tip.amount_money.amount,
        millionths=None if tip.percent is None else millionths(tip.percent),
    )


def _check_range(sums: Quote) -> None:
    for index, line in enumerate(sums.lines):
        if max(line.gross, line.net) > AMOUNT_MAX:
            raise _out_of_range(f"line_items[{index}]")
    if max(sums.subtotal, sums.total) > AMOUNT_MAX:
        raise _out_of_range("line_items")


def _out_of_range(param: str) -> Refusal:
    return invalid(param, f"The amount exceeds {AMOUNT_MAX} minor units.", "AMOUNT_OUT_OF_RANGE")


def _priced_line(line: OrderLineItem, sums: PricedLine, currency: str) -> OrderLineItem:
    return line.model_copy(
        update={
            "gross_money": money(sums.gross, currency),
            "discount_money": money(sums.discount, currency),
            "tax_money": money(sums.tax, currency),
            "net_money": money(sums.net, currency),
        }
    )


def _applied(discount: AppliedDiscount, off: int, currency: str) -> AppliedDiscount:
    changes: dict[str, Money] = {"applied_money": money(off, currency)}
    if discount.percent_off is not None:
        changes["amount_money"] = money(off, currency)
    return discount.model_copy(update=changes)


def _amounts(order: Order, sums: Quote, currency: str) -> dict[str, Money]:
    """The balance is what the total leaves over what was paid; nothing is owed below zero."""
    paid = order.net_amounts.paid_money.amount
    named: Iterable[tuple[str, int]] = (
        ("subtotal_money", sums.subtotal),
        ("discount_money", sums.discount),
        ("tax_money", sums.tax),
        ("tip_money", sums.tip),
        ("total_money", sums.total),
        ("balance_money", max(0, sums.total - paid)),
    )
    return {name: money(amount, currency) for name, amount in named}
