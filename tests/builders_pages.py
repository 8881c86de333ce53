"""What links, sessions and orders would answer, for tests of the pages alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.gateway.pages.seeing import Seen
from services.gateway.pages.views import Brand
from shared.contracts.links import BuyerLink, ResolvedLine, ShownLink
from shared.contracts.orders import NetAmounts, Order, OrderLineItem
from shared.contracts.sessions import Attempt, CheckoutSession
from shared.money import Money

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
ULID: Final = "01JAAAAAAAAAAAAAAAAAAAAAAA"
SESSION: Final = f"cs_{ULID}"
MERCHANT: Final = f"mer_{ULID}"
LINK: Final = f"pl_{ULID}"
BRAND: Final = Brand("Northwind Tea", is_test_mode=True)


def usd(amount: int) -> Money:
    return Money(amount=amount, currency="USD")


def a_line(**changes: Any) -> ResolvedLine:
    return ResolvedLine(
        **{
            "key": "tea",
            "name": "Tea",
            "unit_price_money": usd(1200),
            "allow_quantity_adjustment": True,
            "max_quantity": 10,
            **changes,
        }
    )


def a_free_line(**changes: Any) -> ResolvedLine:
    """A line whose amount the buyer chooses."""
    bounds = {"min_amount_money": usd(500), "max_amount_money": usd(50_000)}
    free = {"allow_amount_adjustment": True, "allow_quantity_adjustment": False}
    return a_line(**{"key": "gift", **free, **bounds, **changes})


def a_shown_link(*lines: ResolvedLine, **changes: Any) -> ShownLink:
    about_link = {
        name: changes.pop(name) for name in list(changes) if name in BuyerLink.model_fields
    }
    link = BuyerLink(
        **{
            "payment_link_id": LINK,
            "name": "Tea",
            "mode": "standard",
            "status": "active",
            "version": 1,
            "url": "https://pay.example.com/l/tea",
            **about_link,
        }
    )
    return ShownLink(
        **{
            "payment_link": link,
            "resolved_line_items": list(lines or [a_line()]),
            "merchant_id": MERCHANT,
            "mode_environment": "test",
            "slug": "tea",
            **changes,
        }
    )


def a_session(**changes: Any) -> CheckoutSession:
    return CheckoutSession(
        **{
            "checkout_session_id": SESSION,
            "status": "open",
            "source": "payment_link",
            "order_id": f"ord_{ULID}",
            "payment_link_id": LINK,
            "amount_money": usd(1200),
            "expires_at": NOON + timedelta(hours=1),
            "merchant_id": MERCHANT,
            "mode_environment": "test",
            "created_at": NOON,
            "updated_at": NOON,
            **changes,
        }
    )


def an_attempt(**changes: Any) -> Attempt:
    return Attempt(
        **{"attempt_id": f"pi_{ULID}", "status": "processing", "started_at": NOON, **changes}
    )


def an_order(**changes: Any) -> Order:
    due = Money(amount=changes.pop("due", 1200), currency=changes.pop("currency", "USD"))
    none = Money(amount=0, currency=due.currency)
    sums = dict.fromkeys(NetAmounts.model_fields, none)
    sums |= dict.fromkeys(("subtotal_money", "total_money", "balance_money"), due)
    line = OrderLineItem(
        order_line_item_id=f"li_{ULID}",
        name="Tea",
        quantity=1,
        unit_price_money=due,
        gross_money=due,
        discount_money=none,
        tax_money=none,
        net_money=due,
    )
    return Order(
        **{
            "order_id": f"ord_{ULID}",
            "order_number": "1001",
            "status": "open",
            "line_items": [line],
            "net_amounts": NetAmounts(**sums),
            "source": "payment_link",
            "merchant_id": MERCHANT,
            "mode_environment": "test",
            "created_at": NOON,
            "updated_at": NOON,
            **changes,
        }
    )


def seen(
    session: CheckoutSession | None = None,
    attempt: Attempt | None = None,
    order: Order | None = None,
) -> Seen:
    return Seen(session or a_session(), attempt, order or an_order())
