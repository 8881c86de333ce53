"""Orders for tests: a tea shop's, with only what a test says made different."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from services.orders.ordering import contents
from services.orders.ordering.domain import Moment, Sale
from shared.contracts.base import Command, Effect, Event, Message
from shared.contracts.configs import HostedConfigs
from shared.contracts.links import (
    ClaimPlace,
    ClaimSettled,
    LinkResolved,
    Offer,
    OfferLine,
    ReleasePlace,
)
from shared.contracts.orders import CreateOrder, OrderCreateParams, PayOrder
from shared.contracts.sessions import Payer, SessionAttached, SessionClosed, SessionExpired
from shared.ids import new_ulid
from shared.money import Money, money
from shared.payments.sandbox import Sandbox
from tests.support.desk import MERCHANT, Desk, Told

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
M = TypeVar("M", bound=Message)
_numbers = count(1)  # ids of any two moments differ


def usd(amount: int) -> Money:
    return money(amount, "USD")


def a_moment(now: datetime = NOON) -> Moment:
    return Moment(now, lambda prefix: f"{prefix}_{next(_numbers):026d}")


def line(amount: int = 1200, quantity: int = 1, **more: Any) -> dict[str, Any]:
    price = {"amount": amount, "currency": "USD"}
    return {"name": "Tea", "quantity": quantity, "unit_price_money": price} | more


def creating(*lines: dict[str, Any], **more: Any) -> CreateOrder:
    params = OrderCreateParams.model_validate({"line_items": list(lines) or [line()]} | more)
    return CreateOrder(params=params)


def a_sale(*lines: dict[str, Any], at: Moment | None = None, **more: Any) -> Sale:
    params = creating(*lines, **more).params
    sale, _ = contents.from_params(params, merchant_id=MERCHANT, mode="test", at=at or a_moment())
    return sale


def resolved(*amounts: int, is_limited: bool = False, fees: int = 0, **more: Any) -> LinkResolved:
    """A buyer chose: one line for each amount, and one that covers `fees`."""
    ulid = new_ulid()
    lines = [
        OfferLine(key=f"line-{n}", name=f"Tea {n}", quantity=1, unit_price_money=usd(amount))
        for n, amount in enumerate(amounts or (1200,), 1)
    ]
    if fees:
        covering: dict[str, Any] = {"key": "fees", "name": "Covering the fees", "is_counted": False}
        lines.append(OfferLine(**covering, quantity=1, unit_price_money=usd(fees)))
    told: dict[str, Any] = {
        "checkout_session_id": f"cs_{ulid}",
        "order_id": f"ord_{ulid}",
        "payment_link_id": f"pl_{new_ulid()}",
        "merchant_id": MERCHANT,
        "mode_environment": "test",
        "offer": Offer(name="Tea", currency="USD", lines=lines, is_limited=is_limited),
        "configs": HostedConfigs(),
        "resolved_at": NOON,
    }
    return LinkResolved(**told | more)


def paying(order_id: str, token: str | None = "tok_visa", **more: Any) -> PayOrder:
    told: dict[str, Any] = {
        "order_id": order_id,
        "attempt_id": f"pi_{new_ulid()}",
        "payment_source_token": token,
        "return_url": "https://pay.example.com/c/cs_1",
    }
    return PayOrder(**told | more)


def from_page(link: LinkResolved, token: str | None = "tok_visa", **more: Any) -> PayOrder:
    payer = Payer(email="ada@example.com")
    session_id = link.checkout_session_id
    return paying(link.order_id, token, checkout_session_id=session_id, payer=payer, **more)


def _session(kind: type[M], order_id: str, **more: Any) -> M:
    told: dict[str, Any] = {
        "checkout_session_id": f"cs_{new_ulid()}",
        "status": "open",
        "source": "api",
        "order_id": order_id,
        "amount_money": usd(1200),
        "expires_at": NOON,
        "merchant_id": MERCHANT,
        "mode_environment": "test",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return kind.model_validate(told | more)


def session_attached(order_id: str, **more: Any) -> SessionAttached:
    return _session(SessionAttached, order_id, **more)


def quick_pay(amount: int = 1200, **more: Any) -> SessionAttached:
    wanted = {"name": "Tea", "amount_money": {"amount": amount, "currency": "USD"}}
    return session_attached(f"ord_{new_ulid()}", quick_pay=wanted, **more)


def session_expired(order_id: str, session_id: str, link_id: str | None = None) -> SessionExpired:
    return _session(
        SessionExpired, order_id, checkout_session_id=session_id, payment_link_id=link_id
    )


def session_closed(order_id: str, session_id: str, link_id: str | None = None) -> SessionClosed:
    return _session(
        SessionClosed, order_id, checkout_session_id=session_id, payment_link_id=link_id
    )


@dataclass
class Shop:
    """The orders room with real providers; `grants` answers for the link, nobody else talks."""

    desk: Desk
    refuses: Callable[[ClaimPlace], str | None] = lambda _: None  # why there is no place
    events: list[Event] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    sandbox: Sandbox = field(init=False)

    async def tell(self, message: Message) -> Told:
        """Handle it and everything that follows from it, until it is quiet."""
        told = await self.desk(message)
        await self.follow(told)
        return told

    async def follow(self, told: Told) -> None:
        for message in told.messages:
            answer = await self._answer(message)
            if answer is not None:
                await self.tell(answer)

    async def sweep(self) -> int:
        told = await self.desk.sweep("payments.resume_due")
        await self.follow(told)
        return int(told.reply)

    def said(self, kind: type[M]) -> list[M]:
        """All facts of that kind so far, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def _answer(self, message: Event | Command[Any] | Effect) -> Message | None:
        if isinstance(message, Effect):
            return await self.desk.room.effects[type(message)](message)
        if isinstance(message, ClaimPlace):
            return claim_settled(message, self.refuses(message))
        if isinstance(message, ReleasePlace):
            self.released.append(message.attempt_id)
        if isinstance(message, Event):
            self.events.append(message)
        return None


def claim_settled(claim: ClaimPlace, refusal_code: str | None = None) -> ClaimSettled:
    return ClaimSettled(
        attempt_id=claim.attempt_id,
        order_id=claim.order_id,
        payment_link_id=claim.payment_link_id,
        is_granted=refusal_code is None,
        refusal_code=refusal_code,
    )
