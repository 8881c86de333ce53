"""A shown link as the page that sells it, or as the page that says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from services.gateway.pages import views
from services.gateway.pages.choices import chosen_amount, covers_fees, currency_of
from services.gateway.pages.forms import whole_number
from services.gateway.pages.prefill import Carried
from services.gateway.pages.views import Amount
from services.gateway.pages.words import FREQUENCIES, LINK_STATES, interval_of
from shared.contracts.configs import LegalConfig
from shared.contracts.link_requests import CoverFees, CustomField, EventConfig
from shared.contracts.links import ResolvedLine, ShownLink
from shared.contracts.plans import SubscriptionTerms
from shared.money import Money, card_step, millionths, money

FEW: Final = 10  # "3 left" is said from here on
QUANTITY_MAX: Final = 999_999  # the contract's: no bound of the merchant's
SEEN_PRICES: Final = "seen_prices"  # hidden: what the buyer saw, to strike through what changed
SEEN_MAX: Final = 8_000
RECURRING: Final = "recurring"  # among them; no line of a plan is called so


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
    locale: str,
) -> views.LinkPage:
    """The link's page; `values` are the form's fields as typed or filled in."""
    link, lines = shown.payment_link, shown.resolved_line_items
    priced = [(line, _price(line, values, locale)) for line in lines]
    seen = _seen_prices(values.get(SEEN_PRICES, ""))
    return views.LinkPage(
        brand=brand,
        url=link.url,
        preview_url=f"{link.url}/preview.png?v={shown.version}",
        action=f"/l/{shown.slug}",
        resolution_context=resolution_context,
        name=link.name,
        total=_total(shown, values, priced),
        terms=terms_of(shown.subscription_terms, seen.get(RECURRING)),
        lines=tuple(_line(line, price, seen.get(line.key)) for line, price in priced),
        frequencies=tuple(
            views.Frequency(each, FREQUENCIES[each]) for each in shown.donation_frequencies
        ),
        event=_event(link.event_config),
        description=link.description or "",
        image_url=link.image_url or "",
        fields=tuple(map(_field, link.custom_fields)),
        remaining=_few(shown.remaining_quantity),
        is_changed=is_changed,
        notice=notice,
        legal=legal_of(link.legal),
        hidden=carried.hidden() | _prices_now(shown),
        values=values,
        errors=errors or {},
    )


def unavailable_page(shown: ShownLink, brand: views.Brand, reason: str) -> views.StatusPage:
    """Why nobody can buy here now. The merchant's own words are for a paused link only."""
    kind = LINK_STATES.get(reason, "link_inactive")
    if kind == "link_inactive" and shown.payment_link.status == "active":
        kind = "link_not_yet"  # No lines yet, or a plan of which nothing is due today.
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


def terms_of(terms: SubscriptionTerms | None, seen_minor: int | None = None) -> views.Terms | None:
    """What a plan costs and how often, if there is one."""
    if terms is None:
        return None
    fee, early = terms.setup_fee_money, terms.early_termination_fee_money
    is_bound, price = bool(terms.contract_term_months), amount_of(terms.recurring_money)
    return views.Terms(
        price=price,
        previous_price=_previous(price, seen_minor),
        interval=interval_of(terms),
        trial_days=terms.trial_period_days or 0,
        setup_fee=amount_of(fee) if fee and fee.amount else None,
        minimum_months=terms.contract_term_months or 0,
        early_fee=amount_of(early) if early and early.amount and is_bound else None,
    )


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


def _field(field: CustomField) -> views.CustomField:
    return views.CustomField(
        key=field.key,
        label=field.label,
        type=field.type,
        is_required=field.is_required,
        placeholder=field.placeholder or "",
        options=tuple(field.options),
        max_length=field.max_length,
    )


def _line(line: ResolvedLine, chosen: Money, seen_minor: int | None) -> views.LinkLine:
    price = amount_of(line.unit_price_money)
    return views.LinkLine(
        key=line.key,
        name=line.name,
        unit_price=price,
        quantity=line.quantity,
        description=line.description or "",
        is_quantity_adjustable=line.allow_quantity_adjustment,
        quantity_min=line.min_quantity,
        is_optional=line.is_optional,
        quantity_max=_most(line),
        amount_choice=_choice(line) if line.allow_amount_adjustment else None,
        cover_fees=_cover_fees(line.cover_fees, chosen) if line.cover_fees else None,
        is_sold_out=line.is_sold_out,
        remaining=_few(line.quantity_available),
        previous_price=_previous(price, seen_minor),
    )


def _previous(price: Amount, seen_minor: int | None) -> Amount | None:
    """What the buyer saw, if it was another price."""
    if seen_minor is None or seen_minor == price.amount_minor:
        return None
    return Amount(seen_minor, price.currency)


def _most(line: ResolvedLine) -> int | None:
    bounds = [line.max_quantity]
    if line.quantity_available is not None:
        bounds.append(max(line.quantity_available, line.min_quantity))
    most = min(bounds)
    return None if most >= QUANTITY_MAX else most


def _choice(line: ResolvedLine) -> views.AmountChoice:
    is_empty = line.is_amount_open and not line.suggested_amounts
    return views.AmountChoice(
        suggestions=tuple(dict.fromkeys(map(amount_of, line.suggested_amounts))),
        minimum=amount_of(line.min_amount_money) if line.min_amount_money else None,
        maximum=amount_of(line.max_amount_money) if line.max_amount_money else None,
        preset=None if is_empty else amount_of(line.unit_price_money),
        is_open=line.is_amount_open,
    )


def _cover_fees(fees: CoverFees, gift: Money) -> views.CoverFees:
    return views.CoverFees(
        added=Amount(fees.on(gift), gift.currency),
        base=amount_of(gift),
        percent_millionths=millionths(fees.percent),
        fixed_minor=fees.fixed,
        step_minor=card_step(gift.currency),
    )


def _event(config: EventConfig) -> views.Event | None:
    if config.event_date is None and config.location is None:
        return None
    return views.Event(
        starts_at=config.event_date,
        ends_at=config.event_end_date,
        timezone=config.timezone or "UTC",
        location=config.location or "",
    )


def _few(left: int | None) -> int | None:
    return left if left is not None and 0 < left <= FEW else None


def _price(line: ResolvedLine, values: Mapping[str, str], locale: str) -> Money:
    """Of one piece, as chosen on the page; a field that cannot be read counts as untouched."""
    chosen = chosen_amount(values, line, locale) if line.allow_amount_adjustment else None
    if chosen is not None:
        return chosen
    is_picked = bool(line.suggested_amounts) and not values.get(f"amount.{line.key}")
    if line.is_amount_open and not is_picked:
        return money(0, line.unit_price_money.currency)
    return line.unit_price_money


def _total(
    shown: ShownLink, values: Mapping[str, str], priced: Sequence[tuple[ResolvedLine, Money]]
) -> Amount:
    """What the choices on the page come to."""
    total, is_covered = 0, covers_fees(values, shown)
    for line, price in priced:
        count = whole_number(values.get(f"quantity.{line.key}", "")) or line.quantity
        total += 0 if line.is_sold_out else price.amount * count
        if line.cover_fees and is_covered and price.amount:
            total += line.cover_fees.on(price)
    return Amount(total, currency_of(shown))


def _prices_now(shown: ShownLink) -> dict[str, str]:
    prices = {line.key: line.unit_price_money.amount for line in shown.resolved_line_items}
    if shown.subscription_terms is not None:
        prices[RECURRING] = shown.subscription_terms.recurring_money.amount
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
