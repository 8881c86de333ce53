"""The gateway as the bus sees it: it hears every public event and wakes whoever waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from services.gateway.hub import Hub
from shared.bus.room import BUS_MIGRATIONS, Handler, Room
from shared.bus.tx import Tx
from shared.contracts import TOPICS, Event

MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Named one by one in the bindings: a catch-all would hide an event that nobody listens to.
PUBLIC_EVENTS: Final = tuple(
    kind for kind in TOPICS.values() if issubclass(kind, Event) and kind.public
)
# Whoever waits for one of these is told, whatever the event is about.
WAITED_FOR: Final = (
    "checkout_session_id",
    "paid_session_id",
    "order_id",
    "payment_intent_id",
    "payment_link_id",
)


def room(hub: Hub) -> Room:
    """The room of this process: its handlers ring this process's hub."""
    return Room(
        name="gateway",
        handlers=dict.fromkeys(PUBLIC_EVENTS, _waking(hub)),
        migrations=(BUS_MIGRATIONS, MIGRATIONS),
    )


def _waking(hub: Hub) -> Handler:
    async def wake(event: Any, tx: Tx) -> None:
        del tx  # A ring is a hint: rolled back or repeated, it does no harm.
        hub.tell(*(getattr(event, name, None) for name in WAITED_FOR))
        hub.tell(*getattr(event, "checkout_session_ids", ()))

    return wake
