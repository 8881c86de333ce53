"""All rooms by name: the one place that knows every service (composition, topology, audit)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.gateway.hub import Hub
from services.gateway.room import room as gateway_room
from services.links.room import room as links_room
from services.orders.room import room as orders_room
from services.sessions.room import room as sessions_room
from shared.bus.room import Room
from shared.payments.registry import Providers
from shared.payments.sandbox import MIGRATIONS as SANDBOX_MIGRATIONS

ROLES: Final = ("links", "sessions", "orders", "gateway")
DATABASES: Final = (*ROLES, "sandbox")


def room_of(role: str, *, providers: Providers | None = None, hub: Hub | None = None) -> Room:
    """One room; `providers` reach the world for orders, `hub` is woken by the gateway's."""
    match role:
        case "links":
            return links_room()
        case "sessions":
            return sessions_room()
        case "orders":
            return orders_room(providers or Providers())
        case "gateway":
            return gateway_room(hub or Hub())
        case _:
            raise ValueError(f"no service is called {role!r}; there are: {', '.join(ROLES)}")


def all_rooms() -> list[Room]:
    """Every room, for what only needs their tables (topology, migrations, documents)."""
    return [room_of(role) for role in ROLES]


def migration_folders() -> Mapping[str, list[Path]]:
    """Database → the folders its tables come from."""
    folders = {room.name: list(room.migrations) for room in all_rooms()}
    return {**folders, "sandbox": [SANDBOX_MIGRATIONS]}
