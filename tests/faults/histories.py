"""A shop's whole books as a few buyers leave them: five databases, and who is who in them.

The rooms run in this process on databases made by migrations only.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

from services.auditing import audit
from services.rooms import DATABASES, ROLES, migration_folders, room_of
from shared.bus.local import LocalTransport
from shared.bus.service import Service
from shared.contracts.base import Command, Context
from shared.contracts.link_requests import PaymentLinkCreateParams
from shared.contracts.links import Choices, CreateLink, ResolveLink
from shared.contracts.plans import UpdatePlan
from shared.contracts.sessions import (
    CloseCheckoutSessionParams,
    CloseSession,
    Payer,
    PaySession,
    ShowSession,
)
from shared.db.pool import open_pool
from shared.errors import Refusal
from shared.money import money
from shared.payments.registry import ProviderSettings, open_providers
from tests.builders_plans import creating
from tests.support.postgres import Databases
from tests.support.rigs import eventually
from tests.support.selling import TEA

ORIGIN: Final = "https://pay.example.com"
CONTEXT: Final = Context("mer_01JZZZZZZZZZZZZZZZZZZZZZZA", "test", "req_history")


class Market:
    """Rooms on one local transport, and buyers who come one after the other."""

    def __init__(self, transport: LocalTransport) -> None:
        self._transport = transport
        self._visits = 0

    async def ask(self, command: Command[Any]) -> Any:
        return (await self._transport.call(command, context=CONTEXT)).value

    async def plan(self) -> str:
        """A plan as a merchant made and then renamed it."""
        plan = await self.ask(creating(name="Tea club"))
        await self.ask(UpdatePlan(plan_id=plan.plan_id, params={"name": "Tea society"}))
        return str(plan.plan_id)

    async def link(self, **params: Any) -> str:
        made = {"name": "Tea", "line_items": [TEA], **params}
        command = CreateLink(params=PaymentLinkCreateParams.model_validate(made))
        return str((await self.ask(command)).payment_link_id)

    async def visit(self, link_id: str) -> str:
        """A buyer opens the link; the session's id, once its page can be shown."""
        self._visits += 1
        made = await self.ask(
            ResolveLink(
                payment_link_id=link_id,
                context_id=f"visit-{self._visits}",
                context_version=1,
                choices=Choices(),
            )
        )
        await self._seen(made.checkout_session_id, "open", None)
        return str(made.checkout_session_id)

    async def pay(self, session_id: str, *tokens: str) -> list[str]:
        """Try the cards in turn; the id of each attempt, once it is decided."""
        attempts = []
        for token in tokens:
            command = PaySession(
                checkout_session_id=session_id,
                payment_source_token=token,
                expected_amount_money=money(1200, "USD"),
                payer=Payer(email="ada@example.com"),
                return_url=f"{ORIGIN}/c/{session_id}/return",
            )
            attempt_id = (await self.ask(command)).attempt_id
            is_good = token == "tok_visa"
            status, end = ("paid", "succeeded") if is_good else ("open", "failed")
            await self._seen(session_id, status, (attempt_id, end))
            attempts.append(attempt_id)
        return attempts

    async def close(self, session_id: str) -> None:
        params = CloseCheckoutSessionParams(reason="The guest left.")
        await self.ask(CloseSession(checkout_session_id=session_id, params=params))

    async def _seen(self, session_id: str, status: str, attempt: tuple[str, str] | None) -> None:
        async def is_seen() -> bool:
            try:
                shown = await self.ask(ShowSession(checkout_session_id=session_id))
            except Refusal:
                return False
            is_status = shown.checkout_session.status == status
            last = shown.attempt and (shown.attempt.attempt_id, shown.attempt.status)
            return is_status and last == attempt

        await eventually(is_seen)


async def make_history(databases: Databases) -> tuple[dict[str, str], dict[str, str]]:
    """Addresses by database, ids by what they are. Nobody is connected any more."""
    dsns = {name: await databases.create(migration_folders()[name]) for name in DATABASES}
    async with AsyncExitStack() as stack:
        settings = ProviderSettings(ORIGIN, dsns["sandbox"])
        providers = await stack.enter_async_context(open_providers(settings))
        rooms = [room_of(role, providers=providers) for role in ROLES]
        transport, stop = LocalTransport(rooms), asyncio.Event()
        running = []
        for room in rooms:
            pool = await open_pool(dsns[room.name], name=room.name, size=4)
            stack.push_async_callback(pool.close)
            service = Service(room, pool, transport, public_url=ORIGIN)
            running.append(asyncio.create_task(service.run(stop)))
        ids = await _live_a_day(Market(transport))
        report = await audit(dsns, ORIGIN, 20)
        assert report.is_clean, report.lines()
        stop.set()
        await asyncio.gather(*running)
    return dsns, ids


async def _live_a_day(market: Market) -> dict[str, str]:
    tea, pot = await market.link(), await market.link(max_completions=2)
    paid = await market.visit(tea)
    (paid_attempt,) = await market.pay(paid, "tok_visa")
    retried = await market.visit(tea)
    failed_first, _ = await market.pay(retried, "tok_declined", "tok_visa")
    unpaid = await market.visit(tea)
    (failed,) = await market.pay(unpaid, "tok_declined")
    closed = await market.visit(tea)
    await market.close(closed)
    placed = await market.visit(pot)
    (placed_attempt,) = await market.pay(placed, "tok_visa")
    gala = await market.link(mode="event", line_items=[TEA | {"max_total_quantity": 5}])
    plan = await market.plan()
    seated, seatless = await market.visit(gala), await market.visit(gala)
    await market.pay(seated, "tok_visa")
    sessions = {
        "paid": paid,
        "retried": retried,
        "unpaid": unpaid,
        "closed": closed,
        "placed": placed,
        "seated": seated,
        "seatless": seatless,
    }
    return {
        "tea": tea,
        "pot": pot,
        "gala": gala,
        "plan": plan,
        "paid_attempt": paid_attempt,
        "failed_first": failed_first,
        "failed": failed,
        "placed_attempt": placed_attempt,
        **sessions,
        **{f"{name}_order": one.replace("cs_", "ord_") for name, one in sessions.items()},
    }
