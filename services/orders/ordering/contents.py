"""What is in an order: made from a request, a link's offer or a quick pay; changed by the buyer.

Pure. Whatever comes out is priced, and of one currency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from services.orders.ordering.domain import (
    Moment,
    Moved,
    Sale,
    fact,
    must_be_changeable,
    noted_change,
    opened,
    order_number,
)
from services.orders.ordering.pricing import priced
from shared.contracts.links import LinkResolved, Offer, OfferLine
from shared.contracts.orders import (
    ActivityType,
    AppliedDiscount,
    DiscountInput,
    NetAmounts,
    Order,
    OrderCreateParams,
    OrderLineItem,
    OrderLineItemInput,
    OrderUpdated,
    ReviseOrder,
    Tip,
    TipInput,
)
from shared.contracts.sessions import SessionAttached
from shared.contracts.types import ModeEnvironment, Source
from shared.errors import Refusal, invalid
from shared.money import Money, money

# Shown for an order without any sum; the first sum that comes sets the real one.
DEFAULT_CURRENCY: Final = "USD"


def from_params(
    params: OrderCreateParams, *, merchant_id: str, mode: ModeEnvironment, at: Moment
) -> Moved:
    """An order as a merchant asked for it over the API.

    Raises CURRENCY_MISMATCH, COUPON_NOT_FOUND, INVALID_TIP_AMOUNT, INVALID_VALUE,
    AMOUNT_OUT_OF_RANGE with the field it is about.
    """
    currency = _one_currency(list(_sums(params)))
    order_id = at.new_id("ord")
    lines = [_line(one, at) for one in params.line_items]
    return opened(
        _order(
            at,
            order_id=order_id,
            currency=currency,
            source="api",
            merchant_id=merchant_id,
            mode_environment=mode,
            line_items=lines,
            discounts=[
                _discount(one, f"discounts[{index}]", order_id, lines, at)
                for index, one in enumerate(params.discounts)
            ],
            tips=[
                _tip(one, f"tips[{index}]", order_id, currency, at)
                for index, one in enumerate(params.tips)
            ],
            customer_id=params.customer_id,
            buyer_note=params.buyer_note,
            merchant_note=params.merchant_note,
            metadata=params.metadata,
        ),
        at,
    )


def from_link(msg: LinkResolved, at: Moment) -> Moved:
    """The order of a resolved link: its offer, frozen."""
    currency = msg.offer.currency
    lines = [_bought(one, at) for one in msg.offer.lines]
    keys = {
        line.order_line_item_id: one.key
        for line, one in zip(lines, msg.offer.lines, strict=True)
        if one.is_counted
    }
    return opened(
        _order(
            at,
            order_id=msg.order_id,
            currency=currency,
            source="payment_link",
            merchant_id=msg.merchant_id,
            mode_environment=msg.mode_environment,
            line_items=lines,
            checkout_session_ids=[msg.checkout_session_id],
            payment_link_id=msg.payment_link_id,
            custom_field_values=msg.custom_field_values,
            client_reference_id=msg.client_reference_id,
            utm=msg.utm,
            donation_frequency=msg.offer.donation_frequency,
            event=msg.offer.event,
            buyer_email=msg.customer.email if msg.customer else None,
            **_terms(msg.offer),
        ),
        at,
        offer=msg.offer,
        line_keys=keys,
    )


def _terms(offer: Offer) -> dict[str, Any]:
    terms = offer.subscription_terms
    return {"subscription_plan_id": terms.plan_id, "subscription_terms": terms} if terms else {}


def from_quick_pay(msg: SessionAttached, at: Moment) -> Moved:
    """The order of a page that was made for one exact sum."""
    assert msg.quick_pay is not None, "the caller looked"
    amount = msg.quick_pay.amount_money
    asked = OrderLineItemInput(name=msg.quick_pay.name, quantity=1, unit_price_money=amount)
    return _by_session(msg, at, [_line(asked, at)], source="checkout")


def from_plan(msg: SessionAttached, at: Moment) -> Moved:
    """The order of a page that was made for the first payment of a plan."""
    assert msg.offer is not None, "the caller looked"
    lines = [_bought(one, at) for one in msg.offer.lines]
    return _by_session(msg, at, lines, source="subscription", **_terms(msg.offer))


def _by_session(
    msg: SessionAttached, at: Moment, lines: Sequence[OrderLineItem], **more: Any
) -> Moved:
    buyer = msg.customer_details or msg.customer.prefilled_customer_info
    return opened(
        _order(
            at,
            order_id=msg.order_id,
            currency=msg.amount_money.currency,
            merchant_id=msg.merchant_id,
            mode_environment=msg.mode_environment,
            line_items=lines,
            checkout_session_ids=[msg.checkout_session_id],
            client_reference_id=msg.client_reference_id,
            customer_id=msg.customer.customer_id,
            buyer_email=buyer.email if buyer else None,
            **more,
        ),
        at,
    )


def revised(sale: Sale, msg: ReviseOrder, at: Moment) -> Moved:
    """The tip chosen on the page replaces the one chosen before; the merchant's own tips stay.

    Raises ORDER_CLOSED, ORDER_PAYMENT_ATTEMPT_ACTIVE, ORDER_CONFLICT, INVALID_TIP_AMOUNT.
    """
    before = sale.order
    must_be_changeable(sale)
    _must_be_current(before, msg.expected_revision)
    chosen = _chosen_tip(msg.tip, sale, at)
    old = next((tip for tip in before.tips if tip.tip_id == sale.buyer_tip_id), None)
    if _is_same(old, chosen):
        return sale, []
    tips = [tip for tip in before.tips if tip is not old] + ([chosen] if chosen else [])
    update = {"tips": tips, "revision": before.revision + 1}
    sale = replace(
        sale,
        order=priced(before.model_copy(update=update)),
        buyer_tip_id=chosen.tip_id if chosen else None,
    )
    sale = noted_change(sale, before, at, *_tip_story(old, chosen))
    return sale, [fact(OrderUpdated, sale.order, before)]


def _order(at: Moment, *, order_id: str, currency: str, source: Source, **parts: Any) -> Order:
    """A priced order. Its parts come validated, from a request or from an event."""
    none = money(0, currency)
    zeros: dict[str, Any] = dict.fromkeys(NetAmounts.model_fields, none)
    return priced(
        Order(
            order_id=order_id,
            order_number=order_number(order_id),
            status="open",
            source=source,
            net_amounts=NetAmounts(**zeros),
            revision=1,
            created_at=at.now,
            updated_at=at.now,
            **parts,
        )
    )


def _sums(params: OrderCreateParams) -> Iterator[tuple[str, Money]]:
    """Every sum of the request and where it stands; the first one sets the currency."""
    for index, line in enumerate(params.line_items):
        yield f"line_items[{index}].unit_price_money", line.unit_price_money
    for index, discount in enumerate(params.discounts):
        if discount.manual is not None:
            yield f"discounts[{index}].manual.amount_money", discount.manual.amount_money
    for index, tip in enumerate(params.tips):
        if tip.amount_money is not None:
            yield f"tips[{index}].amount_money", tip.amount_money


def _one_currency(sums: Sequence[tuple[str, Money]]) -> str:
    currency = sums[0][1].currency if sums else DEFAULT_CURRENCY
    for param, one in sums:
        _must_match(param, one, currency)
    return currency


def _must_match(param: str, sum_: Money, currency: str) -> None:
    if sum_.currency != currency:
        message = f"The order is in {currency}, this amount is in {sum_.currency}."
        raise invalid(param, message, "CURRENCY_MISMATCH")


def _must_be_current(order: Order, expected_revision: int) -> None:
    if order.revision != expected_revision:
        raise Refusal(
            "conflict",
            "ORDER_CONFLICT",
            "The order has changed in the meantime.",
            param="expected_revision",
            next_actions=("reload_order",),
        )


def _line(asked: OrderLineItemInput, at: Moment) -> OrderLineItem:
    is_taxable = asked.taxable is not False
    return _bought(asked, at, sku=asked.sku, metadata=asked.metadata, taxable=is_taxable)


def _bought(asked: OrderLineItemInput | OfferLine, at: Moment, **more: Any) -> OrderLineItem:
    """A line still to be priced."""
    none = money(0, asked.unit_price_money.currency)
    return OrderLineItem(
        order_line_item_id=at.new_id("li"),
        name=asked.name,
        quantity=asked.quantity,
        unit_price_money=asked.unit_price_money,
        gross_money=none,
        discount_money=none,
        tax_money=none,
        net_money=none,
        item_id=asked.item_id,
        description=asked.description,
        image_url=asked.image_url,
        **more,
    )


def _discount(
    asked: DiscountInput, param: str, order_id: str, lines: Sequence[OrderLineItem], at: Moment
) -> AppliedDiscount:
    if (asked.coupon is None) == (asked.manual is None):
        raise invalid(param, "A discount is either a 'coupon' or a 'manual' one.")
    if asked.manual is None:
        message = "No such coupon."
        raise Refusal("not_found", "COUPON_NOT_FOUND", message, param=f"{param}.coupon")
    manual = asked.manual
    known = {line.order_line_item_id for line in lines}
    for index, line_id in enumerate(manual.order_line_item_ids):
        # A discount of the whole order names no lines, and lines of a new order have no id yet.
        if manual.scope == "order" or line_id not in known:
            where = f"{param}.manual.order_line_item_ids[{index}]"
            raise invalid(where, "No such line item to discount.")
    return AppliedDiscount(
        applied_discount_id=at.new_id("ad"),
        order_id=order_id,
        name=manual.name,
        amount_money=manual.amount_money,
        applied_money=money(0, manual.amount_money.currency),
        scope=manual.scope,
        order_line_item_ids=manual.order_line_item_ids,
    )


def _tip(asked: TipInput, param: str, order_id: str, currency: str, at: Moment) -> Tip:
    if (asked.amount_money is None) == (asked.percent is None):
        message = "A tip is either an 'amount_money' or a 'percent'."
        raise invalid(param, message, "INVALID_TIP_AMOUNT")
    if asked.amount_money is not None:
        _must_match(f"{param}.amount_money", asked.amount_money, currency)
    return Tip(
        tip_id=at.new_id("tip"),
        order_id=order_id,
        name=asked.name,
        description=asked.description,
        metadata=asked.metadata,
        amount_money=asked.amount_money or money(0, currency),
        percent=asked.percent,
        created_at=at.now,
    )


def _chosen_tip(asked: TipInput | None, sale: Sale, at: Moment) -> Tip | None:
    """Nothing, or a tip of nothing, is no tip."""
    if asked is None or (asked.amount_money is not None and asked.amount_money.amount == 0):
        return None
    return _tip(asked, "tip", sale.order.order_id, sale.currency, at)


def _is_same(old: Tip | None, new: Tip | None) -> bool:
    if old is None or new is None:
        return old is new
    if old.percent is not None or new.percent is not None:
        return old.percent == new.percent
    return old.amount_money == new.amount_money


def _tip_story(old: Tip | None, new: Tip | None) -> tuple[ActivityType, str]:
    if old is None:
        return "tip_added", "Tip added by the buyer."
    if new is None:
        return "tip_removed", "Tip removed by the buyer."
    return "tip_updated", "Tip changed by the buyer."
