"""The life of an order: open until it is paid or closed. Pure: moves return the new sale and facts.

What is in it and what it costs is made in `contents` and `pricing`; here is what happens to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from shared.contracts.base import Event
from shared.contracts.links import Offer
from shared.contracts.orders import (
    ActivityType,
    Order,
    OrderActivity,
    OrderClosed,
    OrderCreated,
    OrderPaid,
    OrderUnpayable,
)
from shared.errors import Refusal
from shared.ids import ulid_of
from shared.money import SignedMoney, money, to_text

Fact = TypeVar("Fact", bound=Event)
# History tells itself; it is not repeated as the old value of every change.
NOT_TOLD: Final = frozenset({"activities", "updated_at"})


@dataclass(frozen=True, slots=True)
class Moment:
    """When a move happens, and where the ids of what it makes come from."""

    now: datetime
    new_id: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Sale:
    """An order as the API shows it, and what only this room knows of it."""

    order: Order
    is_limited: bool = False  # a place of its link has to be claimed before money is taken
    line_keys: Mapping[str, str] = field(default_factory=dict)  # counted line → the link's key
    ticket_prefix: str = ""
    buyer_tip_id: str | None = None  # the tip that was chosen on the page
    live_attempt_id: str | None = None  # the one payment that may be under way
    paid_attempt_id: str | None = None
    free_attempt_ids: tuple[str, ...] = ()  # tries that moved no money and have no intent
    is_closing: bool = False  # its page has ended: closed as soon as no payment is under way

    @property
    def balance(self) -> int:
        """What is still to be paid, in minor units."""
        return self.order.net_amounts.balance_money.amount

    @property
    def currency(self) -> str:
        """The one currency of the order."""
        return self.order.net_amounts.total_money.currency

    @property
    def attempt_ids(self) -> frozenset[str]:
        """Every try to pay it, whatever became of it."""
        return frozenset((*self.order.payment_intent_ids, *self.free_attempt_ids))

    @property
    def line_quantities(self) -> dict[str, int]:
        """The link's line key → how many: what a claim asks for and a completion counts."""
        counted: dict[str, int] = {}
        for line in self.order.line_items:
            key = self.line_keys.get(line.order_line_item_id)
            if key is not None:
                counted[key] = counted.get(key, 0) + line.quantity
        return counted

    @property
    def quantity_sold(self) -> int:
        """How many pieces; of a link's order only what the link counts."""
        keys = self.line_keys
        lines = self.order.line_items
        return sum(one.quantity for one in lines if not keys or one.order_line_item_id in keys)


Moved = tuple[Sale, list[Event]]


def order_number(order_id: str) -> str:
    """Short, readable, and the same for ever: the last eight characters of the ULID."""
    tail = ulid_of(order_id)[-8:]
    return f"{tail[:4]}-{tail[4:]}"


def opened(
    order: Order,
    at: Moment,
    *,
    offer: Offer | None = None,
    line_keys: Mapping[str, str] | None = None,
) -> Moved:
    """A new order, priced already; what it freezes of a link's offer beside its lines."""
    first = _activity(
        order, at, "created", "Order created.", delta=order.net_amounts.balance_money.amount
    )
    sale = Sale(order.model_copy(update={"activities": [first]}), line_keys=line_keys or {})
    if offer is not None:
        sale = replace(
            sale,
            is_limited=offer.is_limited,
            ticket_prefix=offer.ticket_prefix or "",
        )
    return sale, [fact(OrderCreated, sale.order)]


def close(sale: Sale, reason: str | None, at: Moment) -> Moved:
    """Closed for good, once. Raises ORDER_CLOSED, ORDER_PAYMENT_ATTEMPT_ACTIVE."""
    if sale.order.status == "closed":
        return sale, []
    must_be_changeable(sale)
    return _closed(sale, reason, at)


def session_opened(sale: Sale, session_id: str, at: Moment) -> Moved:
    """A page was opened for this order; says that it must not be paid if it cannot be."""
    if session_id in sale.order.checkout_session_ids:
        return sale, []
    if sale.order.status != "open":
        return sale, [
            unpayable(sale.order.order_id, session_id, is_paid=sale.order.status != "closed")
        ]
    ids = [*sale.order.checkout_session_ids, session_id]
    text = "Checkout session created."
    noted = _noted(sale, at, "checkout_session_created", text, checkout_session_id=session_id)
    return _with(noted, at, checkout_session_ids=ids), []


