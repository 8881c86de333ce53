"""Links as the bus sees it."""

from __future__ import annotations

from pathlib import Path

from services.links.handlers import HANDLERS, SWEEPS
from shared.bus.room import BUS_MIGRATIONS, Room
from shared.contracts.orders import OrderPaid


def room() -> Room:
    """The room, with the folders its tables come from."""
    here = Path(__file__).parent / "migrations"
    return Room(
        "links",
        HANDLERS,
        unhurried=(OrderPaid,),
        sweeps=SWEEPS,
        migrations=(BUS_MIGRATIONS, here),
    )
