"""Whatever is lost, repeated or overtaken: an order is paid once, and only by captured money.

The real pure functions between a model provider and a model link. Every message may be
delivered late, twice, after newer ones, or (where somebody asks again) not at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.orders.ordering import contents
from services.orders.ordering import domain as ordering
from services.orders.ordering.domain import Moment
from services.orders.payments import domain
from services.orders.payments.payment import MOVES, Payment, calling
from shared.contracts.base import Message
from shared.contracts.links import ClaimPlace, ClaimSettled, ReleasePlace
from shared.contracts.orders import OrderPaid, PayOrder, ReviseOrder
from shared.contracts.payments import (
    AuthorizePayment,
    CapturePayment,
    ChargePayment,
    ChargeSettled,
    LookUpPayment,
    PaymentIntentLate,
    PaymentIntentSucceeded,
    ProviderCall,
    VoidPayment,
)
from shared.errors import Refusal
from tests.builders_orders import NOON, claim_settled, resolved

BEHAVIOURS = ("pays", "declines", "challenges", "takes_time")


@dataclass
class ModelProvider:
    """Answers by key, truthfully; money moves only here."""

    behaviours: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)  # attempt → state of its money
    answers: dict[str, str] = field(default_factory=dict)  # key of a capture or void → outcome
    taken: Counter[str] = field(default_factory=Counter)

    def call(self, msg: ProviderCall) -> str:
        attempt_id = msg.attempt_id
        if isinstance(msg, ChargePayment | AuthorizePayment):
            self._start(attempt_id, isinstance(msg, ChargePayment))
            return self._outcome(attempt_id)
        if isinstance(msg, CapturePayment):
            return self._once(f"{attempt_id}:capture", self._capture, attempt_id)
        if isinstance(msg, VoidPayment):
            if self.states.get(attempt_id) == "pending":
                return "pending"
            return self._once(f"{attempt_id}:void", self._void, attempt_id)
        assert isinstance(msg, LookUpPayment)
        return self._look_up(attempt_id, msg.step)

    def finish(self, attempt_id: str, *, well: bool) -> None:
        """The buyer at the bank, or time, decides what was open."""
        if self.states[attempt_id] in ("action_required", "pending"):
            self.states[attempt_id] = self._good(attempt_id) if well else "declined"

    def _start(self, attempt_id: str, is_charge: bool) -> None:
        if attempt_id in self.states:
            return
        behaviour = self.behaviours[attempt_id]
        self.behaviours[attempt_id] = f"{behaviour}:{'charge' if is_charge else 'authorize'}"
        first = {"declines": "declined", "challenges": "action_required", "takes_time": "pending"}
        self.states[attempt_id] = first.get(behaviour) or self._good(attempt_id)

    def _good(self, attempt_id: str) -> str:
        if self.behaviours[attempt_id].endswith(":charge"):
            self.taken[attempt_id] += 1
            return "captured"
        return "authorized"

    def _outcome(self, attempt_id: str) -> str:
        state = self.states[attempt_id]
        is_charge = self.behaviours[attempt_id].endswith(":charge")
        return {"captured": "succeeded" if is_charge else "authorized"}.get(state, state)

    def _capture(self, attempt_id: str) -> str:
        if self.states.get(attempt_id) != "authorized":
            return "declined"
        self.states[attempt_id] = "captured"
        self.taken[attempt_id] += 1
        return "succeeded"

    def _void(self, attempt_id: str) -> str:
        if self.states.get(attempt_id) == "captured":
            return "succeeded"
        if self.states.get(attempt_id) in ("authorized", "action_required"):
            self.states[attempt_id] = "voided"
        return "voided"

    def _once(self, key: str, do: Any, attempt_id: str) -> str:
        if key not in self.answers:
            self.answers[key] = do(attempt_id)
        return self.answers[key]

    def _look_up(self, attempt_id: str, step: str) -> str:
        if step in ("charge", "authorize"):
            return self._outcome(attempt_id) if attempt_id in self.states else "absent"
        return self.answers.get(f"{attempt_id}:{step}", "absent")


@dataclass
class ModelLink:
    """One answer per attempt for ever; a release leaves a tombstone."""

    places: int
    claims: dict[str, str] = field(default_factory=dict)

    def claim(self, msg: ClaimPlace) -> ClaimSettled:
        if msg.attempt_id not in self.claims:
            held = list(self.claims.values()).count("held")
            self.claims[msg.attempt_id] = "held" if held < self.places else "refused"
        is_granted = self.claims[msg.attempt_id] == "held"
        return claim_settled(msg, None if is_granted else "EVENT_SOLD_OUT")

    def release(self, msg: ReleasePlace) -> None:
        if self.claims.get(msg.attempt_id) != "refused":
            self.claims[msg.attempt_id] = "released"


class Purchase(RuleBasedStateMachine):
    """One order, every way of paying it, and a network that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOON
        self.numbers = count(1)
        self.provider = ModelProvider()
        self.payments: dict[str, Payment] = {}
        self.waiting: list[Message] = []
        self.said: Counter[type] = Counter()

    @initialize(
        is_limited=st.sampled_from([True, True, False]),
        amount=st.sampled_from([1200, 1200, 0]),
        places=st.integers(0, 2),
    )
    def open_the_order(self, is_limited: bool, amount: int, places: int) -> None:
        self.opened = resolved(amount, is_limited=is_limited)
        self.sale, _ = contents.from_link(self.opened, self.at())
        self.link = ModelLink(places)

    def at(self) -> Moment:
        return Moment(self.now, lambda prefix: f"{prefix}_{next(self.numbers)}")

    @rule(behaviour=st.sampled_from(BEHAVIOURS))
    def press_pay(self, behaviour: str) -> None:
        attempt_id = f"pi_{next(self.numbers)}"
        self.provider.behaviours[attempt_id] = behaviour
        self.deliver(
            PayOrder(
                order_id=self.opened.order_id, attempt_id=attempt_id, payment_source_token="tok"
            )
        )

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), again_later=st.booleans())
    def deliver_any(self, data: st.DataObject, again_later: bool) -> None:
        index = data.draw(st.integers(0, len(self.waiting) - 1))
        message = self.waiting[index] if again_later else self.waiting.pop(index)
        self.deliver(message)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def lose_one_that_is_asked_for_again(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.waiting) - 1))
        if not isinstance(self.waiting[index], ReleasePlace | PayOrder):
            self.waiting.pop(index)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def do_it_and_lose_the_answer(self, data: st.DataObject) -> None:
        message = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if isinstance(message, ProviderCall):
            self.provider.call(message)
            self.waiting.append(self.settled(message, "unknown"))
        else:
            self.deliver(message)

    @precondition(lambda self: self.provider.states)
    @rule(data=st.data(), well=st.booleans())
    def finish_what_is_open_at_the_provider(self, data: st.DataObject, well: bool) -> None:
        self.provider.finish(data.draw(st.sampled_from(sorted(self.provider.states))), well=well)

    @precondition(lambda self: "authorized" in self.provider.states.values())
    @rule()
    def a_hold_lapses_at_the_provider(self) -> None:
        for attempt_id, state in self.provider.states.items():
            if state == "authorized":
                self.provider.states[attempt_id] = "voided"

    @rule(seconds=st.sampled_from([1, 16, 900, 3600]))
    def time_passes_and_the_sweep_runs(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.sweep()

    @precondition(lambda self: self.payments)
    @rule(data=st.data())
    def come_back_from_the_bank(self, data: st.DataObject) -> None:
        was = self.payments[data.draw(st.sampled_from(sorted(self.payments)))]
        payment, calls = domain.ask_now(was, self.at())
        self.save(was, payment)
        self.waiting += calls

    @rule()
    def the_page_ends(self) -> None:
        session_id = self.opened.checkout_session_id
        self.sale, facts = ordering.session_ended(self.sale, session_id, self.at(), is_expired=True)
        self.tell(facts)

    @rule(percent=st.sampled_from([None, 10, 20]))
    def change_the_tip(self, percent: int | None) -> None:
        tip = None if percent is None else {"percent": percent}
        revision = self.sale.order.revision
        asked = {"order_id": "", "expected_revision": revision, "tip": tip}
        try:
            self.sale, _ = contents.revised(self.sale, ReviseOrder.model_validate(asked), self.at())
        except Refusal:
            assert self.sale.order.status != "open" or self.sale.live_attempt_id

    def deliver(self, message: Message) -> None:
        match message:
            case PayOrder():
                self.start(message)
            case ProviderCall():
                if isinstance(message, CapturePayment):
                    assert self.link.claims[message.attempt_id] == "held", "no place, no capture"
                self.waiting.append(self.settled(message, self.provider.call(message)))
            case ClaimPlace():
                self.waiting.append(self.link.claim(message))
            case ReleasePlace():
                assert message.attempt_id not in self.provider.taken, "a paid place is kept"
                self.link.release(message)
            case ChargeSettled() | ClaimSettled():
                self.settle(message)

    def start(self, message: PayOrder) -> None:
        move = domain.start(self.sale, message, self.at())
        if isinstance(move, Refusal):
            assert self.sale.order.status != "open" or self.sale.live_attempt_id
            return
        is_new = move.sale is not self.sale
        self.sale = move.sale
        if move.payment is not None:
            self.payments[message.attempt_id] = move.payment
        self.waiting += [*move.calls, message] if is_new else []  # once more, later
        self.tell(move.facts)

    def settle(self, message: ChargeSettled | ClaimSettled) -> None:
        was = self.payments[message.attempt_id]
        door = domain.settle if isinstance(message, ChargeSettled) else domain.settle_claim
        move = door(self.sale, was, message, self.at())  # type: ignore[arg-type]  # chosen above
        assert move.payment is not None
        self.save(was, move.payment)
        self.sale = move.sale
        self.waiting += move.calls
        self.tell(move.facts)

    def sweep(self) -> None:
        for attempt_id, was in sorted(self.payments.items()):
            if was.next_action_at is not None and was.next_action_at <= self.now:
                taken = replace(calling(was, self.at()), version=was.version + 1)
                payment, calls = domain.resume(taken, self.at())
                self.save(taken, payment)
                self.payments[attempt_id] = payment
                self.waiting += calls

    def save(self, was: Payment, payment: Payment) -> None:
        if payment is not was:
            assert payment.version == was.version + 1, "one change, one version"
            assert payment.phase == was.phase or payment.phase in MOVES[was.phase]
            assert not was.has_ended or payment.phase in (was.phase, "succeeded")
        self.payments[payment.intent.payment_intent_id] = payment

    def settled(self, msg: ProviderCall, outcome: str) -> ChargeSettled:
        steps = {"ChargePayment": "charge", "AuthorizePayment": "authorize"}
        steps |= {"CapturePayment": "capture", "VoidPayment": "void"}
        step = msg.step if isinstance(msg, LookUpPayment) else steps[type(msg).__name__]
        told = {
            "attempt_id": msg.attempt_id,
            "order_id": msg.order_id,
            "step": step,
            "outcome": outcome,
            "attempt_version": msg.attempt_version,
            "provider_ref": None if outcome in ("unknown", "absent") else f"ref_{msg.attempt_id}",
            "redirect_url": "https://bank.example/3ds" if outcome == "action_required" else None,
        }
        return ChargeSettled.model_validate(told)

    def tell(self, facts: Any) -> None:
        self.said.update(type(fact) for fact in facts)

    @invariant()
    def the_order_is_paid_once_and_only_by_money_in_hand(self) -> None:
        if not hasattr(self, "sale"):
            return
        assert sum(self.provider.taken.values()) <= 1
        assert self.said[OrderPaid] == (self.sale.order.status == "paid")
        assert self.said[PaymentIntentSucceeded] <= 1
        assert self.said[PaymentIntentLate] == 0
        succeeded = [one for one in self.payments.values() if one.phase == "succeeded"]
        charged = [one for one in succeeded if not one.is_free]
        assert len(succeeded) <= 1
        assert {one.intent.payment_intent_id for one in charged} <= set(self.provider.taken)

    @invariant()
    def one_payment_at_a_time_and_the_order_knows_it(self) -> None:
        live = [name for name, one in self.payments.items() if not one.has_ended]
        if hasattr(self, "sale"):
            assert live == ([self.sale.live_attempt_id] if self.sale.live_attempt_id else [])
            net = self.sale.order.net_amounts
            last = self.sale.order.activities[-1].running_balance.amount
            paid = net.paid_money.amount
            assert last == self.sale.balance == net.total_money.amount - paid

    def teardown(self) -> None:
        """Once the network is well again everything ends, and the books agree."""
        if not hasattr(self, "sale"):
            return
        for _ in range(60):
            while self.waiting:
                self.deliver(self.waiting.pop(0))
            for attempt_id in self.provider.states:
                if self.provider.states[attempt_id] == "pending":
                    self.provider.finish(attempt_id, well=True)
            self.now += timedelta(seconds=61)
            self.sweep()
        assert all(one.has_ended for one in self.payments.values())
        is_charged = bool(self.provider.taken)
        assert is_charged == (self.sale.order.net_amounts.paid_money.amount > 0)
        assert "authorized" not in self.provider.states.values(), "no hold is left behind"
        held = [name for name, state in self.link.claims.items() if state == "held"]
        assert held == ([self.sale.paid_attempt_id] if self._has_place() else [])

    def _has_place(self) -> bool:
        return self.sale.is_limited and self.sale.order.status == "paid"


TestPurchase = Purchase.TestCase
TestPurchase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
