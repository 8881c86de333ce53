"""Payments for tests: under way, without a database, with the answers a test lets them hear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.orders.ordering import contents
from services.orders.ordering.domain import Sale
from services.orders.payments import domain
from services.orders.payments.answers import Move
from services.orders.payments.payment import Payment
from shared.contracts.links import ClaimPlace
from shared.contracts.payments import ChargeSettled
from shared.errors import Refusal
from tests.builders_orders import (
    NOON,
    a_moment,
    a_sale,
    claim_settled,
    from_page,
    line,
    paying,
    resolved,
)


@dataclass
class Case:
    """A payment under way, as the handlers would carry it."""

    sale: Sale
    payment: Payment
    last: Move

    @property
    def facts(self) -> list[type]:
        return [type(fact) for fact in self.last.facts]

    @property
    def calls(self) -> list[type]:
        return [type(call) for call in self.last.calls]

    @property
    def intent(self):
        return self.payment.intent

    def hear(self, outcome: str, step: str | None = None, *, now: Any = NOON, **more: Any) -> Case:
        msg = ChargeSettled.model_validate(
            {
                "attempt_id": self.intent.payment_intent_id,
                "order_id": self.intent.order_id,
                "step": step or self.payment.phase,
                "outcome": outcome,
                "provider_ref": "sbx_1",
                "attempt_version": self.payment.version,
            }
            | more
        )
        return self._then(domain.settle(self.sale, self.payment, msg, a_moment(now)))

    def place(self, refusal_code: str | None = None) -> Case:
        claim = ClaimPlace(
            attempt_id=self.intent.payment_intent_id,
            order_id=self.intent.order_id or "",
            payment_link_id=self.payment.payment_link_id or "",
        )
        answer = claim_settled(claim, refusal_code)
        return self._then(domain.settle_claim(self.sale, self.payment, answer, a_moment()))

    def sweep(self, now: Any) -> Case:
        payment, calls = domain.resume(self.payment, a_moment(now))
        return Case(self.sale, payment, Move(self.sale, payment, (), calls))

    def _then(self, move: Move) -> Case:
        assert move.payment is not None
        return Case(move.sale, move.payment, move)


def begun(move: Move | Refusal) -> Case:
    assert isinstance(move, Move)
    assert move.payment is not None
    return Case(move.sale, move.payment, move)


def charging(amount: int = 1200) -> Case:
    sale = a_sale(line(amount))
    return begun(domain.start(sale, paying(sale.order.order_id), a_moment()))


def limited(amount: int = 1200) -> Case:
    link = resolved(amount, is_limited=True)
    sale, _ = contents.from_link(link, a_moment())
    return begun(domain.start(sale, from_page(link), a_moment()))


def capturing() -> Case:
    return limited().hear("authorized").place()
