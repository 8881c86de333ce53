"""A room's handlers over a real database, without a bus: one message, one transaction.

Whatever is said or answered crosses the wire's codec, so a test sees what a listener would see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.bus.caller import reply_adapter
from shared.bus.room import Room, Sweep
from shared.bus.tx import Said, Tx
from shared.contracts.base import Command, Context, Effect, Event, Message, Query
from shared.db.pool import Pool, UniqueViolation, connection, transaction

M = TypeVar("M", bound=Message)
MERCHANT = "mer_01JZZZZZZZZZZZZZZZZZZZZZZA"
ORIGIN = "https://pay.example.com"


@dataclass
class Told:
    """What came of one message: its answer, and what was said."""

    reply: Any = None
    said: list[Said] = field(default_factory=list)

    @property
    def messages(self) -> list[Event | Command[object] | Effect]:
        return [one.message for one in self.said]

    def only(self, kind: type[M]) -> M:
        """The one message said, which is of that kind."""
        assert [type(one) for one in self.messages] == [kind]
        (message,) = self.messages
        assert isinstance(message, kind)
        return message

    def topics(self) -> list[str]:
        return [one.topic for one in self.messages]


class Desk:
    """`await desk(message)`; the clock stands still until `later` is called."""

    def __init__(self, room: Room, pool: Pool, now: datetime) -> None:
        self.room = room
        self.pool = pool
        self.now = now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def __call__(
        self, message: Message, *, merchant_id: str = MERCHANT, mode: str = "test"
    ) -> Told:
        context = Context(merchant_id, mode, "req_test")  # type: ignore[arg-type]  # a test's word
        for _ in range(4):
            try:
                return await self._once(message, context)
            except UniqueViolation:
                continue  # as the bus does: another copy won, look again
        raise AssertionError("the same key is violated again and again")

    async def sweep(self, name: str) -> Told:
        """One round of a sweep; the answer is how many rows it took."""
        (sweep,) = [one for one in self.room.sweeps if one.name == name]
        return await self._swept(sweep)

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        async with connection(self.pool) as db:
            return [dict(row) for row in await db.fetch(sql, *args)]

    async def _once(self, message: Message, context: Context) -> Told:
        handler = self.room.handlers[type(message)]
        sent = type(message).model_validate_json(message.to_json())
        opened = connection if isinstance(message, Query) else transaction
        async with opened(self.pool) as db:
            tx = Tx(db, self.now, context, public_url=ORIGIN)
            reply = await handler(sent, tx)
        if isinstance(message, Command):
            codec = reply_adapter(type(message))
            reply = codec.validate_json(codec.dump_json(reply, exclude_none=True))
        return Told(reply, [_received(said) for said in tx.said])

    async def _swept(self, sweep: Sweep) -> Told:
        async with transaction(self.pool) as db:
            tx = Tx(db, self.now, Context(), public_url=ORIGIN)
            taken = await sweep.run(tx)
        return Told(taken, [_received(said) for said in tx.said])


def _received(said: Said) -> Said:
    kind = type(said.message)
    return Said(kind.model_validate_json(said.message.to_json()), said.context)
