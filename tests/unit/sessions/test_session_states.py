"""Any order of anything that can happen: what a session promises holds at every moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.sessions.domain import Session
from shared.contracts.orders import OrderPaid, OrderUpdated
from shared.contracts.payments import (
    PaymentIntentCanceled,
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
)
from shared.contracts.sessions import SessionFact
from shared.errors import Refusal
from tests.builders_links import NOON
from tests.builders_sessions import (
    a_session,
    cs,
    paid_through,
    paying,
    said_of_intent,
    said_of_order,
)

ATTEMPTS = st.integers(1, 4).map(lambda number: f"pi_{number}")
TERMINAL = {"paid", "expired", "closed", "invalidated"}


class SessionLife(RuleBasedStateMachine):
    """Events are late, doubled and out of order; people press whatever they like."""

    def __init__(self) -> None:
        super().__init__()
        self.session = a_session()
        self.now = NOON
        self.started: list[str] = []
        self.facts: list[SessionFact] = []
        self.ended: Session | None = None

    def moved(self, session: Session, facts: list[Any]) -> None:
        before = self.session
        if before.is_live and session.status in {"expired", "closed", "invalidated"}:
            assert session.attempt is not None
            assert before.attempt is not None
            assert session.attempt.status == "failed", "an end came under a payment in flight"
        self.session = session
        self.facts += facts

    @rule(seconds=st.integers(1, 50_000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def pay(self) -> None:
        was_live, attempt_id = self.session.is_live, f"pi_{len(self.started) % 4 + 1}"
        try:
            session, _ = self.session.pay(paying(), attempt_id=attempt_id, now=self.now)
        except Refusal:
            return
        assert not was_live, "two payments in flight"
        assert self.now < self.session.expires_at
        self.started.append(attempt_id)
        self.moved(session, [])

    @rule(attempt=ATTEMPTS)
    def orders_has_it(self, attempt: str) -> None:
        msg = said_of_intent(PaymentIntentProcessing, attempt)
        self.moved(self.session.intent_known(msg, self.now), [])

    @rule(attempt=ATTEMPTS)
    def action(self, attempt: str) -> None:
        msg = said_of_intent(PaymentIntentRequiresAction, attempt, next_action_url="https://3ds/")
        self.moved(self.session.action_required(msg, self.now), [])

    @rule(attempt=ATTEMPTS, kind=st.sampled_from([PaymentIntentFailed, PaymentIntentCanceled]))
    def failed(self, attempt: str, kind: type[PaymentIntentFailed]) -> None:
        self.moved(*self.session.intent_failed(said_of_intent(kind, attempt), self.now))

    @rule(attempt=ATTEMPTS)
    def refused(self, attempt: str) -> None:
        self.moved(*self.session.attempt_failed(attempt, code="x", message="no", now=self.now))

    @rule(attempt=ATTEMPTS, amount=st.sampled_from([0, 1200]))
    def paid_here(self, attempt: str, amount: int) -> None:
        was_open = self.session.status == "open"
        self.moved(*self.session.order_paid(paid_through(1, attempt, amount), self.now))
        assert not was_open or self.session.status == "paid", "money came and nobody noticed"

    @rule()
    def paid_elsewhere(self) -> None:
        msg = said_of_order(OrderPaid, paid_session_id=cs(2), attempt_id="pi_9", paid_money=1)
        self.moved(*self.session.order_paid(msg, self.now))

    @rule(reason=st.sampled_from(["order_closed", "superseded"]))
    def invalidated(self, reason: Any) -> None:
        self.moved(*self.session.invalidate(reason, self.now))

    @rule()
    def expiry(self) -> None:
        self.moved(*self.session.expire(self.now))

    @rule(with_link=st.booleans())
    def closing(self, with_link: bool) -> None:
        try:
            moved = (
                self.session.close_with_link(self.now)
                if with_link
                else self.session.close(None, self.now)
            )
        except Refusal:
            return
        self.moved(*moved)

    @rule(revision=st.integers(1, 9), balance=st.integers(0, 5000))
    def revised(self, revision: int, balance: int) -> None:
        msg = said_of_order(OrderUpdated, revision=revision, balance_money=balance)
        before = self.session.order_revision
        self.moved(self.session.order_revised(msg, self.now), [])
        assert self.session.order_revision >= before

    @invariant()
    def no_terminal_session_reopens(self) -> None:
        if self.ended is not None:
            now = (self.session.status, self.session.terminal_reason, self.session.completed_at)
            assert now == (self.ended.status, self.ended.terminal_reason, self.ended.completed_at)
        elif self.session.status in TERMINAL:
            self.ended = self.session

    @invariant()
    def an_end_is_complete(self) -> None:
        is_over = self.session.status in TERMINAL
        assert is_over == (self.session.terminal_reason is not None)
        assert not (is_over and self.session.is_live)
        assert not (is_over and self.session.owed_end)

    @invariant()
    def an_end_is_said_once(self) -> None:
        assert len(self.facts) == (1 if self.session.status in TERMINAL else 0)

    @invariant()
    def only_a_live_attempt_keeps_what_the_buyer_typed(self) -> None:
        assert (self.session.pay_order is None) == (self.session.ask_again_at is None)
        assert self.session.pay_order is None or self.session.is_live
        assert self.session.owed_end is None or self.session.is_live


TestSessionLife = SessionLife.TestCase
TestSessionLife.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
