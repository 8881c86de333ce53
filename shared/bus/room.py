"""A room's public face: what it handles, what it does by itself, and where its tables come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from shared.bus.tx import Tx
from shared.contracts.base import Effect, Envelope, Event, Message
from shared.db.pool import Connection

# A database handler: (message, tx) → the reply of a command or query, nothing for an event.
Handler: TypeAlias = Callable[[Any, Tx], Awaitable[Any]]
# A world handler: (effect) → the event that answers it. It never sees a database.
WorldHandler: TypeAlias = Callable[[Any], Awaitable[Event | None]]

# A recorder: keeps facts as they are, many at a time. It has to be idempotent by event id,
# so it needs no inbox. Facts may wait a moment for company.
Recorder: TypeAlias = Callable[[Sequence[Envelope], Tx], Awaitable[None]]
# A hearer: told of a recorded fact at once, in memory, to wake whoever waits for it.
Hearer: TypeAlias = Callable[[Envelope], None]

# A measure: asks the room's database for what only it knows, and sets the gauges.
Measure: TypeAlias = Callable[[Connection], Awaitable[None]]

SWEEP_BATCH: Final = 100
BUS_MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Sweep:
    """A handler on a timer: takes at most `SWEEP_BATCH` rows, returns how many it took.

    A full batch runs again at once, so a backlog drains without a burst of any size.
    """

    name: str
    every_seconds: float
    run: Callable[[Tx], Awaitable[int]]


@dataclass(frozen=True)
class Room:
    """One service as the bus sees it. Queues and bindings are derived from the two tables."""

    name: str
    handlers: Mapping[type[Message], Handler]
    effects: Mapping[type[Effect], WorldHandler] = field(default_factory=dict)
    recorded: Sequence[type[Event]] = ()
    recorder: Recorder | None = None
    hearer: Hearer | None = None
    # Facts that nobody waits for: they wait a moment for company and share one commit.
    unhurried: Sequence[type[Event]] = ()
    sweeps: Sequence[Sweep] = ()
    measures: Sequence[Measure] = ()
    migrations: Sequence[Path] = ()

    def listens_to(self) -> list[type[Event]]:
        """The events this room hears."""
        return [kind for kind in (*self.handlers, *self.recorded) if issubclass(kind, Event)]

    def answers(self) -> list[type[Message]]:
        """The commands and queries this room answers."""
        return [kind for kind in self.handlers if not issubclass(kind, Event)]


def topics_of(room: Room) -> list[str]:
    """Every topic the room has a handler of any kind for."""
    kinds: list[type[Message]] = [*room.handlers, *room.effects, *room.recorded]
    return [kind.topic for kind in kinds]


def merge(*tables: Mapping[type[Message], Handler]) -> dict[type[Message], Handler]:
    """One table of several small rooms'; two handlers of one message would hide each other."""
    merged: dict[type[Message], Handler] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        assert not twice, f"handled twice: {sorted(kind.topic for kind in twice)}"
        merged |= table
    return merged
