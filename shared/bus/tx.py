"""`Tx`: what a database handler gets. One open transaction, the time, ids, and what it says.

Nothing is published here: facts and requests are kept, written to the outbox in the same
transaction, and leave the process only after the commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.contracts.base import Command, Context, Effect, Event
from shared.db.pool import Connection
from shared.ids import new_id, new_ulid


@dataclass(frozen=True, slots=True)
class Said:
    """One message on its way to the outbox."""

    message: Event | Command[Any] | Effect
    context: Context


@dataclass(slots=True)
class Tx:
    """One message's transaction. `now` is the same for all that happens in it."""

    db: Connection
    now: datetime
    context: Context
    message_id: str = ""
    public_url: str = "http://localhost:8080"
    said: list[Said] = field(default_factory=list)

    @property
    def merchant_id(self) -> str:
        """The merchant this message is for; empty on a buyer's own requests."""
        return self.context.merchant_id

    @property
    def mode(self) -> str:
        """`test` or `live`."""
        return self.context.mode

    def new_id(self, prefix: str) -> str:
        """A fresh id: domain code takes it as an argument."""
        return new_id(prefix)

    def new_ulid(self) -> str:
        """A fresh bare ULID, for ids that share it."""
        return new_ulid()

    def emit(self, *events: Event, context: Context | None = None) -> None:
        """Say facts. Sweeps and buyers' requests pass the context of the resource's merchant."""
        self.said += [Said(event, context or self._context_of(event)) for event in events]

    def send(self, *messages: Command[Any] | Effect, context: Context | None = None) -> None:
        """Ask, durably and without waiting: the answer comes as an event."""
        self.said += [Said(message, context or self.context) for message in messages]

    def _context_of(self, event: Event) -> Context:
        merchant = getattr(event, "merchant_id", "") or self.context.merchant_id
        mode = getattr(event, "mode_environment", None) or self.context.mode
        return Context(merchant, mode, self.context.request_id, self.context.traceparent)
