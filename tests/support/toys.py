"""A toy room for the bus's own tests: it counts toys in one table, and breaks on demand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.bus.room import BUS_MIGRATIONS, Room, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Command, Effect, Event, Query
from shared.contracts.types import Resource
from shared.errors import Refusal, Unavailable

MIGRATIONS: Final = Path(__file__).parent / "toy_migrations"


class ToyMade(Event, topic="toy.made", subject="toy_id"):
    toy_id: str
    trouble: str = ""


class ToyPainted(Event, topic="toy.painted", subject="toy_id", public=False):
    toy_id: str
    colour: str


class ToyCount(Resource):
    count: int


class MakeToy(Command[ToyCount], topic="toys.make"):
    toy_id: str
    trouble: str = ""


class CountToys(Query[ToyCount], topic="toys.count"):
    pass


class PaintToy(Effect, topic="toys.paint"):
    toy_id: str
    colour: str


@dataclass
class Toys:
    """One receiver's room, and what it saw; `gate` holds handlers that wait for it."""

    seen: list[str] = field(default_factory=list)
    failures_left: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    def room(self) -> Room:
        return Room(
            name="toys",
            handlers={
                ToyMade: self.on_made,
                ToyPainted: self.on_painted,
                MakeToy: self.make,
                CountToys: self.count,
            },
            effects={PaintToy: self.paint},
            sweeps=(Sweep("toys.sweep", 0.2, self.sweep),),
            migrations=(BUS_MIGRATIONS, MIGRATIONS),
        )

    async def make(self, msg: MakeToy, tx: Tx) -> ToyCount:
        await self._trouble(msg.trouble)
        await _add(tx, msg.toy_id)
        tx.emit(ToyMade(toy_id=msg.toy_id))
        return ToyCount(count=await _count(tx))

    async def on_made(self, msg: ToyMade, tx: Tx) -> None:
        self.seen.append(msg.toy_id)
        await _add(tx, f"heard-{msg.toy_id}")
        await self._trouble(msg.trouble)

    async def on_painted(self, msg: ToyPainted, tx: Tx) -> None:
        await _add(tx, f"{msg.colour}-{msg.toy_id}")

    async def count(self, _: CountToys, tx: Tx) -> ToyCount:
        return ToyCount(count=await _count(tx))

    async def paint(self, msg: PaintToy) -> ToyPainted:
        await self._trouble("")
        return ToyPainted(toy_id=msg.toy_id, colour=msg.colour)

    async def sweep(self, tx: Tx) -> int:
        tag = await tx.db.execute("UPDATE toys SET swept = true WHERE NOT swept")
        return int(tag.split()[-1])

    async def _trouble(self, trouble: str) -> None:
        if trouble == "refuse":
            raise Refusal("conflict", "TOY_REFUSED", "No such toys here.", param="toy_id")
        if trouble == "bug":
            raise KeyError("a bug")
        if trouble == "wait":
            self.entered.set()
            await self.gate.wait()
        if trouble == "outage" and self.failures_left > 0:
            self.failures_left -= 1
            raise Unavailable("the world is silent")


async def _add(tx: Tx, toy_id: str) -> None:
    await tx.db.execute("INSERT INTO toys (toy_id) VALUES ($1)", toy_id)


async def _count(tx: Tx) -> int:
    return int(await tx.db.fetchval("SELECT count(*) FROM toys"))
