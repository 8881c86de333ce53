"""An order as the pages show it: exactly what will be, or was, charged; and what was asked."""

from __future__ import annotations

from collections.abc import Mapping

from services.gateway.pages import remembered, views
from services.gateway.pages.link_view import amount_of
from shared.answers import is_blank
from shared.contracts.link_requests import CustomField
from shared.contracts.orders import Order
from shared.contracts.sessions import CheckoutSession
from shared.money import Money


def summary_of(order: Order, total: Money, message: str = "") -> views.Summary:
    """Lines and sums; `total` is what is due on a checkout, the whole on a receipt."""
    sums = order.net_amounts
    taxes = (views.SummaryTax("Tax", amount_of(sums.tax_money)),) if sums.tax_money.amount else ()
    return views.Summary(
        lines=tuple(
            views.SummaryLine(
                name=line.name,
                quantity=line.quantity,
                unit_price=amount_of(line.unit_price_money),
                total=amount_of(line.gross_money),
                description=line.description or "",
                image_url=line.image_url or "",
            )
            for line in order.line_items
        ),
        subtotal=amount_of(sums.subtotal_money),
        total=amount_of(total),
        discounts=tuple(
            views.SummaryDiscount(discount.name, amount_of(discount.applied_money))
            for discount in order.discounts
        ),
        taxes=taxes,
        tip=amount_of(sums.tip_money) if sums.tip_money.amount else None,
        message=message,
    )


def answers_of(session: CheckoutSession, recalled: Mapping[str, str]) -> tuple[views.Answer, ...]:
    """What was answered to the merchant's questions, if `recalled` says it was this browser."""
    if remembered.ANSWERED not in recalled:
        return ()
    given = session.custom_field_values
    return tuple(
        views.Answer(field.label, _in_words(field, given[field.key]))
        for field in session.custom_fields
        if not is_blank(field, given.get(field.key, ""))
    )


def _in_words(field: CustomField, value: str) -> str:
    return "Yes" if field.type == "checkbox" else value
