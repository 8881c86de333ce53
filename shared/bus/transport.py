"""The transport port: two adapters (`rabbitmq`, `local`), one exam that both pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.bus.caller import Caller, WireReply
from shared.bus.fate import Fate
from shared.bus.outbox import MessageKind
from shared.bus.room import Room
from shared.contracts.base import Envelope
from shared.errors import Unavailable

# `in`: durable, events and commands · `rpc`: answered at once or expired · `world`: effects
Lane = Literal["in", "rpc", "world"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a consumer made of one delivery."""

    fate: Fate
    reply: WireReply | None = None
    reason: str = ""
    handler: str = ""
    is_counted: bool = True  # whether a retry is one of the tries that have an end
    is_understood: bool = True  # else its topic is unknown or its body is not what the topic says


class Unroutable(Exception):
    """Nobody is bound to this topic. Permanent until the topology changes."""


class NotConfirmed(Unavailable):
    """The transport did not confirm: it may or may not have it. Publish again, never undo."""


class RetryLater(NotConfirmed):
    """A local listener asked for another delivery; the outbox row waits for it."""


class Receiver(Protocol):
    """The consuming side of a room; a transport hands it every delivery."""

    @property
    def room(self) -> Room:
        """Whose messages these are."""
        ...

    async def receive(self, envelope: Envelope, *, lane: Lane, is_redelivered: bool) -> Settled:
        """Handle one delivery completely. Never raises, except on cancellation."""
        ...

    async def bury(self, envelope: Envelope, queue: str, reason: str) -> None:
        """Keep a message nobody could handle (only where the transport has no parking place)."""
        ...


class Subscription(Protocol):
    """A room's consumption."""

    async def stop(self) -> None:
        """Take nothing more and wait for what is held, within a bound."""
        ...


class Transport(Caller, Protocol):
    """Moves envelopes between rooms."""

    async def publish(self, kind: MessageKind, envelope: Envelope) -> None:
        """Return only when the message is safe; raise Unroutable or NotConfirmed otherwise."""
        ...

    async def subscribe(self, receiver: Receiver) -> Subscription:
        """Start handing a room its messages."""
        ...

    def is_healthy(self) -> bool:
        """Whether messages can flow now."""
        ...

    def lines(self) -> Mapping[str, bool]:
        """Each connection to a broker by its name, and whether it is up."""
        ...

    def consumers(self, room: str) -> int:
        """How many consumers take messages for a room here."""
        ...

    async def depths(self, room: Room) -> Mapping[str, int]:
        """How many messages wait in each of the room's queues; raises Unavailable."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...
