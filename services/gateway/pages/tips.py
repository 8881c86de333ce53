"""The tips a page offers, and what the buyer's pick means to the order."""

from __future__ import annotations

from typing import Final

from services.gateway.pages import views
from services.gateway.pages.amounts import such_as, typed_money, written
from services.gateway.pages.forms import Form
from services.gateway.pages.link_view import amount_of
from services.gateway.pages.render import major_text
from shared.contracts.configs import TipConfig
from shared.contracts.orders import Order, TipInput
from shared.money import Money, card_step, millionths, percent_half_up

NONE: Final = "0"
CUSTOM: Final = "custom"


def tip_of(config: TipConfig, order: Order) -> views.Tip | None:
    """The choice of tips, with what is in the order now picked; None when none are offered."""
    if not config.is_enabled:
        return None
    options = _options(config, order)
    return views.Tip(
        options=tuple(options.values()),
        selected=_selected(order, options),
        is_custom_enabled=bool(config.is_custom_tip_enabled),
    )


def custom_text(order: Order, tip: views.Tip | None, locale: str) -> str:
    """What stands in the field of the buyer's own amount."""
    if tip is None or tip.selected != CUSTOM or not order.tips:
        return ""
    amount = order.tips[0].amount_money
    return written(amount.amount, amount.currency, locale)


def picked_tip(
    form: Form, config: TipConfig, order: Order, locale: str
) -> tuple[TipInput | None, str]:
    """The tip a form asks for (None: no tip), and what is wrong with it, if anything is."""
    picked, currency = form.get("tip", NONE), order.net_amounts.total_money.currency
    if picked == NONE:
        return None, ""
    if picked == CUSTOM and config.is_custom_tip_enabled:
        return _own_tip(typed_money(form.get("tip_custom", ""), currency, locale), currency, locale)
    for percent in config.tip_percentages:
        if picked == _percent_value(percent):
            return TipInput(percent=percent), ""
    for smart in _smart_amounts(config):
        if picked == major_text(smart.amount, smart.currency):
            return TipInput(amount_money=smart), ""
    return None, "Choose one of the tips."


def _own_tip(amount: Money | None, currency: str, locale: str) -> tuple[TipInput | None, str]:
    if amount is None:
        return None, f"Enter the tip as an amount, {such_as(currency, locale)}."
    step = card_step(currency)
    if amount.amount % step:
        return None, f"Choose an amount in steps of {written(step, currency, locale)} {currency}."
    return (TipInput(amount_money=amount) if amount.amount else None), ""


def _options(config: TipConfig, order: Order) -> dict[str, views.TipOption]:
    sums = order.net_amounts
    base = sums.subtotal_money.amount - sums.discount_money.amount
    currency = sums.subtotal_money.currency
    offered = [views.TipOption(NONE, "No tip")]
    for percent in config.tip_percentages:
        share = percent_half_up(base, millionths(percent), card_step(currency))
        value = _percent_value(percent)
        offered.append(views.TipOption(value, value, views.Amount(share, currency)))
    for smart in _smart_amounts(config):
        value = major_text(smart.amount, smart.currency)
        offered.append(views.TipOption(value, f"{value} {smart.currency}", amount_of(smart)))
    return {option.value: option for option in offered}


def _selected(order: Order, options: dict[str, views.TipOption]) -> str:
    if not order.tips:
        return NONE
    tip = order.tips[0]
    if tip.percent is not None:
        value = _percent_value(tip.percent)
    else:
        value = major_text(tip.amount_money.amount, tip.amount_money.currency)
    return value if value in options else CUSTOM


def _percent_value(percent: float) -> str:
    return f"{percent:g}%"


def _smart_amounts(config: TipConfig) -> list[Money]:
    return config.smart_tip_amounts if config.is_smart_tips_enabled else []
