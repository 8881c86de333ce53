"""Declaring: exchanges, queues and bindings by AMQP, policies and users by the management API.

The one place that may declare. Safe to repeat: what is there already stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
from aio_pika.abc import AbstractChannel

from shared.bus.addresses import connect_any
from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.management import Management, is_cluster, management
from shared.bus.room import Room
from shared.bus.topology import EXCHANGES, QueueSpec, in_a_cluster, permissions
from shared.errors import Unavailable

TIMEOUT_SECONDS: Final = 15.0


async def apply(
    specs: Sequence[QueueSpec],
    *,
    amqp_url: str,
    management_url: str,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Declare everything. Policies come first, so that no queue ever lives without its own."""
    try:
        async with management(management_url) as api:
            if await is_cluster(api):
                specs = in_a_cluster(specs)
            await _put_policies(specs, api, vhost_of(amqp_url))
            await _drop_unreplicated(specs, api, vhost_of(amqp_url))
        say(f"{sum(bool(spec.policy) for spec in specs)} policies")
        await _declare(specs, amqp_url)
        say(f"{len(EXCHANGES)} exchanges, {len(specs)} queues")
    except (*BROKER_ERRORS, aiohttp.ClientError) as error:
        raise Unavailable(f"The topology could not be applied: {explain(error)}") from error


async def _declare(specs: Sequence[QueueSpec], amqp_url: str) -> None:
    async with await connect_any(amqp_url, TIMEOUT_SECONDS) as connection:
        channel = connection.channel()
        await channel.initialize(timeout=TIMEOUT_SECONDS)
        for name, kind in EXCHANGES.items():
            await channel.declare_exchange(name, kind, durable=True, timeout=TIMEOUT_SECONDS)
        for spec in specs:
            await _declare_queue(channel, spec)


async def _declare_queue(channel: AbstractChannel, spec: QueueSpec) -> None:
    queue = await channel.declare_queue(
        spec.name,
        durable=True,
        arguments={"x-queue-type": spec.type},
        timeout=TIMEOUT_SECONDS,
    )
    for exchange, key in spec.bindings:
        await queue.bind(exchange, key, timeout=TIMEOUT_SECONDS)


async def apply_users(rooms: Sequence[Room], urls: Mapping[str, str], management_url: str) -> None:
    """One user per room, as its address names it, with the permissions that its queues imply.

    The password is set each time, so that a rotated secret takes effect.
    """
    try:
        async with management(management_url) as api:
            for room in rooms:
                await _put_user(api, urls[room.name], permissions(room))
    except aiohttp.ClientError as error:
        raise Unavailable(f"The users could not be made: {explain(error)}") from error


def vhost_of(amqp_url: str) -> str:
    """The virtual host that an address names."""
    return unquote(urlsplit(amqp_url).path.removeprefix("/")) or "/"


async def _put_policies(specs: Sequence[QueueSpec], api: Management, vhost: str) -> None:
    for spec in specs:
        if spec.policy:
            policy = {
                "pattern": f"^{re.escape(spec.name)}$",
                "definition": spec.policy,
                "priority": 10,
                "apply-to": "queues",
            }
            await api.put("policies", vhost, spec.name, body=policy)


async def _drop_unreplicated(specs: Sequence[QueueSpec], api: Management, vhost: str) -> None:
    """Of a broker that became a cluster: questions' queues that only one node has.

    A queue's type cannot be changed. What they hold is asked again by whoever asked it.
    """
    there = {queue["name"]: queue.get("type") for queue in await api.get("queues", vhost) or []}
    for spec in specs:
        is_other = spec.type == "quorum" and there.get(spec.name) == "classic"
        if is_other and spec.name.endswith(".rpc"):
            await api.delete("queues", vhost, spec.name)


async def _put_user(api: Management, url: str, rights: Mapping[str, str]) -> None:
    parts = urlsplit(url)
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (name and password):
        raise Unavailable("a broker address has to name a user and a password to make it")
    await api.put("users", name, body={"password": password, "tags": ""})
    await api.put("permissions", vhost_of(url), name, body=rights)