def session_ended(sale: Sale, session_id: str, at: Moment, *, is_expired: bool) -> Moved:
    """A page has ended unpaid. A payment link's order ends with its last page, others stay open."""
    if sale.order.status != "open":
        return sale, []
    if is_expired and not _is_noted(sale, "checkout_session_expired", session_id):
        text = "Checkout session expired."
        sale = _noted(sale, at, "checkout_session_expired", text, checkout_session_id=session_id)
    is_last = sale.order.checkout_session_ids[-1:] == [session_id]
    if sale.order.payment_link_id is None or not is_last:
        return sale, []
    if sale.live_attempt_id is not None:
        return replace(sale, is_closing=True), []
    return _closed(sale, "The checkout session has ended.", at)


def attempt_started(
    sale: Sale,
    attempt_id: str,
    at: Moment,
    *,
    session_id: str | None,
    email: str | None,
    is_free: bool,
) -> Sale:
    """One payment is under way; until it has ended no other may start."""
    assert sale.order.status == "open", "only an open order is paid"
    assert sale.live_attempt_id is None, "one payment at a time"
    sale = replace(buyer_known(sale, session_id, email), live_attempt_id=attempt_id)
    if is_free:
        return replace(_with(sale, at), free_attempt_ids=(*sale.free_attempt_ids, attempt_id))
    text = "Payment started."
    noted = _noted(sale, at, "payment_intent_created", text, payment_intent_id=attempt_id)
    return _with(noted, at, payment_intent_ids=[*sale.order.payment_intent_ids, attempt_id])


def attempt_failed(
    sale: Sale, attempt_id: str, at: Moment, *, why: str, is_free: bool = False
) -> Moved:
    """That payment has certainly ended without money; the order may be paid again."""
    if sale.live_attempt_id == attempt_id:
        sale = replace(sale, live_attempt_id=None)
    if not is_free:
        text = f"Payment failed: {why}"
        sale = _noted(sale, at, "payment_failed", text, payment_intent_id=attempt_id)
    sale = _with(sale, at)
    if sale.is_closing and sale.order.status == "open":
        return _closed(sale, "The checkout session has ended.", at)
    return sale, []


def can_be_settled_by(sale: Sale, amount: int) -> bool:
    """Whether this much money makes the order paid."""
    return sale.order.status == "open" and sale.balance <= amount


def paid(sale: Sale, attempt_id: str, amount: int, session_id: str | None, at: Moment) -> Moved:
    """Paid: all that was due has arrived (`amount` in minor units, 0 if nothing was due)."""
    assert can_be_settled_by(sale, amount), "an order is paid once, and wholly"
    before = sale.order
    if amount:
        sale = _received(sale, amount, attempt_id, at)
    elif attempt_id not in sale.free_attempt_ids:
        sale = replace(sale, free_attempt_ids=(*sale.free_attempt_ids, attempt_id))
    sale = replace(_with(sale, at, status="paid"), paid_attempt_id=attempt_id, is_closing=False)
    if sale.live_attempt_id == attempt_id:
        sale = replace(sale, live_attempt_id=None)
    told = fact(
        OrderPaid,
        sale.order,
        before,
        attempt_id=attempt_id,
        paid_session_id=session_id,
        quantity_sold=sale.quantity_sold,
        line_quantities=sale.line_quantities,
    )
    return sale, [told]


def received_late(sale: Sale, attempt_id: str, amount: int, at: Moment) -> Sale:
    """Money for an order that no longer waits for it: kept and shown, never lost, never silent."""
    sale = _received(sale, amount, attempt_id, at)
    if sale.live_attempt_id == attempt_id:
        sale = replace(sale, live_attempt_id=None)
    return sale


def buyer_known(sale: Sale, session_id: str | None, email: str | None) -> Sale:
    """What pressing pay told us of the buyer, and through which page."""
    changes: dict[str, Any] = {}
    if session_id is not None and session_id not in sale.order.checkout_session_ids:
        changes["checkout_session_ids"] = [*sale.order.checkout_session_ids, session_id]
    if email is not None:
        changes["buyer_email"] = email
    return replace(sale, order=sale.order.model_copy(update=changes)) if changes else sale


def unpayable(order_id: str, session_id: str, *, is_paid: bool) -> OrderUnpayable:
    """The answer to a page that was opened for an order which nobody can pay."""
    return OrderUnpayable(
        order_id=order_id,
        checkout_session_id=session_id,
        reason="order_paid_elsewhere" if is_paid else "order_closed",
    )


