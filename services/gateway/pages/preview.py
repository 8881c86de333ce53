"""`/l/{slug}/preview.png`: what is shown of a link where somebody shares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY
from services.gateway.pages.answer import brand_of, count
from services.gateway.pages.link import find
from services.gateway.pages.render import format_amount
from services.gateway.pages.theme import theme_from
from services.gateway.pages.views import Brand
from services.gateway.pages.words import interval_of
from services.gateway.pictures import card
from services.gateway.pictures.card import Card
from services.gateway.pictures.easel import shown
from shared.contracts.links import ResolvedLine, ShownLink
from shared.contracts.plans import ARCHIVED
from shared.money import card_step

FOR_FIVE_MINUTES: Final = "public, max-age=300"
ENDED: Final[Mapping[str, str]] = {
    "PAYMENT_LINK_INACTIVE": "Not available",
    "PAYMENT_LINK_MAX_COMPLETIONS_REACHED": "Sold out",
    "EVENT_SOLD_OUT": "Sold out",
    "EVENT_ENDED": "Over",
    ARCHIVED: "Not available",
}


async def show(request: web.Request) -> web.Response:
    """The card. Only one that has to be drawn counts against the asker's limit."""
    gateway, link = request.app[GATEWAY], await find(request)
    theme = link.payment_link.theme
    brand = await brand_of(gateway, link.merchant_id, link.mode_environment, theme)
    wanted = card_of(link, brand)
    if gateway.easel.kept(wanted) is None:
        count(request)
    picture = await gateway.easel.drawn(wanted, partial(card.draw, wanted))
    answer = shown(request, picture, FOR_FIVE_MINUTES)
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # it is made for other sites
    return answer


def card_of(link: ShownLink, brand: Brand) -> Card:
    """What is on the card; the same link as it is now is the same card."""
    look = theme_from(brand.theme)
    reason = link.unavailable_reason
    return Card(
        seller=look.title or brand.merchant_name,
        name=link.payment_link.name,
        price=_price(link) if reason is None else ENDED.get(reason, ""),
        color=look.primary,
        is_test_mode=brand.is_test_mode,
    )


def _price(link: ShownLink) -> str:
    if (terms := link.subscription_terms) is None:
        return price_of(link.resolved_line_items)
    each = terms.recurring_money
    return f"{format_amount(each.amount, each.currency)} {interval_of(terms)}"


def price_of(lines: Sequence[ResolvedLine]) -> str:
    """The price in few words: exact where there is nothing to choose, else where it begins."""
    open_lines = [line for line in lines if not line.is_sold_out]
    if not open_lines:
        return "Any amount"
    first, currency = open_lines[0], open_lines[0].unit_price_money.currency
    is_one_price = len(open_lines) == 1 and not first.allow_amount_adjustment
    if is_one_price and first.allow_quantity_adjustment:
        return format_amount(first.unit_price_money.amount, currency)
    if not any(_is_chosen(line) for line in open_lines):
        whole = sum(line.unit_price_money.amount * line.quantity for line in open_lines)
        return format_amount(whole, currency)
    # A line that begins at none may be left out, as an event's tiers may.
    least = sum(_least(line) * line.min_quantity for line in open_lines if line.quantity)
    least = least or min(_least(line) for line in open_lines)
    is_bounded = least > card_step(currency)  # the least that any amount is
    return f"From {format_amount(least, currency)}" if is_bounded else "Any amount"


def _is_chosen(line: ResolvedLine) -> bool:
    return line.allow_quantity_adjustment or line.allow_amount_adjustment


def _least(line: ResolvedLine) -> int:
    """The least that one piece may cost, in minor units."""
    if not line.allow_amount_adjustment:
        return line.unit_price_money.amount
    return line.min_amount_money.amount if line.min_amount_money else 0
