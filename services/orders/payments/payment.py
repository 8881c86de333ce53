"""A payment: one try to move money for an order, and the table of its legal moves.

Pure. The intent is what the API shows; the phase is what is under way with whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from services.orders.ordering.domain import Moment
from shared.contracts.payments import PaymentActivity, PaymentIntent, PaymentStatus

Phase = Literal[
    "charge",  # the provider is asked to take the money
    "authorize",  # … to hold it, because a place has to be claimed before it is taken
    "claim",  # the link is asked for the place
    "capture",  # the provider is asked to take what it holds
    "void",  # … to give it back, or to give up on the buyer's confirmation
    "succeeded",
    "failed",
    "canceled",  # the place was gone
    "expired",  # the buyer did not confirm in time
]
VoidReason = Literal["refused", "expired", "uncapturable"]

# From `void` to `succeeded`: the provider says that the money was taken before it could be
# stopped. From an end to `succeeded`: money that arrives late is kept, never lost.
MOVES: Final[Mapping[Phase, frozenset[Phase]]] = {
    "charge": frozenset({"succeeded", "failed", "void"}),
    "authorize": frozenset({"claim", "failed", "void"}),
    "claim": frozenset({"capture", "void", "succeeded", "canceled"}),  # last two: nothing is due
    "capture": frozenset({"succeeded", "void", "failed"}),
    "void": frozenset({"canceled", "expired", "failed", "succeeded"}),
    "failed": frozenset({"succeeded"}),
    "canceled": frozenset({"succeeded"}),
    "expired": frozenset({"succeeded"}),
    "succeeded": frozenset(),
}
ENDED: Final[frozenset[Phase]] = frozenset({"succeeded", "failed", "canceled", "expired"})
STATUSES: Final[Mapping[Phase, PaymentStatus]] = {
    "succeeded": "succeeded",
    "failed": "requires_payment_method",
    "canceled": "canceled",
    "expired": "expired",
}

# How long a call may be under way before somebody asks what became of it.
ANSWER_WAIT: Final = timedelta(seconds=15)
PAUSE_FIRST_SECONDS: Final = 2
PAUSE_MAX_SECONDS: Final = 60
# How long an outcome may stay unknown before a person is told, and then how often.
TELL_AFTER: Final = timedelta(minutes=10)
TELL_EVERY: Final = timedelta(hours=1)
ACTION_WAIT: Final = timedelta(minutes=15)  # for the buyer's confirmation
CLAIM_WAIT: Final = timedelta(hours=1)  # for the link's answer; a hold does not last for ever


@dataclass(frozen=True, slots=True)
class Payment:
    """An intent and what only this room knows of it. `version` grows with every saved change."""

    intent: PaymentIntent
    phase: Phase
    provider: str
    next_action_at: datetime | None
    payment_source_token: str | None = field(default=None, repr=False)
    return_url: str | None = None
    payment_link_id: str | None = None
    quantities: Mapping[str, int] = field(default_factory=dict)
    provider_ref: str | None = None
    is_claimed: bool = False
    void_reason: VoidReason | None = None
    give_up_at: datetime | None = None
    asked: int = 0
    tell_at: datetime | None = None
    version: int = 1

    @property
    def is_free(self) -> bool:
        """Nothing is due and only a place is claimed: no provider, and no intent to be shown."""
        return self.intent.amount_money.amount == 0

    @property
    def has_ended(self) -> bool:
        """Whether its outcome is certain."""
        return self.phase in ENDED


def moved(payment: Payment, phase: Phase, at: Moment, **changes: Any) -> Payment:
    """Into the next phase, whose first call is about to be sent."""
    assert phase in MOVES[payment.phase], f"{payment.phase} never becomes {phase}"
    payment = replace(payment, phase=phase, asked=0, give_up_at=None, tell_at=None, **changes)
    if payment.has_ended:
        return replace(payment, next_action_at=None, payment_source_token=None)
    return replace(payment, next_action_at=at.now + ANSWER_WAIT)


def shown_as(
    payment: Payment, status: PaymentStatus, text: str, at: Moment, **changes: Any
) -> Payment:
    """The intent in another status; the same status again changes nothing that is shown."""
    intent = payment.intent
    if intent.status == status:
        return payment
    entry = PaymentActivity(
        activity_id=at.new_id("act"),
        type="failed" if status == "requires_payment_method" else "status_changed",
        description=text,
        from_status=intent.status,
        to_status=status,
        created_at=at.now,
        order_id=intent.order_id,
        checkout_session_id=intent.checkout_session_id,
    )
    update = {
        "status": status,
        "activities": [*intent.activities, entry],
        "next_action_url": None,
        "updated_at": at.now,
        **changes,
    }
    return replace(payment, intent=intent.model_copy(update=update))


def waiting(payment: Payment, at: Moment) -> Payment:
    """Nothing is decided yet: ask again after a pause that grows from 2 s to 60 s."""
    pause = min(PAUSE_FIRST_SECONDS * 2**payment.asked, PAUSE_MAX_SECONDS)
    next_action_at = at.now + timedelta(seconds=pause)
    return replace(payment, asked=payment.asked + 1, next_action_at=next_action_at)


def undecided(payment: Payment, at: Moment) -> tuple[Payment, bool]:
    """Nobody knows whether the money moved; and whether it is time to tell a person so."""
    tell_at = payment.tell_at or at.now + TELL_AFTER
    is_overdue = tell_at <= at.now
    payment = replace(waiting(payment, at), tell_at=at.now + TELL_EVERY if is_overdue else tell_at)
    return payment, is_overdue


def calling(payment: Payment, at: Moment) -> Payment:
    """A call is about to be sent: if its answer gets lost, ask for it."""
    return replace(payment, next_action_at=at.now + ANSWER_WAIT)
