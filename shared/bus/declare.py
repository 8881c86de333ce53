"""Declaring the topology: exchanges, queues and bindings by AMQP, policies by the management API.

The one place that may declare. Safe to repeat: what is there already stays.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

import aio_pika
import aiohttp
from aio_pika.abc import AbstractChannel
from yarl import URL

from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.topology import EXCHANGES, QueueSpec
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
    vhost = URL(amqp_url).path.removeprefix("/") or "/"
    try:
        await _put_policies(specs, management_url, vhost)
        say(f"{sum(bool(spec.policy) for spec in specs)} policies")
        await _declare(specs, amqp_url)
        say(f"{len(EXCHANGES)} exchanges, {len(specs)} queues")
    except (*BROKER_ERRORS, aiohttp.ClientError) as error:
        raise Unavailable(f"The topology could not be applied: {explain(error)}") from error


async def _declare(specs: Sequence[QueueSpec], amqp_url: str) -> None:
    connection = await asyncio.wait_for(aio_pika.connect(amqp_url), TIMEOUT_SECONDS)
    async with connection:
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


async def _put_policies(specs: Sequence[QueueSpec], management_url: str, vhost: str) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    base = URL(management_url)
    auth = aiohttp.encode_basic_auth(base.user or "", base.password or "")
    headers = {"Authorization": auth}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=False) as session:
        for spec in specs:
            if spec.policy:
                await _put_policy(session, base.with_user(None), vhost, spec)


async def _put_policy(
    session: aiohttp.ClientSession, base: URL, vhost: str, spec: QueueSpec
) -> None:
    url = f"{str(base).rstrip('/')}/api/policies/{quote(vhost, safe='')}/{quote(spec.name)}"
    body: dict[str, Any] = {
        "pattern": f"^{re.escape(spec.name)}$",
        "definition": spec.policy,
        "priority": 10,
        "apply-to": "queues",
    }
    async with session.put(URL(url, encoded=True), json=body) as answer:
        if answer.status >= 400:
            text = (await answer.text())[:200]
            raise Unavailable(f"policy {spec.name}: HTTP {answer.status} {text}")
