"""The hosted page's life: open, then paid, expired, closed or invalidated, for ever.

Pure: `now` and ids are arguments, a move returns the new session and its facts. A payment in
flight (the live attempt) holds the session open: it never expires, closes or is invalidated under
it. Events come in any order and more than once; what does not fit is no news, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from services.sessions.payer import refuse_incomplete
from shared.contracts.base import changed
from shared.contracts.link_requests import CustomField, Frequency
from shared.contracts.orders import OrderFact, OrderPaid, PayOrder
from shared.contracts.payments import PaymentIntentFact
from shared.contracts.plans import SubscriptionTerms
from shared.contracts.sessions import (
    Attempt,
    AttemptStatus,
    CheckoutSession,
    PaySession,
    SessionClosed,
    SessionCompleted,
    SessionConfigs,
    SessionExpired,
    SessionFact,
    SessionInvalidated,
    SessionStatus,
    ShownSession,
    TerminalReason,
)
from shared.contracts.types import ModeEnvironment, Source, merged_metadata
from shared.errors import Refusal
from shared.money import Money

Facts = list[SessionFact]

_END: Final = frozenset[SessionStatus]()
MOVES: Final[Mapping[SessionStatus, frozenset[SessionStatus]]] = {
    "open": frozenset({"paid", "expired", "closed", "invalidated"}),
    "paid": _END,
    "expired": _END,
    "closed": _END,
    "invalidated": _END,
}
LIVE: Final = frozenset[AttemptStatus]({"processing", "requires_action"})
ATTEMPT_MOVES: Final[Mapping[AttemptStatus, frozenset[AttemptStatus]]] = {
    "processing": frozenset({"requires_action", "succeeded", "failed"}),
    "requires_action": frozenset({"succeeded", "failed"}),
    "failed": frozenset({"succeeded"}),  # money may arrive after it was given up
    "succeeded": frozenset(),
}
FAILED_ATTEMPTS_MAX: Final = 10
ASK_AGAIN_SECONDS: Final = 20
ASK_AGAIN_SECONDS_MAX: Final = 300
LINK_CLOSED: Final = "The payment link was deactivated."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session as it stands. `origin` is where buyers reach us; `owed_end` waits for an attempt.

    `pay_order` is the attempt's request while orders has not confirmed it. `amount_money` is what
    the order owes as of `order_revision`.
    """

    checkout_session_id: str
    merchant_id: str
    mode_environment: ModeEnvironment
    order_id: str
    source: Source
    amount_money: Money
    configs: SessionConfigs
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    origin: str
    name: str = ""
    payment_link_id: str | None = None
    status: SessionStatus = "open"
    terminal_reason: TerminalReason | None = None
    closed_reason: str | None = None
    payment_intent_ids: tuple[str, ...] = ()
    custom_fields: tuple[CustomField, ...] = ()
    custom_field_values: Mapping[str, str]
    client_reference_id: str | None = None
    donation_frequency: Frequency | None = None
    subscription_terms: SubscriptionTerms | None = None
    expired_at: datetime | None = None
    completed_at: datetime | None = None
    metadata: Mapping[str, str]
    order_revision: int = 0
    attempt: Attempt | None = None
    attempt_moved_at: datetime | None = None
    pay_order: PayOrder | None = None
    ask_again_at: datetime | None = None
    asked: int = 0
    failed_attempts: int = 0
    owed_end: TerminalReason | None = None
    version: int = 1

    @property
    def is_live(self) -> bool:
        """Whether a payment is in flight."""
        return self.attempt is not None and self.attempt.status in LIVE

    @property
    def url(self) -> str:
        """The hosted page."""
        return f"{self.origin}/c/{self.checkout_session_id}"

    def fields(self) -> dict[str, Any]:
        """The session as the API shows it, as a plain map."""
        configs = {name: getattr(self.configs, name) for name in SessionConfigs.model_fields}
        return configs | {
            "checkout_session_id": self.checkout_session_id,
            "status": self.status,
            "terminal_reason": self.terminal_reason,
            "closed_reason": self.closed_reason,
            "source": self.source,
            "order_id": self.order_id,
            "payment_link_id": self.payment_link_id,
            "plan_id": self.subscription_terms.plan_id if self.subscription_terms else None,
            "payment_intent_ids": list(self.payment_intent_ids),
            "url": self.url,
            "is_payment_in_progress": self.is_live,
            "amount_money": self.amount_money,
            "custom_fields": list(self.custom_fields),
            "custom_field_values": dict(self.custom_field_values),
            "client_reference_id": self.client_reference_id,
            "donation_frequency": self.donation_frequency,
            "subscription_terms": self.subscription_terms,
            "expires_at": self.expires_at,
            "expired_at": self.expired_at,
            "completed_at": self.completed_at,
            "metadata": dict(self.metadata),
            "merchant_id": self.merchant_id,
            "mode_environment": self.mode_environment,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def resource(self) -> CheckoutSession:
        """The session as the API shows it."""
        return CheckoutSession.model_construct(**self.fields())

    def shown(self) -> ShownSession:
        """The page's session and its latest attempt."""
        return ShownSession.model_construct(checkout_session=self.resource(), attempt=self.attempt)

    # ---- the merchant ------------------------------------------------------------------------

    def described(self, patch: Mapping[str, str | None], now: datetime) -> Session:
        """Metadata merges, `None` removes a key; allowed in every status."""
        merged = merged_metadata(self.metadata, patch)
        return self if merged == self.metadata else replace(self, metadata=merged, updated_at=now)

    def close(self, reason: str | None, now: datetime) -> tuple[Session, Facts]:
        """By the merchant. Closing a closed one again changes nothing."""
        if self.status == "closed":
            return self, []
        if self.status != "open":
            raise not_open(self.status)
        if self.is_live:
            raise resolving()
        return self._end(SessionClosed, "closed", "api", now, closed_reason=reason)

    def close_with_link(self, now: datetime) -> tuple[Session, Facts]:
        """The link went and took its sessions along, those with a payment in flight excepted."""
        if self.status != "open" or self.is_live:
            return self, []
        return self._end(SessionClosed, "closed", "api", now, closed_reason=LINK_CLOSED)

    def supersede(self, now: datetime) -> tuple[Session, Facts]:
        """A newer session of the same order takes over."""
        if self.is_live:
            raise resolving()
        return self.invalidate("superseded", now)

    # ---- the buyer ---------------------------------------------------------------------------

    def pay(self, msg: PaySession, *, attempt_id: str, now: datetime) -> tuple[Session, PayOrder]:
        """Start the one live attempt: from here on its id is the key of everything."""
        if self.status != "open":
            raise not_open(self.status)
        if self.is_live:
            raise resolving()
        if now >= self.expires_at:
            raise not_open("expired")
        if self.failed_attempts > FAILED_ATTEMPTS_MAX:
            message = "Too many payments failed on this page."
            raise Refusal("rate_limited", "RATE_LIMIT_EXCEEDED", message)
        if self._shows_an_old_total(msg):
            raise total_changed()
        refuse_incomplete(msg, self.configs)
        ask = PayOrder(
            order_id=self.order_id,
            attempt_id=attempt_id,
            checkout_session_id=self.checkout_session_id,
            payment_source_token=msg.payment_source_token,
            expected_amount_money=msg.expected_amount_money,
            payer=msg.payer,
            return_url=msg.return_url,
        )
        paying = replace(
            self,
            attempt=Attempt(attempt_id=attempt_id, status="processing", started_at=now),
            attempt_moved_at=now,
            pay_order=ask,
            ask_again_at=now + timedelta(seconds=ASK_AGAIN_SECONDS),
            asked=1,
            updated_at=now,
        )
        return paying, ask

    def _shows_an_old_total(self, msg: PaySession) -> bool:
        """Of an earlier order than is known here; of a later one the news is still on its way."""
        is_older = msg.order_revision is not None and msg.order_revision < self.order_revision
        return is_older and msg.expected_amount_money != self.amount_money

    def ask_again(self, now: datetime) -> tuple[Session, PayOrder]:
        """Orders is silent: the same request again, by the same attempt id, ever more patiently."""
        assert self.pay_order is not None, "there is something to ask"
        seconds = min(ASK_AGAIN_SECONDS * 2**self.asked, ASK_AGAIN_SECONDS_MAX)
        again = now + timedelta(seconds=seconds)
        return replace(self, asked=self.asked + 1, ask_again_at=again), self.pay_order

    # ---- what orders says --------------------------------------------------------------------

    def intent_known(self, msg: PaymentIntentFact, now: datetime) -> Session:
        """Orders has the attempt: its id is kept, and what was asked is not asked again."""
        ids = _added(self.payment_intent_ids, msg.payment_intent_id)
        known = (
            self
            if ids == self.payment_intent_ids
            else replace(self, payment_intent_ids=ids, updated_at=now)
        )
        is_mine = self.attempt is not None and self.attempt.attempt_id == msg.payment_intent_id
        if self.pay_order is None or not is_mine:
            return known
        return replace(known, pay_order=None, ask_again_at=None)

    def action_required(self, msg: PaymentIntentFact, now: datetime) -> Session:
        """The buyer has to go to the provider's page."""
        known, url = self.intent_known(msg, now), msg.next_action_url
        if known._may_move(msg.payment_intent_id, "requires_action"):
            return known._attempt_moved("requires_action", now, redirect_url=url)
        return known

    def intent_failed(self, msg: PaymentIntentFact, now: datetime) -> tuple[Session, Facts]:
        """Declined, canceled or voided: the page is open again and says why."""
        return self.intent_known(msg, now).attempt_failed(
            msg.payment_intent_id,
            code=msg.failure_code or "payment_failed",
            message=msg.failure_message or "The payment failed.",
            now=now,
        )

    def attempt_failed(
        self, attempt_id: str, *, code: str, message: str, now: datetime
    ) -> tuple[Session, Facts]:
        """No money moved. An end that waited for this attempt happens now."""
        if not self._may_move(attempt_id, "failed"):
            return self, []
        failed = self._attempt_moved(
            "failed", now, failure_code=code, failure_message=message, redirect_url=None
        )
        failed = replace(failed, failed_attempts=self.failed_attempts + 1, owed_end=None)
        return (failed, []) if self.owed_end is None else failed.invalidate(self.owed_end, now)

    def order_paid(self, msg: OrderPaid, now: datetime) -> tuple[Session, Facts]:
        """Through this session: paid. Through another, or none: nothing is left to pay here."""
        if msg.paid_session_id != self.checkout_session_id:
            return self.invalidate("order_paid_elsewhere", now)
        if self.status != "open":
            return self, []  # it stays what it was; the order keeps the money
        paid, attempt_id = msg.net_amounts.paid_money, msg.attempt_id
        has_paid = paid.amount > 0
        return self._end(
            SessionCompleted,
            "paid",
            "payment_succeeded" if has_paid else "no_payment_required",
            now,
            completed_at=now,
            amount_money=paid if has_paid else self.amount_money,
            attempt=_succeeded(self.attempt, attempt_id, now),
            attempt_moved_at=now,
            payment_intent_ids=_added(self.payment_intent_ids, attempt_id if has_paid else None),
        )

    def order_revised(self, msg: OrderFact, now: datetime) -> Session:
        """What the order owes now; an older revision that comes late is no news."""
        if self.status != "open" or msg.revision <= self.order_revision:
            return self
        balance = msg.net_amounts.balance_money
        return replace(self, amount_money=balance, order_revision=msg.revision, updated_at=now)

    def invalidate(self, reason: TerminalReason, now: datetime) -> tuple[Session, Facts]:
        """Nothing can be paid here any more; with a payment in flight only once that has failed."""
        if self.status != "open":
            return self, []
        if self.is_live:
            owed = self.owed_end or reason
            return (self if owed == self.owed_end else replace(self, owed_end=owed)), []
        return self._end(SessionInvalidated, "invalidated", reason, now)

    def expire(self, now: datetime) -> tuple[Session, Facts]:
        """Its time ran out (and no payment is in flight)."""
        if self.status != "open" or self.is_live or now < self.expires_at:
            return self, []
        return self._end(SessionExpired, "expired", "expired", now, expired_at=now)

    # ---- how it moves ------------------------------------------------------------------------

    def _may_move(self, attempt_id: str, status: AttemptStatus) -> bool:
        """Only the latest attempt moves, and only along the table."""
        if self.attempt is None or self.attempt.attempt_id != attempt_id:
            return False
        return status in ATTEMPT_MOVES[self.attempt.status]

    def _attempt_moved(self, status: AttemptStatus, now: datetime, **changes: Any) -> Session:
        assert self.attempt is not None, "only an attempt moves"
        attempt = self.attempt.model_copy(update={"status": status, **changes})
        return replace(
            self,
            attempt=attempt,
            attempt_moved_at=now,
            pay_order=None,
            ask_again_at=None,
            updated_at=now,
        )

    def _end(
        self,
        kind: type[SessionFact],
        status: SessionStatus,
        reason: TerminalReason,
        now: datetime,
        **changes: Any,
    ) -> tuple[Session, Facts]:
        assert status in MOVES[self.status], f"{self.status} is terminal"
        ended = replace(
            self,
            status=status,
            terminal_reason=reason,
            pay_order=None,
            ask_again_at=None,
            owed_end=None,
            updated_at=now,
            **changes,
        )
        assert not ended.is_live, "no session ends under a payment in flight"
        fields = ended.fields()
        return ended, [kind.model_construct(**fields, previous=changed(self.fields(), fields))]


def _added(ids: tuple[str, ...], one: str | None) -> tuple[str, ...]:
    return ids if one is None or one in ids else (*ids, one)


def _succeeded(latest: Attempt | None, attempt_id: str | None, now: datetime) -> Attempt | None:
    """The attempt that paid: the latest, or an earlier one whose money came after all."""
    if latest is not None and attempt_id in {None, latest.attempt_id}:
        cleared = {"failure_code": None, "failure_message": None, "redirect_url": None}
        return latest.model_copy(update={"status": "succeeded", **cleared})
    if attempt_id is None:
        return None
    return Attempt(attempt_id=attempt_id, status="succeeded", started_at=now)


def not_open(status: str) -> Refusal:
    """The page has ended: it can neither be paid nor closed."""
    message = f"This checkout session is {status}."
    return Refusal("conflict", "CHECKOUT_SESSION_NOT_OPEN", message)


def total_changed() -> Refusal:
    """The page was shown before the order was changed: the no of orders, but earlier."""
    message = "The price changed. Nothing was charged."
    return Refusal("conflict", "ORDER_CONFLICT", message, next_actions=("reload_order",))


def resolving() -> Refusal:
    """A payment is in flight: nobody knows yet how it ends."""
    return Refusal(
        "conflict",
        "CHECKOUT_PAYMENT_RESOLVING",
        "A payment is being processed on this checkout session.",
        next_actions=("Wait for the outcome of the payment.",),
        retryable=True,
    )
