"""What a fault test sees and does: facts in the databases, locks that stop a handler in the
middle, lines that hold messages back, and time that passes without waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aio_pika
import asyncpg
from pamqp.commands import Queue

from services.rooms import ROLES, all_rooms
from shared.bus.topology import topology
from shared.db.embedded import EmbeddedPostgres
from tests.faults.buyers import Page, order_of
from tests.support import selling
from tests.support.proxy import Proxy
from tests.support.rabbit_node import RabbitNode
from tests.support.rigs import eventually
from tests.support.shops import Shop

FACT_SECONDS: Final = 30.0
PUBLISHING: Final = b"-publish"  # how a service names its two connections to the broker
CONSUMING: Final = b"-consume"
# The test before may have left the shop on its way up again.
a_link: Final = partial(selling.a_link, seconds=FACT_SECONDS)


@dataclass
class Broken:
    """A shop over RabbitMQ whose lines, broker and PostgreSQL are ours to break."""

    shop: Shop
    lines: dict[str, Proxy]
    node: RabbitNode
    postgres: EmbeddedPostgres

    async def heal(self) -> None:
        """Everything runs again and nothing is held back."""
        for role in self.shop.processes:
            self.lines[role].resume()
        missing = [role for role in ROLES if role not in self.shop.processes]
        if missing:
            await self.restart(*missing)

    async def restart(self, *roles: str) -> None:
        """Start again what was killed, on lines that hold nothing back."""
        for role in roles:
            self.lines[role].cut()
            self.lines[role].resume()
        await self.shop.start(*roles)
        for role in roles:
            await self.until_consumed(f"{role}.in")

    async def until_consumed(self, queue: str, *, by: int = 1) -> None:
        """Wait until so many take from it; `/readyz` is the gateway's alone."""

        async def are_there() -> bool:
            return bool((await self._declared(queue)).consumer_count == by)

        await eventually(are_there, FACT_SECONDS)

    async def waiting_in(self, queue: str) -> int:
        """Messages that nobody holds."""
        return int((await self._declared(queue)).message_count or 0)

    async def dead_letters(self) -> int:
        """What nobody could handle, in all parking queues and databases."""
        names = [spec.name for spec in topology(all_rooms()) if spec.name.endswith(".parking")]
        parked = sum([await self.waiting_in(name) for name in names])
        kept = [await value(self.shop, role, "SELECT count(*) FROM dead_letters") for role in ROLES]
        return parked + int(sum(kept))

    async def _declared(self, queue: str) -> Queue.DeclareOk:
        connection = await aio_pika.connect(self.shop.amqp_url, timeout=10)
        async with connection:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, passive=True, timeout=5)
            found: Queue.DeclareOk = declared.declaration_result
        return found


@contextlib.asynccontextmanager
async def connected(shop: Shop, database: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A stranger's connection to one of the shop's databases."""
    db = await asyncpg.connect(shop.database_url(database), timeout=10)
    try:
        yield db
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await db.close(timeout=2)


async def value(shop: Shop, database: str, sql: str, *args: Any) -> Any:
    """One value, now."""
    async with connected(shop, database) as db:
        return await db.fetchval(sql, *args)


async def fact(shop: Shop, database: str, sql: str, *args: Any) -> Any:
    """The value once it is true."""
    async with connected(shop, database) as db:

        async def is_so() -> Any:
            return await db.fetchval(sql, *args)

        is_so.__name__ = f"{sql} {args}"
        return await eventually(is_so, FACT_SECONDS)


async def leases_end(shop: Shop, *roles: str) -> None:
    """As if the ten seconds were over for which a dead process holds what it wanted to publish."""
    for role in roles:
        await value(shop, role, "UPDATE outbox SET lease_until = now() - interval '1 second'")


async def answers_are_late(shop: Shop) -> None:
    """As if the fifteen seconds were over after which a payment without an answer is asked for."""
    sql = "UPDATE payment_intents SET next_action_at = now() WHERE next_action_at IS NOT NULL"
    await value(shop, "orders", sql)


@contextlib.asynccontextmanager
async def locked(shop: Shop, database: str, sql: str, *args: Any) -> AsyncIterator[Lock]:
    """Whoever wants what this statement locks has to wait; the server itself may go meanwhile."""
    async with connected(shop, database) as db:
        await db.execute("BEGIN")
        await db.fetch(sql, *args) if args else await db.execute(sql)
        pid = await db.fetchval("SELECT pg_backend_pid()")
        yield Lock(shop, database, pid)


@dataclass(frozen=True)
class Lock:
    """A lock that is held."""

    shop: Shop
    database: str
    pid: int

    async def until_wanted(self, by: asyncio.Task[Page]) -> None:
        """Wait until a handler stands before it because of this request."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))"
        try:
            await fact(self.shop, self.database, sql, self.pid)
        except AssertionError:
            page = by.result() if by.done() else None
            raise AssertionError(f"nobody wanted it; {page}\n{self.shop.logs()}") from None


# What became of a session's order: the same questions at the end of every test.


async def attempts(shop: Shop, session_id: str) -> list[str]:
    """Every try to pay for it that orders knows."""
    async with connected(shop, "orders") as db:
        rows = await db.fetch(
            "SELECT id FROM payment_intents WHERE order_id = $1", order_of(session_id)
        )
    return [row["id"] for row in rows]


async def charges(shop: Shop, session_id: str) -> list[tuple[str, int]]:
    """The provider's own lines about it: what was done, and with how much."""
    async with connected(shop, "sandbox") as db:
        rows = await db.fetch(
            "SELECT kind, amount_minor FROM sandbox_ledger"
            " WHERE attempt_id = ANY($1::text[]) ORDER BY entry",
            await attempts(shop, session_id),
        )
    return [(row["kind"], row["amount_minor"]) for row in rows]


async def until_pending(shop: Shop, session_id: str) -> None:
    """The provider has its payment, and will say later what became of it."""
    begun = "SELECT true FROM payment_intents WHERE order_id = $1"
    await fact(shop, "orders", begun, order_of(session_id))
    slow = "SELECT true FROM sandbox_payments WHERE state = 'pending' AND attempt_id = ANY($1)"
    await fact(shop, "sandbox", slow, await attempts(shop, session_id))


async def said_once(shop: Shop, subject: str, kind: str) -> bool:
    """Wait for a fact about somebody; whether it was said exactly once."""
    sql = "SELECT count(*) FROM events WHERE subject = $1 AND type = $2"
    return bool(await fact(shop, "gateway", sql, subject, kind) == 1)


async def until_paid(shop: Shop, session_id: str) -> None:
    """The order is paid, its page told, and it was said exactly once."""
    status = "SELECT status = 'paid' FROM orders WHERE id = $1"
    await fact(shop, "orders", status, order_of(session_id))
    status = "SELECT status = 'paid' FROM sessions WHERE checkout_session_id = $1"
    await fact(shop, "sessions", status, session_id)
    assert await said_once(shop, order_of(session_id), "order.paid")
    assert await said_once(shop, session_id, "checkout_session.completed")
