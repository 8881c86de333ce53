"""A shown link as the page that sells it, or as the page that says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from services.gateway.pages import views
from services.gateway.pages.choices import currency_of
from services.gateway.pages.forms import picked_amount, typed_money, whole_number
from services.gateway.pages.prefill import Carried
from services.gateway.pages.views import Amount
from services.gateway.pages.words import LINK_STATES
from shared.contracts.configs import LegalConfig
from shared.contracts.link_requests import EventConfig
from shared.contracts.links import ResolvedLine, ShownLink
from shared.money import Money

FEW: Final = 10  # "3 left" is said from here on
QUANTITY_MAX: Final = 999_999  # the contract's: no bound of the merchant's
SEEN_PRICES: Final = "seen_prices"  # hidden: what the buyer saw, to strike through what changed
SEEN_MAX: Final = 8_000


def link_page(
    shown: ShownLink,
    brand: views.Brand,
    *,
    resolution_context: str,
    carried: Carried,
    values: Mapping[str, str],
    errors: Mapping[str, str] | None = None,
    notice: str = "",
    is_changed: bool = False,
) -> views.LinkPage:
    """The link's page; `values` are the form's fields as typed or filled in."""
    link = shown.payment_link
    is_gift = link.mode == "donation"
    lines = () if is_gift else tuple(shown.resolved_line_items)
    seen = _seen_prices(values.get(SEEN_PRICES, ""))
    return views.LinkPage(
        brand=brand,
        url=link.url,
        preview_url=f"{link.url}/preview.png?v={link.version}",
        action=f"/l/{shown.slug}",
        resolution_context=resolution_context,
        name=link.name,
        total=_total(shown, values),
        lines=tuple(_line(line, seen.get(line.key)) for line in lines),
        donation=_donation(shown) if is_gift else None,
        event=_event(link.event_config),
        description=link.description or "",
        image_url=link.image_url or "",
        fields=tuple(
            views.CustomField(
                key=field.key,
                label=field.label,
                type=field.type,
                is_required=field.is_required,
                placeholder=field.placeholder or "",
                options=tuple(field.options),
                max_length=field.max_length,
            )
            for field in link.custom_fields
        ),
        remaining=_few(shown.remaining_quantity),
        is_changed=is_changed,
        notice=notice,
        legal=legal_of(link.legal),
        hidden=carried.hidden() | _prices_now(lines),
        values=values,
        errors=errors or {},
    )


def unavailable_page(shown: ShownLink, brand: views.Brand, reason: str) -> views.StatusPage:
    """Why nobody can buy here now. The merchant's own words are for a paused link only."""
    kind = LINK_STATES.get(reason, "link_inactive")
    message = shown.payment_link.inactive_message or ""
    return views.StatusPage(
        brand=brand,
        kind=kind,
        message=message if kind == "link_inactive" else "",
        name=shown.payment_link.name,
    )


def amount_of(value: Money) -> Amount:
    """Money as the pages write it."""
    return Amount(value.amount, value.currency)


def legal_of(legal: LegalConfig) -> views.Legal:
    """The policies a page links to."""
    return views.Legal(
        terms_url=legal.terms_of_service_url or "",
        privacy_url=legal.privacy_policy_url or "",
        refund_url=legal.refund_policy_url or "",
        shipping_url=legal.shipping_policy_url or "",
        contract_url=legal.contract_url or "",
        is_terms_required=bool(legal.requires_terms_of_service),
    )


def _line(line: ResolvedLine, seen_minor: int | None) -> views.LinkLine:
    price = amount_of(line.unit_price_money)
    is_other_price = seen_minor is not None and seen_minor != price.amount_minor
    return views.LinkLine(
        key=line.key,
        name=line.name,
        unit_price=price,
        quantity=line.quantity,
        description=line.description or "",
        is_quantity_adjustable=line.allow_quantity_adjustment,
        quantity_min=line.min_quantity,
        quantity_max=_most(line),
        amount_choice=_choice(line) if line.allow_amount_adjustment else None,
        is_sold_out=line.is_sold_out,
        remaining=_few(line.quantity_available),
        previous_price=Amount(seen_minor or 0, price.currency) if is_other_price else None,
    )


def _most(line: ResolvedLine) -> int | None:
    bounds = [line.max_quantity]
    if line.quantity_available is not None:
        bounds.append(max(line.quantity_available, line.min_quantity))
    most = min(bounds)
    return None if most >= QUANTITY_MAX else most


def _choice(line: ResolvedLine) -> views.AmountChoice:
    return views.AmountChoice(
        suggestions=tuple(amount_of(each) for each in line.suggested_amounts),
        minimum=amount_of(line.min_amount_money) if line.min_amount_money else None,
        maximum=amount_of(line.max_amount_money) if line.max_amount_money else None,
        preset=amount_of(line.unit_price_money),
    )


def _donation(shown: ShownLink) -> views.Donation:
    if not shown.resolved_line_items:
        return views.Donation(views.AmountChoice())
    return views.Donation(_choice(shown.resolved_line_items[0]))


def _event(config: EventConfig) -> views.Event | None:
    if config.event_date is None:
        return None
    return views.Event(config.event_date, config.timezone or "UTC", config.location or "")


def _few(left: int | None) -> int | None:
    return left if left is not None and 0 < left <= FEW else None


def _total(shown: ShownLink, values: Mapping[str, str]) -> Amount:
    """What the choices on the page come to; a field that cannot be read counts as untouched."""
    currency = currency_of(shown)
    is_gift = shown.payment_link.mode == "donation"
    total = 0
    for line in shown.resolved_line_items:
        name = "donation_amount" if is_gift else f"amount.{line.key}"
        other = "donation_amount_other" if is_gift else f"amount_other.{line.key}"
        typed = typed_money(picked_amount(values, name, other), currency)
        is_free = line.allow_amount_adjustment and typed is not None
        price = typed if is_free and typed else line.unit_price_money
        count = whole_number(values.get(f"quantity.{line.key}", "")) or line.quantity
        total += 0 if line.is_sold_out else price.amount * count
    return Amount(total, currency)


def _prices_now(lines: tuple[ResolvedLine, ...]) -> dict[str, str]:
    prices = {line.key: line.unit_price_money.amount for line in lines}
    text = json.dumps(prices, separators=(",", ":"))
    return {SEEN_PRICES: text} if prices and len(text) <= SEEN_MAX else {}


def _seen_prices(text: str) -> dict[str, int]:
    """For the eye only: whoever forges it misleads nobody but their own page."""
    try:
        prices = json.loads(text)
    except ValueError:
        return {}
    known = prices.items() if isinstance(prices, dict) else ()
    return {key: minor for key, minor in known if isinstance(minor, int) and minor >= 0}
