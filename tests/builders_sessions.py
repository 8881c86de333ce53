"""Sessions for tests, and what orders says about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from services.sessions import opening
from services.sessions.domain import Session
from shared.contracts.configs import HostedConfigs
from shared.contracts.links import LinkResolved, Offer, OfferLine
from shared.contracts.orders import AttemptRefused, NetAmounts, OrderFact, OrderPaid
from shared.contracts.payments import PaymentIntentFact, PaymentIntentFailed
from shared.contracts.sessions import (
    CheckoutSessionCreateParams,
    CreateSession,
    Payer,
    PaySession,
    ShownSession,
    ShowSession,
)
from shared.money import money
from tests.builders_links import NEVER, NOON, usd
from tests.support.desk import MERCHANT, ORIGIN, Desk

F = TypeVar("F", bound=OrderFact)
I = TypeVar("I", bound=PaymentIntentFact)  # noqa: E741  (an intent's fact)
DAY = timedelta(days=1)
LATER = NOON + timedelta(minutes=1)


def ulid(number: int = 1) -> str:
    return f"01J{number:023d}"


def cs(number: int = 1) -> str:
    return f"cs_{ulid(number)}"


def ord_(number: int = 1) -> str:
    return f"ord_{ulid(number)}"


def resolved(number: int = 1, *, amount: int = 1200, link: str = NEVER, **given: Any):
    line = OfferLine(key="tea", name="Tea", quantity=1, unit_price_money=money(amount, "USD"))
    configs = {name: given.pop(name) for name in list(given) if name in HostedConfigs.model_fields}
    return LinkResolved.model_construct(
        checkout_session_id=cs(number),
        order_id=ord_(number),
        payment_link_id=link,
        merchant_id=MERCHANT,
        mode_environment="test",
        configs=HostedConfigs.model_validate(configs),
        **{
            "offer": Offer(name="Tea", currency="USD", lines=[line]),
            "resolved_at": NOON,
            **given,
        },
    )


def a_session(number: int = 1, **given: Any) -> Session:
    state = {name: given.pop(name) for name in list(given) if name in Session.__slots__}
    session, _ = opening.by_link(resolved(number, **given), origin=ORIGIN)
    return replace(session, **state)


def creating(balance: int | None = None, **given: Any) -> CreateSession:
    return CreateSession(
        params=CheckoutSessionCreateParams.model_validate(given),
        order_balance_money=None if balance is None else money(balance, "USD"),
    )


def quick(amount: int = 1200) -> dict[str, Any]:
    return {"name": "Tea", "amount_money": usd(amount)}


def paying(session_id: str = cs(), **given: Any) -> PaySession:
    words = {"payment_source_token": "tok_visa", "expected_amount_money": usd(1200)}
    return PaySession.model_validate({"checkout_session_id": session_id} | words | given)


def payer(**given: Any) -> dict[str, Any]:
    return Payer.model_validate(given).model_dump(exclude_none=True)


def said_of_order(kind: type[F], number: int = 1, **given: Any) -> F:
    zero = money(0, "USD")
    amounts = {name: given.pop(name, 0) for name in NetAmounts.model_fields}
    status = "paid" if kind is OrderPaid else "open"
    words: dict[str, Any] = {
        "order_id": ord_(number),
        "order_number": str(number),
        "status": status,
        "net_amounts": NetAmounts(
            **{name: money(amount, zero.currency) for name, amount in amounts.items()}
        ),
        "source": "payment_link",
        "merchant_id": MERCHANT,
        "mode_environment": "test",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return kind(**(words | given))


def paid_through(number: int, attempt_id: str, amount: int = 1200, **given: Any) -> OrderPaid:
    return said_of_order(
        OrderPaid,
        number,
        attempt_id=attempt_id,
        paid_session_id=cs(number),
        paid_money=amount,
        **given,
    )


def said_of_intent(kind: type[I], attempt_id: str, number: int | None = 1, **given: Any) -> I:
    words: dict[str, Any] = {
        "payment_intent_id": attempt_id,
        "amount_money": money(1200, "USD"),
        "status": "processing",
        "order_id": ord_(number or 1),
        "checkout_session_id": None if number is None else cs(number),
        "source": "checkout",
        "merchant_id": MERCHANT,
        "mode_environment": "test",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return kind(**(words | given))


def refused(attempt_id: str, number: int = 1, code: str = "ORDER_CONFLICT") -> AttemptRefused:
    return AttemptRefused(
        attempt_id=attempt_id,
        order_id=ord_(number),
        checkout_session_id=cs(number),
        failure_code=code,
        failure_message="The price changed.",
    )


def paying_session(attempt_id: str = "pi_1", **given: Any) -> Session:
    session, _ = a_session(**given).pay(paying(), attempt_id=attempt_id, now=NOON)
    return session


def failed(session: Session, attempt_id: str = "pi_1", **given: Any):
    msg = said_of_intent(PaymentIntentFailed, attempt_id, **given)
    return session.intent_failed(msg, LATER)


async def shown(sessions: Desk, number: int = 1) -> ShownSession:
    reply = (await sessions(ShowSession(checkout_session_id=cs(number)))).reply
    assert isinstance(reply, ShownSession)
    return reply


async def status(sessions: Desk, number: int = 1) -> str:
    return (await shown(sessions, number)).checkout_session.status


async def pressed_pay(sessions: Desk, number: int = 1) -> str:
    """A buyer pays: the id of the attempt."""
    return str((await sessions(paying(cs(number)))).reply.attempt_id)
