"""Codes in a buyer's words. What stands here is shown; a code that is not gets a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.gateway.pages.views import StatusKind
from shared.contracts.link_requests import Frequency
from shared.contracts.plans import ARCHIVED, BillingInterval, SubscriptionTerms
from shared.contracts.sessions import Attempt, CheckoutSession

# Why the last try to pay failed. The page itself adds that nothing was charged, and what to do.
DECLINES: Final[Mapping[str, str]] = {
    "card_declined": "Your bank declined the card.",
    "insufficient_funds": "There is not enough money on this card.",
    "expired_card": "This card has expired.",
    "incorrect_cvc": "The security code is not right.",
    "authentication_required": "Your bank could not confirm that it is you.",
    "processing_error": "The card could not be processed just now.",
    "payment_action_expired": "The payment was not confirmed in time.",
    "payment_failed": "The payment did not go through.",
}
# Failures that are nobody's card: said as a notice, without advice about cards.
NOTICES: Final[Mapping[str, str]] = {
    "ORDER_CONFLICT": "The total has changed since you opened this page. You have not been "
    "charged. Please look at it again before you pay.",
    "ORDER_PAYMENT_ATTEMPT_ACTIVE": "Another payment for this order is under way. You have not "
    "been charged here.",
    "CHECKOUT_VALIDATION_UNAVAILABLE": "The shop could not check your order just now. You have "
    "not been charged. Please try again in a moment.",
}
# The place was gone when this buyer's card was ready: trying again cannot help.
PLACES_GONE: Final[Mapping[str, StatusKind]] = {
    "PAYMENT_LINK_MAX_COMPLETIONS_REACHED": "link_max_completions",
    "EVENT_SOLD_OUT": "link_sold_out",
}
LINK_STATES: Final[Mapping[str, StatusKind]] = {
    "PAYMENT_LINK_INACTIVE": "link_inactive",
    ARCHIVED: "link_withdrawn",
    "EVENT_ENDED": "link_ended",
    **PLACES_GONE,
}
SESSION_ENDS: Final[Mapping[str, StatusKind]] = {
    "order_mutated": "order_mutated",
    "order_paid_elsewhere": "paid_elsewhere",
    "order_closed": "order_closed",
    "superseded": "superseded",
}


FREQUENCIES: Final[Mapping[Frequency, str]] = {
    "one_time": "Once",
    "monthly": "Monthly",
    "yearly": "Yearly",
}


_PERIODS: Final[Mapping[BillingInterval, str]] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
}


def interval_of(terms: SubscriptionTerms) -> str:
    """ "every month", "every 2 weeks": how often a plan is paid."""
    period, count = _PERIODS[terms.billing_interval], terms.billing_interval_count
    return f"every {period}" if count == 1 else f"every {count} {period}s"


def wish_of(frequency: Frequency | None) -> str:
    """How often the donor would like to give; empty for once, and for what is no gift."""
    return "" if frequency in {None, "one_time"} else FREQUENCIES[frequency]


def wish_note(frequency: Frequency | None) -> str:
    """What a wish means for this payment: nothing is charged later without the donor."""
    wish = wish_of(frequency)
    return f"You would like to give {wish.lower()}. Only this gift is charged now." if wish else ""


def why_declined(attempt: Attempt | None) -> str:
    """The sentence for a card that did not work; empty when the card is not to blame."""
    if attempt is None or attempt.status != "failed":
        return ""
    code = attempt.failure_code or "payment_failed"
    return DECLINES.get(code, "" if code.isupper() else DECLINES["payment_failed"])


def why_stopped(attempt: Attempt | None) -> str:
    """The sentence for a try that ended for another reason than the card; else empty."""
    if attempt is None or attempt.status != "failed" or not attempt.failure_code:
        return ""
    code = attempt.failure_code
    if not code.isupper():
        return ""
    return NOTICES.get(code) or attempt.failure_message or DECLINES["payment_failed"]


def end_of(session: CheckoutSession) -> StatusKind:
    """Which page tells a buyer why this session can no longer be paid."""
    if session.status == "closed":
        return "closed"
    if session.status == "invalidated":
        return SESSION_ENDS.get(session.terminal_reason or "", "closed")
    return "expired"
