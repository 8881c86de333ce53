"""Links for tests: a tea shop's, with only what a test says made different."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.links import domain, modes, template
from services.links.domain import Link
from shared.contracts.link_requests import PaymentLinkCreateParams
from shared.contracts.links import Choices, ClaimPlace, ReleasePlace, ResolveLink
from shared.contracts.orders import NetAmounts, OrderPaid, OrderRefunded
from shared.money import money
from tests.support.desk import MERCHANT, ORIGIN

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEVER = "pl_01JZZZZZZZZZZZZZZZZZZZZZZ0"


def tea(amount: int = 1200, **more: Any) -> dict[str, Any]:
    return {"name": "Tea", "amount_money": {"amount": amount, "currency": "USD"}} | more


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def params(**given: Any) -> PaymentLinkCreateParams:
    return PaymentLinkCreateParams.model_validate({"name": "Tea", "line_items": [tea()]} | given)


def a_link(**given: Any) -> Link:
    state = {name: given.pop(name) for name in list(given) if name in Link.__slots__}
    link, _ = domain.create(
        modes.checked(template.made(params(**given))),
        payment_link_id=NEVER,
        merchant_id=MERCHANT,
        mode_environment="test",
        slug="tea",
        origin=ORIGIN,
        now=NOON,
    )
    return replace(link, **state)


def resolving(link_id: str = NEVER, *, context: str = "ctx_1", version: int = 1, **chosen: Any):
    return ResolveLink(
        payment_link_id=link_id,
        context_id=context,
        context_version=version,
        choices=Choices.model_validate(chosen),
    )


def claiming(
    link_id: str, number: int, *, order: int | None = None, seats: int = 1, **of_tiers: int
) -> ClaimPlace:
    return ClaimPlace(
        attempt_id=f"pi_{number}",
        order_id=f"ord_{number if order is None else order}",
        payment_link_id=link_id,
        quantities=of_tiers or {"item-1": seats},
    )


def releasing(link_id: str, number: int, *, order: int | None = None) -> ReleasePlace:
    return ReleasePlace(
        attempt_id=f"pi_{number}",
        order_id=f"ord_{number if order is None else order}",
        payment_link_id=link_id,
    )


def paid(link_id: str | None, number: int, *, sold: int = 1, **of_tiers: int) -> OrderPaid:
    sale = _sale(link_id, number, sold, of_tiers)
    return OrderPaid(status="paid", attempt_id=f"pi_{number}", **sale)


def refunded(
    link_id: str | None, number: int, *, is_whole: bool = True, of_tiers: dict[str, int]
) -> OrderRefunded:
    return OrderRefunded(
        status="refunded" if is_whole else "partially_refunded",
        refund_id=f"ref_{number}",
        amount_money=money(0, "USD"),
        **_sale(link_id, number, 0, of_tiers),
    )


def _sale(link_id: str | None, number: int, sold: int, of_tiers: dict[str, int]) -> dict[str, Any]:
    zero = money(0, "USD")
    return {
        "order_id": f"ord_{number}",
        "order_number": str(number),
        "net_amounts": NetAmounts(**dict.fromkeys(NetAmounts.model_fields, zero)),
        "source": "payment_link",
        "payment_link_id": link_id,
        "merchant_id": MERCHANT,
        "mode_environment": "test",
        "created_at": NOON,
        "updated_at": NOON,
        "quantity_sold": sum(of_tiers.values()) or sold,
        "line_quantities": of_tiers,
    }
