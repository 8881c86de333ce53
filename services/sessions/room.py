"""Sessions as the bus sees it."""

from __future__ import annotations

from pathlib import Path

from services.sessions.handlers import HANDLERS, SWEEPS
from services.sessions.measures import measure
from shared.bus.room import BUS_MIGRATIONS, Room
from shared.contracts.payments import PaymentIntentProcessing


def room() -> Room:
    """The room, with the folders its tables come from."""
    here = Path(__file__).parent / "migrations"
    return Room(
        "sessions",
        HANDLERS,
        unhurried=(PaymentIntentProcessing,),
        sweeps=SWEEPS,
        measures=(measure,),
        migrations=(BUS_MIGRATIONS, here),
    )
