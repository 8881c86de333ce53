"""Looking at a checkout as a buyer does: its session and its order, side by side, and its state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeVar

from aiohttp import web

from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages.answer import context_of
from shared.bus.caller import Answer
from shared.contracts.base import Context
from shared.contracts.orders import Order, ShowOrder
from shared.contracts.sessions import Attempt, CheckoutSession, ShownSession, ShowSession
from shared.errors import Refusal, not_found
from shared.ids import is_id, minted_at, ulid_of
from shared.telemetry.scope import about_session

T = TypeVar("T")
YOUNG_SECONDS: Final = 15.0  # so long an id may be on its way through the bus
SOON_SECONDS: Final = 3.0
ARRIVING: Final = ("checkout_session.created", "order.created")
NEWBORN_SECONDS: Final = 0.03
SKEW_SECONDS: Final = 5.0  # between the clocks of replicas

Standing = Literal["preparing", "open", "processing", "action", "paid", "ended"]
SHOWING_ORDER: Final = frozenset[Standing]({"open", "processing", "paid"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. `order` is None while orders has not made it yet."""

    session: CheckoutSession
    attempt: Attempt | None
    order: Order | None


def stage(session: CheckoutSession, attempt: Attempt | None, now: datetime) -> Standing:
    """Where the session is, whether or not its order is there to be shown.

    Time alone expires it, before any sweep has said so.
    """
    if session.status != "open":
        return "paid" if session.status == "paid" else "ended"
    if attempt and attempt.status == "processing":
        return "processing"
    if attempt and attempt.status == "requires_action":
        return "action" if attempt.redirect_url else "processing"
    return "ended" if session.expires_at <= now else "open"


def standing(seen: Seen, now: datetime) -> Standing:
    """What a buyer can do now; a page that shows the order has to wait for it."""
    at = stage(seen.session, seen.attempt, now)
    is_early = seen.order is None and at in SHOWING_ORDER
    return "preparing" if is_early else at


def id_of(request: web.Request) -> str:
    """The session's id in the path; a malformed one looks like an unknown one."""
    checkout_session_id = request.match_info["checkout_session_id"]
    if not is_id(checkout_session_id, "cs"):
        raise not_found("checkout session")
    about_session(checkout_session_id)
    return checkout_session_id


async def look(request: web.Request, checkout_session_id: str) -> Seen | None:
    """What sessions and orders say at this moment; None while there is no such session."""
    gateway, context = request.app[GATEWAY], context_of(request)
    shared_id = f"ord_{ulid_of(checkout_session_id)}"
    shown, order = await asyncio.gather(
        show_session(gateway, checkout_session_id, context),
        show_order(gateway, shared_id, context),
    )
    if shown is None:
        return None
    session = shown.checkout_session
    if session.order_id != shared_id:  # Made over the API for an order that was there before.
        order = await show_order(gateway, session.order_id, context)
    return Seen(session, shown.attempt, order)


async def look_patiently(request: web.Request, checkout_session_id: str) -> Seen | None:
    """The same, but what was resolved seconds ago and is still on its way is waited for."""
    gateway = request.app[GATEWAY]
    if not is_young(checkout_session_id, gateway.clock()):
        return await look(request, checkout_session_id)

    async def look_again() -> Seen | None:
        found = await look(request, checkout_session_id)
        return found if _is_whole(found) else None

    # Milliseconds after the resolve nothing can be there yet: its news comes first.
    is_newborn = is_young(checkout_session_id, gateway.clock(), NEWBORN_SECONDS)
    whole = await gateway.hub.until(
        checkout_session_id,
        look_again,
        seconds=SOON_SECONDS,
        topics=ARRIVING,
        pause_seconds=NEWBORN_SECONDS if is_newborn else 0.0,
    )
    return whole or await look(request, checkout_session_id)


def is_young(identifier: str, now: datetime, seconds: float = YOUNG_SECONDS) -> bool:
    """Whether it was minted so lately that its rows may still be on their way."""
    age_seconds = (now - minted_at(identifier)).total_seconds()
    return -SKEW_SECONDS < age_seconds < seconds


async def show_session(
    gateway: Gateway, checkout_session_id: str, context: Context
) -> ShownSession | None:
    """The session and its latest attempt; None for an unknown one."""
    query = ShowSession(checkout_session_id=checkout_session_id)
    return await _or_none(gateway.caller.call(query, context=context))


async def show_order(gateway: Gateway, order_id: str, context: Context) -> Order | None:
    """The order; None for an unknown one."""
    return await _or_none(gateway.caller.call(ShowOrder(order_id=order_id), context=context))


def _is_whole(seen: Seen | None) -> bool:
    return seen is not None and (seen.order is not None or seen.session.status != "open")


async def _or_none(asked: Awaitable[Answer[T]]) -> T | None:
    try:
        return (await asked).value
    except Refusal as refusal:
        if refusal.kind != "not_found":
            raise
        return None
