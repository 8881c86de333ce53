"""A payment link's numbers, as the gateway counted them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from services.gateway.api import examples
from services.gateway.api.operation import ApiCall, Operation
from services.gateway.api.payment_links import ONE, READ
from services.gateway.stats import store
from services.gateway.stats.store import Count
from shared.contracts.links import GetLink
from shared.contracts.types import Resource
from shared.db.pool import connection

RATE_DIGITS: Final = 4


class TotalMoney(Resource):
    """The sum of many payments, in minor units: it may be more than any one of them."""

    amount: Annotated[int, Field(ge=0)]
    currency: str


class PaymentLinkStats(Resource):
    """How many looked, went on, tried to pay and paid; and what that brought."""

    payment_link_id: str
    view_count: Annotated[
        int,
        Field(description="Pages on which somebody did something. Programs are not counted."),
    ]
    resolve_count: Annotated[int, Field(description="Sessions that buyers opened from it.")]
    attempt_count: Annotated[int, Field(description="Payments that were started.")]
    paid_count: Annotated[int, Field(description="Orders that were paid, free ones included.")]
    conversion_rate: Annotated[
        float | None,
        Field(description="`paid_count` by `view_count`; absent while nobody has looked."),
    ] = None
    revenue: Annotated[
        list[TotalMoney],
        Field(description="What was paid less what was refunded, by currency."),
    ]
    refunds: Annotated[list[TotalMoney], Field(description="What was refunded, by currency.")]


async def show(call: ApiCall) -> PaymentLinkStats:
    link = await call.ask(GetLink(**call.ids))
    async with connection(call.gateway.pool) as db:
        counts = await store.read(db, link.merchant_id, link.payment_link_id)
    return stats_of(link.payment_link_id, counts)


def stats_of(payment_link_id: str, counts: list[Count]) -> PaymentLinkStats:
    """The counts as the API shows them."""
    times = {name: _times(counts, name) for name in ("view", "resolve", "attempt", "sale")}
    refunded = _sums(counts, "refund")
    taken = _sums(counts, "sale")
    views, paid = times["view"], times["sale"]
    return PaymentLinkStats(
        payment_link_id=payment_link_id,
        view_count=views,
        resolve_count=times["resolve"],
        attempt_count=times["attempt"],
        paid_count=paid,
        conversion_rate=round(paid / views, RATE_DIGITS) if views else None,
        revenue=[_total(taken[one] - refunded.get(one, 0), one) for one in sorted(taken)],
        refunds=[_total(refunded[one], one) for one in sorted(refunded)],
    )


def _total(amount: int, currency: str) -> TotalMoney:
    return TotalMoney(amount=max(0, amount), currency=currency)


def _times(counts: list[Count], measure: str) -> int:
    return sum(count.count for count in counts if count.measure == measure)


def _sums(counts: list[Count], measure: str) -> dict[str, int]:
    return {count.currency: count.amount_minor for count in counts if count.measure == measure}


OPERATIONS: Final = (
    Operation(
        "GET",
        f"{ONE}/stats",
        "showPaymentLinkStats",
        "Show a payment link's numbers",
        show,
        PaymentLinkStats,
        scope=READ,
        reply_example=examples.LINK_STATS,
        description="Counted from the events, so a moment behind them. A view is a page on which "
        "somebody moved, typed, touched or pressed the button: link previews, scanners and other "
        "programs that only fetch it are not counted, even if they run its scripts.",
    ),
)
