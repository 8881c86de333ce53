"""What operators run once: migrations, topology, a merchant's first key."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import orjson

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.installed import databases
from services.rooms import DATABASES, all_rooms, migration_folders
from shared.bus.declare import apply
from shared.bus.inspection import look
from shared.bus.topology import EXCHANGES, permissions, topology
from shared.config import Settings
from shared.db.migrate import MigrationError, Schema, examine, migrate, refuse_newer
from shared.db.pool import open_pool
from shared.errors import Unavailable


async def migrate_all(settings: Settings) -> None:
    """Every database, one after the other; says what is applied as it is applied.

    All of them are looked at first: one that cannot be migrated leaves the others as they are.
    """
    folders = migration_folders()
    dsns = {name: settings.secret(f"{name}_database_url") for name in DATABASES}
    for name, dsn in dsns.items():
        refuse_newer((await examine(dsn, folders[name])).newer)
    for name, dsn in dsns.items():
        applied = await migrate(dsn, folders[name], partial(_say_applied, name))
        if not applied:
            _say(f"{name}: up to date")


async def show_migrations(settings: Settings, *, is_json: bool) -> bool:
    """A line per database; whether this code runs on all of them as they are."""
    folders = migration_folders()
    found: dict[str, dict[str, object]] = {}
    async with databases(settings) as dsns:
        for name, dsn in dsns.items():
            try:
                schema = await examine(dsn, folders[name])
            except (MigrationError, Unavailable) as error:
                found[name] = {"state": "unusable", "reason": str(error)}
                continue
            found[name] = {"state": state_of(schema), **asdict(schema)}
    for name, facts in () if is_json else found.items():
        files = facts.get("missing") or facts.get("newer") or ()
        named = facts.get("reason") or ", ".join(files if isinstance(files, list) else ())
        _say(f"{name}: {facts['state']}{f' ({named})' if named else ''}")
    if is_json:
        _say(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    return all(facts["state"] in ("up to date", "newer") for facts in found.values())


def state_of(schema: Schema) -> str:
    """One word for a database beside this code."""
    if schema.missing:
        return "behind"
    return "newer" if schema.newer else "up to date"


def _say_applied(name: str, what: str) -> None:
    _say(f"{name}: applied {what}")


async def apply_topology(settings: Settings) -> None:
    """Declare everything that the rooms' handler tables imply."""
    await apply(
        topology(all_rooms()),
        amqp_url=settings.secret("topology_amqp_url"),
        management_url=settings.secret("topology_management_url"),
        say=lambda what: _say(f"applied: {what}"),
    )


async def topology_is_empty(settings: Settings) -> bool:
    """Whether no queue of ours holds a message and nobody takes from one; says which do."""
    sight = await look(settings.secret("topology_amqp_url"), topology(all_rooms()))
    for name, state in sight.queues.items():
        if state.waiting or state.consumers:
            _say(f"{name}: {state.waiting} messages, {state.consumers} consumers")
    return not any(state.waiting or state.consumers for state in sight.queues.values())


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