def order_closed(sale: Sale) -> Refusal:
    """The answer to whoever wants to change or pay an order that is over."""
    status = sale.order.status.replace("_", " ")
    message = f"The order is {status}: it can no longer be changed or paid."
    return Refusal("conflict", "ORDER_CLOSED", message)


def attempt_active() -> Refusal:
    """The answer while a payment is under way."""
    return Refusal(
        "conflict",
        "ORDER_PAYMENT_ATTEMPT_ACTIVE",
        "A payment of this order is under way.",
        next_actions=("wait_for_payment",),
        retryable=True,
    )


def must_be_changeable(sale: Sale) -> None:
    """Raises ORDER_CLOSED, ORDER_PAYMENT_ATTEMPT_ACTIVE."""
    if sale.order.status != "open":
        raise order_closed(sale)
    if sale.live_attempt_id is not None:
        raise attempt_active()


def fact(
    kind: type[Fact], resource: BaseModel, before: BaseModel | None = None, **more: Any
) -> Fact:
    """The resource as it is now, said as `kind`, with what it was `before` where that differs."""
    previous = {} if before is None else changes(before, resource)
    fields: dict[str, Any] = {**vars(resource), "previous": previous, **more}
    return kind(**fields)


def noted_change(
    sale: Sale, before: Order, at: Moment, kind: ActivityType, text: str, **ids: Any
) -> Sale:
    """A change of the contents, written into the history with what it did to the balance."""
    delta = sale.balance - before.net_amounts.balance_money.amount
    return _with(_noted(sale, at, kind, text, delta=delta, **ids), at)


def _received(sale: Sale, amount: int, attempt_id: str, at: Moment) -> Sale:
    amounts, currency = sale.order.net_amounts, sale.currency
    surplus = max(0, amount - sale.balance)
    update = {
        "paid_money": money(amounts.paid_money.amount + amount, currency),
        "balance_money": money(sale.balance + surplus - amount, currency),
    }
    text = f"Payment of {to_text(amount, currency)}."
    sale = _noted(sale, at, "payment", text, delta=-amount, payment_intent_id=attempt_id)
    if surplus:
        text = f"{to_text(surplus, currency)} more than was due."
        sale = _noted(sale, at, "adjustment", text, delta=surplus, payment_intent_id=attempt_id)
    return _with(sale, at, net_amounts=amounts.model_copy(update=update))


def _closed(sale: Sale, reason: str | None, at: Moment) -> Moved:
    before = sale.order
    sale = _noted(sale, at, "closed", f"Order closed: {reason}" if reason else "Order closed.")
    sale = replace(_with(sale, at, status="closed", closed_reason=reason), is_closing=False)
    return sale, [fact(OrderClosed, sale.order, before)]


def _with(sale: Sale, at: Moment, **changes: Any) -> Sale:
    return replace(sale, order=sale.order.model_copy(update={**changes, "updated_at": at.now}))


def _noted(
    sale: Sale, at: Moment, kind: ActivityType, text: str, *, delta: int = 0, **ids: Any
) -> Sale:
    entry = _activity(sale.order, at, kind, text, delta=delta, **ids)
    activities = [*sale.order.activities, entry]
    return replace(sale, order=sale.order.model_copy(update={"activities": activities}))


def _activity(
    order: Order, at: Moment, kind: ActivityType, text: str, *, delta: int = 0, **ids: Any
) -> OrderActivity:
    currency = order.net_amounts.total_money.currency
    before = order.activities[-1].running_balance.amount if order.activities else 0
    return OrderActivity(
        activity_id=at.new_id("act"),
        type=kind,
        balance_delta=SignedMoney(amount=delta, currency=currency),
        running_balance=SignedMoney(amount=before + delta, currency=currency),
        description=text,
        created_at=at.now,
        **ids,
    )


def _is_noted(sale: Sale, kind: ActivityType, session_id: str) -> bool:
    return any(
        one.type == kind and one.checkout_session_id == session_id for one in sale.order.activities
    )


def changes(before: BaseModel, after: BaseModel) -> dict[str, Any]:
    """The old values of the fields that differ."""
    old, new = vars(before), vars(after)
    return {
        name: value for name, value in old.items() if name not in NOT_TOLD and new[name] != value
    }
