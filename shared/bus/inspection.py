"""Looking at a broker from outside: what it holds beside what the topology says it should.

By AMQP with a service's own user: may it read its queues, and declare nothing? By the management
API, if there is one: types, bindings, policies, permissions, alarms. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import aio_pika
import aiohttp
from aio_pika.abc import AbstractConnection

from shared.bus.addresses import connect_any
from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.management import is_cluster, management
from shared.bus.topology import EXCHANGES, QueueSpec
from shared.errors import Unavailable

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class QueueState:
    """What one queue holds for nobody in particular, and how many take from it."""

    waiting: int
    consumers: int


@dataclass
class Sight:
    """What one user sees: `refused` is why it cannot see a queue or an exchange, by name."""

    queues: dict[str, QueueState] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    may_declare: bool = False


async def look(amqp_url: str, specs: Sequence[QueueSpec]) -> Sight:
    """With this user's eyes; raises Unavailable if it does not get in."""
    sight = Sight()
    async with _connected(amqp_url) as connection:
        for exchange in EXCHANGES:
            await _exchange(connection, exchange, sight)
        for spec in specs:
            await _queue(connection, spec.name, sight)
        sight.may_declare = await _may_declare(connection)
    return sight


Depths = Callable[[], Awaitable[dict[str, int]]]


@asynccontextmanager
async def watching(amqp_url: str, names: Sequence[str]) -> AsyncIterator[Depths]:
    """Ask again and again how many messages wait in these queues, over one connection."""
    async with _connected(amqp_url) as connection, connection.channel() as channel:

        async def depths() -> dict[str, int]:
            found = {}
            for name in names:
                queue = await channel.declare_queue(name, passive=True, timeout=TIMEOUT_SECONDS)
                found[name] = queue.declaration_result.message_count or 0
            return found

        yield depths


@asynccontextmanager
async def _connected(amqp_url: str) -> AsyncIterator[AbstractConnection]:
    try:
        async with await connect_any(amqp_url, TIMEOUT_SECONDS) as connection:
            yield connection
    except BROKER_ERRORS as error:
        raise Unavailable(explain(error)) from error


async def _exchange(connection: AbstractConnection, name: str, sight: Sight) -> None:
    # A channel each: the broker closes the one on which something was refused.
    async with connection.channel() as channel:
        try:
            await channel.declare_exchange(name, passive=True, timeout=TIMEOUT_SECONDS)
        except aio_pika.exceptions.ChannelClosed as error:
            sight.refused[name] = explain(error)


async def _queue(connection: AbstractConnection, name: str, sight: Sight) -> None:
    async with connection.channel() as channel:
        try:
            queue = await channel.declare_queue(name, passive=True, timeout=TIMEOUT_SECONDS)
        except aio_pika.exceptions.ChannelClosed as error:
            sight.refused[name] = explain(error)
            return
        declared = queue.declaration_result
        sight.queues[name] = QueueState(declared.message_count or 0, declared.consumer_count or 0)


async def _may_declare(connection: AbstractConnection) -> bool:
    """Tried with a queue that goes away with this connection."""
    async with connection.channel() as channel:
        try:
            name = f"flint-doctor-{uuid4().hex}"
            await channel.declare_queue(name, exclusive=True, timeout=TIMEOUT_SECONDS)
        except aio_pika.exceptions.ChannelClosed:
            return False
    return True


@dataclass(frozen=True)
class Holdings:
    """What the broker holds in one virtual host. `permissions` is None if we may not know."""

    is_cluster: bool
    types: Mapping[str, str]
    bindings: frozenset[tuple[str, str, str]]  # (queue, exchange, routing key)
    policies: Mapping[str, Mapping[str, Any]]  # by name
    permissions: Mapping[str, Mapping[str, str]] | None  # by user
    alarms: str  # empty: none


async def holdings(management_url: str, vhost: str) -> Holdings:
    """By the management API; raises Unavailable if it does not answer."""
    try:
        async with management(management_url) as api:
            several = await is_cluster(api)
            queues = await api.get("queues", vhost)
            bindings = await api.get("bindings", vhost)
            policies = await api.get("policies", vhost)
            permissions = await api.get("vhosts", vhost, "permissions")
            alarms = await api.get("health", "checks", "alarms") or {"status": "ok"}
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(explain(error)) from error
    if None in (queues, bindings, policies):
        raise Unavailable("its user may not look: give it the tag policymaker")
    return Holdings(
        several,
        {queue["name"]: queue.get("type", "classic") for queue in queues},
        frozenset((one["destination"], one["source"], one["routing_key"]) for one in bindings),
        {policy["name"]: policy for policy in policies},
        None if permissions is None else {one["user"]: one for one in permissions},
        "" if alarms.get("status") == "ok" else str(alarms.get("reason", alarms)),
    )
