"""Orders as the bus sees it: the small rooms together, and the calls to the providers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.orders.ordering import handlers as ordering
from services.orders.payments import handlers as payments
from services.orders.payments.effects import effects
from services.orders.payments.measures import measure
from services.orders.plans import handlers as plans
from shared.bus.room import BUS_MIGRATIONS, Room, merge
from shared.payments.registry import Providers

MIGRATIONS: Final = Path(__file__).parent / "migrations"
HANDLERS: Final = merge(ordering.HANDLERS, payments.HANDLERS, plans.HANDLERS)
SWEEPS: Final = (*ordering.SWEEPS, *payments.SWEEPS)


def room(providers: Providers) -> Room:
    """The room over the open providers; without any (`Providers()`) it only knows its topology."""
    return Room(
        "orders",
        HANDLERS,
        effects=effects(providers),
        sweeps=SWEEPS,
        measures=(measure,),
        migrations=(BUS_MIGRATIONS, MIGRATIONS),
    )
