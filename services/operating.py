"""What operators run once: migrations, topology, a merchant's first key."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Literal

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.rooms import DATABASES, all_rooms, migration_folders
from shared.bus.declare import apply
from shared.bus.topology import EXCHANGES, permissions, topology
from shared.config import Settings
from shared.db.migrate import migrate
from shared.db.pool import open_pool


async def migrate_all(settings: Settings) -> None:
    """Every database, one after the other; says what was applied."""
    folders = migration_folders()
    for name in DATABASES:
        applied = await migrate(settings.secret(f"{name}_database_url"), folders[name])
        _say(f"{name}: {', '.join(applied) if applied else 'up to date'}")


async def apply_topology(settings: Settings) -> None:
    """Declare everything that the rooms' handler tables imply."""
    await apply(
        topology(all_rooms()),
        amqp_url=settings.secret("topology_amqp_url"),
        management_url=settings.secret("topology_management_url"),
        say=lambda what: _say(f"applied: {what}"),
    )


def show_topology() -> None:
    """Queues with their bindings and policies, and each service user's permissions."""
    for name, kind in EXCHANGES.items():
        _say(f"exchange {name} ({kind})")
    for spec in topology(all_rooms()):
        _say(f"queue {spec.name} ({spec.type})")
        for exchange, key in spec.bindings:
            _say(f"    {exchange} ← {key}")
        for name, value in spec.policy.items():
            _say(f"    policy {name}: {value}")
    for room in all_rooms():
        _say(f"user of {room.name}: {permissions(room)}")


async def create_merchant_with_key(
    settings: Settings, name: str, mode: Literal["test", "live"]
) -> None:
    """Prints the merchant's id and the key; the key cannot be read again."""
    dsn = settings.secret("gateway_database_url")
    pool = await open_pool(dsn, name="gateway", size=2)
    try:
        merchant_id = await create_merchant(pool, name, datetime.now(UTC))
        _, secret = await create_api_key(pool, merchant_id, mode, ["all"], "First key")
    finally:
        await pool.close()
    _say(f"merchant_id {merchant_id}")
    _say(f"api_key {secret}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
