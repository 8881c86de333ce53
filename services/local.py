"""`flint run`: the whole shop in one process, with an embedded PostgreSQL and no broker.

Everything it keeps is in `FLINT_DATA` (.flint): remove the folder, and it starts anew.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from services.demo import Demo, demo_links, ensure_demo, write_whole
from services.gateway.gateway import Gateway
from services.gateway.hub import Hub
from services.gateway.rates import RateLimit
from services.observing import measure, traced
from services.probes import Readiness, internal_door
from services.rooms import DATABASES, ROLES, migration_folders, room_of
from services.running import stop_on_signals
from services.web import PortTaken, serving
from shared.bus.local import LocalTransport
from shared.bus.service import Service
from shared.config import Settings
from shared.db.embedded import EmbeddedPostgres
from shared.db.keeper import keep_running
from shared.db.migrate import ensure_database, migrate
from shared.db.pool import Pool, open_pool
from shared.loops import endless
from shared.payments.registry import Providers, ProviderSettings, open_providers

POOL_SIZE: Final = 8
START_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Shop:
    """The parts of the running shop."""

    services: Mapping[str, Service]
    transport: LocalTransport
    providers: Providers
    hub: Hub


async def run(settings: Settings) -> None:
    """Start, print what a newcomer wants to know, serve until Ctrl-C or SIGTERM, drain."""
    began = time.monotonic()
    stop = stop_on_signals()
    settings.data.mkdir(parents=True, exist_ok=True)
    await _refuse_taken_port(settings)
    readiness = Readiness(ROLES, stop)
    door = internal_door(readiness, settings.internal_host, settings.internal_port)
    async with door, AsyncExitStack() as stack:
        _say(f"Starting PostgreSQL in {settings.data}/ …")
        postgres = await stack.enter_async_context(EmbeddedPostgres(settings.data / "postgres"))
        # Only now: a forked child cannot take along the thread that exports spans.
        await stack.enter_async_context(traced("run"))
        await _prepare_databases(postgres)
        shop = await stack.enter_async_context(open_shop(postgres, settings.public_url))
        for role, service in shop.services.items():
            readiness.started(role, service.health)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(endless("postgres", keep_running(postgres)))
            await _serve(shop, settings, stop, began)
            keeping.cancel()
    _say("Stopped. Everything is kept; start again with the same command.")


@asynccontextmanager
async def open_shop(postgres: EmbeddedPostgres, public_url: str) -> AsyncIterator[Shop]:
    """Pools, providers and services on one local transport; not running yet."""
    async with AsyncExitStack() as stack:
        provider_settings = ProviderSettings(
            public_url=public_url, sandbox_dsn=postgres.url("flint_sandbox")
        )
        providers = await stack.enter_async_context(open_providers(provider_settings))
        hub = Hub()
        rooms = [room_of(role, providers=providers, hub=hub) for role in ROLES]
        transport = LocalTransport(rooms)
        services: dict[str, Service] = {}
        for room in rooms:
            dsn = postgres.url(f"flint_{room.name}")
            pool = await open_pool(dsn, name=room.name, size=POOL_SIZE)
            stack.push_async_callback(_close, pool)
            services[room.name] = Service(room, pool, transport, public_url=public_url)
        yield Shop(services, transport, providers, hub)


async def _serve(shop: Shop, settings: Settings, stop: asyncio.Event, began: float) -> None:
    services_stop, is_seeded = asyncio.Event(), asyncio.Event()

    async def health() -> Mapping[str, Any]:
        checks = {name: await one.health() for name, one in shop.services.items()}
        well = {name: all(found.values()) for name, found in checks.items()}
        return {**well, "demo": is_seeded.is_set(), "accepting": not stop.is_set()}

    gateway = Gateway(
        caller=shop.transport,
        pool=shop.services["gateway"].pool,
        secret_key=_secret_key(settings),
        public_url=settings.public_url,
        providers=shop.providers,
        hub=shop.hub,
        key_limit=RateLimit(settings.rate_limit_per_second),
        buyer_limit=RateLimit(
            settings.buyer_rate_limit_per_second, 2 * settings.buyer_rate_limit_per_second
        ),
        trusted_proxies=settings.trusted_proxies,
        health=health,
    )
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(s.run(services_stop)) for s in shop.services.values()]
        gauges = group.create_task(measure(shop.services.values(), settings))
        async with serving(gateway, settings.host, settings.port):
            await _all_listen(shop)
            demo = await ensure_demo(gateway, settings.data / "demo.json")
            gateway.demo_links = demo_links(demo)
            is_seeded.set()
            _welcome(demo, began)
            await stop.wait()
            _say("Finishing what is running …")
        services_stop.set()
        await asyncio.wait(running, timeout=settings.drain_seconds)
        for task in (*running, gauges):
            task.cancel()


async def _all_listen(shop: Shop) -> None:
    """Until every service takes messages: the demo is made by asking them."""
    async with asyncio.timeout(START_SECONDS):
        while not all(map(shop.transport.consumers, shop.services)):
            await asyncio.sleep(0.01)


async def _prepare_databases(postgres: EmbeddedPostgres) -> None:
    folders = migration_folders()
    for name in DATABASES:
        await ensure_database(postgres.url("postgres"), f"flint_{name}")
        applied = await migrate(postgres.url(f"flint_{name}"), folders[name])
        if applied:
            _say(f"Prepared the {name} database.")


async def _refuse_taken_port(settings: Settings) -> None:
    """Before anything is started: nobody wants to wait for a database to learn this."""
    try:
        server = await asyncio.start_server(lambda *_: None, settings.host, settings.port)
    except OSError as error:
        raise PortTaken(
            f"Port {settings.port} is taken by another program ({error.strerror}): "
            "stop it, or set FLINT_PORT to a free one."
        ) from error
    server.close()
    await server.wait_closed()


def _secret_key(settings: Settings) -> str:
    if settings.secret_key is not None:
        return settings.secret("secret_key")
    path = settings.data / "secret_key"
    if not path.exists():
        write_whole(path, secrets.token_hex(32))
    return path.read_text().strip()


async def _close(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), 5)
    except TimeoutError:
        pool.terminate()


def _welcome(demo: Demo, began: float) -> None:
    lines: Sequence[str] = (
        "",
        f"  Flint is ready ({time.monotonic() - began:.1f} s): {demo.url}",
        "",
        f"  Buy something      {demo.links['standard']['url']}",
        "                     card 4242 4242 4242 4242, any future date, any CVC",
        f"  API reference      {demo.url}/docs",
        f"  Your test key      {demo.api_key}",
        f"  An open order      {demo.order_id}",
        f"  All of this        {demo.path}",
        "",
        "  Ctrl-C stops it; nothing is lost.",
        "",
    )
    _say("\n".join(lines))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
