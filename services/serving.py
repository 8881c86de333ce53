"""`flint serve`: one or several services in this process, over RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from services.gateway.gateway import Gateway
from services.gateway.hub import Hub
from services.gateway.rates import RateLimit
from services.observing import measure, traced
from services.probes import Readiness, internal_door
from services.rooms import migration_folders, room_of
from services.running import Stopped, patient_pool, stop_on_signals
from services.web import serving
from shared.bus.rabbitmq import RabbitTransport
from shared.bus.room import Room
from shared.bus.service import Service
from shared.config import Settings
from shared.db.pool import Pool
from shared.errors import Unavailable
from shared.loops import endless
from shared.payments.registry import Providers, ProviderSettings, open_providers

log = structlog.get_logger("flint.process")
UNREADY_SECONDS: Final = 2.0  # between "not ready" and closing the door: proxies look elsewhere

GATEWAYS_QUEUE: Final = "gateway.in"  # every gateway takes from it once
SHARE_SECONDS: Final = 5.0


@dataclass
class Part:
    """One service of this process with what it stands on."""

    service: Service
    transport: RabbitTransport
    pool: Pool


@dataclass
class Started:
    """Everything of this process that waits for nothing any more."""

    parts: Mapping[str, Part]
    providers: Providers | None
    hub: Hub


async def serve(roles: Sequence[str], settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain. An ended loop ends the process, loudly."""
    stop = stop_on_signals()
    readiness = Readiness(roles, stop)
    door = internal_door(readiness, settings.internal_host, settings.internal_port)
    async with traced("+".join(roles)), door, AsyncExitStack() as stack:
        try:
            started = await _start(stack, roles, settings, stop)
        except Stopped:
            return
        for role, part in started.parts.items():
            readiness.started(role, part.service.health)
        await _run(started, settings, readiness, stop)


async def _start(
    stack: AsyncExitStack, roles: Sequence[str], settings: Settings, stop: asyncio.Event
) -> Started:
    providers = await _providers(stack, roles, settings, stop)
    hub = Hub()
    rooms = [room_of(role, providers=providers, hub=hub) for role in roles]
    parts = {room.name: await _part(stack, room, settings, stop) for room in rooms}
    return Started(parts, providers, hub)


async def _providers(
    stack: AsyncExitStack, roles: Sequence[str], settings: Settings, stop: asyncio.Event
) -> Providers | None:
    if not {"orders", "gateway"} & set(roles):
        return None
    dsn = settings.secret("sandbox_database_url")
    folders = migration_folders()["sandbox"]
    pool = await patient_pool(dsn, name="sandbox", size=2, folders=folders, stop=stop)
    await pool.close()  # it only had to be there: the adapter opens its own
    opened = open_providers(ProviderSettings(public_url=settings.public_url, sandbox_dsn=dsn))
    return await stack.enter_async_context(opened)


async def _part(stack: AsyncExitStack, room: Room, settings: Settings, stop: asyncio.Event) -> Part:
    pool = await patient_pool(
        settings.secret(f"{room.name}_database_url"),
        name=room.name,
        size=settings.database_pool_size,
        folders=list(room.migrations),
        stop=stop,
    )
    stack.push_async_callback(pool.close)
    transport = RabbitTransport(settings.secret(f"{room.name}_amqp_url"), name=f"flint-{room.name}")
    service = Service(room, pool, transport, public_url=settings.public_url)
    return Part(service, transport, pool)


async def _run(
    started: Started, settings: Settings, readiness: Readiness, stop: asyncio.Event
) -> None:
    services_stop = asyncio.Event()
    parts = started.parts
    async with asyncio.TaskGroup() as group:
        lines = [group.create_task(part.transport.run()) for part in parts.values()]
        running = [group.create_task(p.service.run(services_stop)) for p in parts.values()]
        gauges = group.create_task(measure([p.service for p in parts.values()], settings))
        log.info("process.serving", services=list(parts))
        if "gateway" in parts:
            await _serve_http(started, settings, readiness, stop)
        else:
            await stop.wait()
        services_stop.set()
        await asyncio.wait(running, timeout=settings.drain_seconds)
        for part in parts.values():
            await part.transport.close()
        for task in (*lines, *running, gauges):
            task.cancel()
    log.info("process.stopped")


async def _serve_http(
    started: Started, settings: Settings, readiness: Readiness, stop: asyncio.Event
) -> None:
    part = started.parts["gateway"]
    gateway = Gateway(
        caller=part.transport,
        pool=part.pool,
        secret_key=settings.signing_keys(),
        public_url=settings.public_url,
        providers=started.providers,
        hub=started.hub,
        key_limit=RateLimit(settings.rate_limit_per_second),
        buyer_limit=RateLimit(
            settings.buyer_rate_limit_per_second, 2 * settings.buyer_rate_limit_per_second
        ),
        trusted_proxies=settings.trusted_proxies,
        health=partial(readiness.of, "gateway"),
    )
    door = serving(gateway, settings.host, settings.port)
    async with _shared_limits(gateway, part.transport), door as port:
        log.info("gateway.listening", host=settings.host, port=port)
        await stop.wait()
        await asyncio.sleep(UNREADY_SECONDS)


@asynccontextmanager
async def _shared_limits(gateway: Gateway, transport: RabbitTransport) -> AsyncIterator[None]:
    """Rate limits are of the installation: each gateway grants its part, as long as this lasts."""
    async with asyncio.TaskGroup() as group:
        sharing = group.create_task(endless("limits.share", _share_limits(gateway, transport)))
        yield
        sharing.cancel()


async def _share_limits(gateway: Gateway, transport: RabbitTransport) -> None:
    while True:
        with suppress(Unavailable):  # Who cannot ask keeps the part it has.
            gateways = await transport.replicas(GATEWAYS_QUEUE)
            gateway.key_limit.share(gateways)
            gateway.buyer_limit.share(gateways)
        await asyncio.sleep(SHARE_SECONDS)
