"""The gateway as the bus sees it: it hears every public event, keeps it, and wakes who waits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.gateway.events import SWEEPS, record, ringing
from services.gateway.hub import Hub
from shared.bus.room import BUS_MIGRATIONS, Room
from shared.contracts import OWNERS, events_of

MIGRATIONS: Final = Path(__file__).parent / "migrations"
# Named one by one in the bindings: a catch-all would hide an event that nobody listens to.
PUBLIC_EVENTS: Final = tuple(
    kind for service in sorted(set(OWNERS.values())) for kind in events_of(service) if kind.public
)


def room(hub: Hub) -> Room:
    """The room of this process: what it hears rings this process's hub."""
    return Room(
        name="gateway",
        handlers={},
        recorded=PUBLIC_EVENTS,
        recorder=record,
        hearer=ringing(hub),
        sweeps=SWEEPS,
        migrations=(BUS_MIGRATIONS, MIGRATIONS),
    )
