"""A whole shop as its users run it: real processes, started by the `flint` command itself.

`local` is `flint run`; `rabbitmq` is one `flint serve` process per service, each with its own
database and its own broker user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp

from services.auditing import audit
from services.rooms import DATABASES, ROLES, all_rooms, migration_folders
from shared.bus.declare import apply, apply_users
from shared.bus.topology import topology
from tests.support.postgres import Databases
from tests.support.rabbit import Broker
from tests.support.servers import PASSWORD

Kind = Literal["local", "rabbitmq"]
FLINT: Final = str(Path(sys.executable).parent / "flint")
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
AUDIT_SECONDS: Final = 20.0
STANDARD_LINK: Final[dict[str, Any]] = {
    "name": "First flush Darjeeling",
    "line_items": [
        {
            "key": "tin",
            "name": "Darjeeling tin, 100 g",
            "amount_money": {"amount": 1200, "currency": "USD"},
            "allow_quantity_adjustment": True,
            "min_quantity": 1,
            "max_quantity": 10,
        }
    ],
    "customer": {"require_email": True},
}


@dataclass
class Shop:
    """Addresses and keys of a running shop, and its processes by name."""

    kind: Kind
    url: str
    env: dict[str, str]
    folder: Path
    demo: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    amqp_url: str = ""

    @property
    def api_key(self) -> str:
        return str(self.demo["api_key"])

    def database_url(self, name: str) -> str:
        """The address of one service's database."""
        if self.kind == "rabbitmq":
            return self.env[f"FLINT_{name.upper()}_DATABASE_URL"]
        from shared.db.embedded import EmbeddedPostgres

        return EmbeddedPostgres(self.folder / "data" / "postgres").url(f"flint_{name}")

    def roles(self) -> list[str]:
        return list(ROLES) if self.kind == "rabbitmq" else ["run"]

    async def start(self, *names: str) -> None:
        """Start processes (all of them by default) and wait until the shop answers."""
        for name in names or self.roles():
            self._spawn(name)
        await self.ready()

    def _spawn(self, name: str) -> None:
        argv = [FLINT, "run"] if name == "run" else [FLINT, "serve", name]
        with self._log(name).open("ab") as output:
            self.processes[name] = subprocess.Popen(
                argv, env=self.env, stdout=output, stderr=output, start_new_session=True
            )

    async def ready(self) -> None:
        """Until `/readyz` says so; a process that ended tells its last words."""
        deadline = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession() as http:
            while not await _answers(http, f"{self.url}/readyz"):
                for name, process in self.processes.items():
                    assert process.poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
                assert time.monotonic() < deadline, f"not ready: {self.logs()[-4000:]}"
                await asyncio.sleep(0.05)

    def kill(self, *names: str) -> None:
        """kill -9, no goodbye."""
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            process.kill()
            process.wait(STOP_SECONDS)

    async def stop(self, *names: str) -> dict[str, int]:
        """SIGTERM, and wait for the drain; exit codes by name."""
        stopping = {name: self.processes.pop(name) for name in names or list(self.processes)}
        for process in stopping.values():
            process.send_signal(signal.SIGTERM)
        codes = {}
        for name, process in stopping.items():
            codes[name] = await asyncio.to_thread(process.wait, STOP_SECONDS)
        return codes

    def log(self, name: str) -> str:
        path = self._log(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self) -> str:
        return "\n".join(f"== {name}\n{self.log(name)}" for name in self.roles())

    async def flint(self, *arguments: str) -> tuple[int, str]:
        """Run a flint command in this shop's environment; its exit code and output."""
        process = await asyncio.create_subprocess_exec(
            FLINT,
            *arguments,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, output.decode()

    async def audit(self) -> None:
        """Every test of a shop ends with this: what `flint audit` does, without its start."""
        dsns = {name: self.database_url(name) for name in DATABASES}
        report = await audit(dsns, self.url, AUDIT_SECONDS)
        assert report.is_clean, "\n".join(report.lines())

    def api(self) -> aiohttp.ClientSession:
        """A client that shows the shop's key."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return aiohttp.ClientSession(base_url=self.url, headers=headers)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@contextlib.asynccontextmanager
async def open_local_shop(folder: Path, **extra: str) -> AsyncIterator[Shop]:
    """`flint run` in an empty folder, on a free port; `extra` are further variables."""
    port = free_port()
    env = _clean_env() | {
        "FLINT_PORT": str(port),
        "FLINT_DATA": str(folder / "data"),
        "FLINT_LOG_FORMAT": "json",
        "FLINT_RATE_LIMIT_PER_SECOND": "100000",
        "FLINT_BUYER_RATE_LIMIT_PER_SECOND": "100000",
    }
    env |= extra
    shop = Shop("local", f"http://localhost:{port}", env, folder)
    try:
        await shop.start()
        shop.demo = json.loads((folder / "data" / "demo.json").read_text())
        yield shop
    finally:
        await shop.stop()


Environment = dict[str, str]


async def _as_it_is(env: Environment) -> Environment:
    return env


@contextlib.asynccontextmanager
async def open_rabbit_shop(
    folder: Path,
    databases: Databases,
    broker: Broker,
    amqp_url: str,
    *,
    reroute: Callable[[Environment], Awaitable[Environment]] = _as_it_is,
) -> AsyncIterator[Shop]:
    """Four processes on the run's PostgreSQL and a virtual host of their own.

    `reroute` may change their environment first, to put something in between.
    """
    shop = await closed_shop(folder, databases, broker, amqp_url)
    dsns = [shop.database_url(name) for name in DATABASES]
    shop.env = await reroute(shop.env)
    try:
        await shop.start()
        shop.demo = await make_demo(shop)
        yield shop
    finally:
        await shop.stop()
        for dsn in dsns:
            await databases.drop(dsn)


async def closed_shop(
    folder: Path, databases: Databases, broker: Broker, amqp_url: str, *, is_migrated: bool = True
) -> Shop:
    """Everything that a shop stands on, and nothing that runs."""
    port, folders = free_port(), migration_folders()
    await apply(topology(all_rooms()), amqp_url=amqp_url, management_url=broker.api_url)
    dsns = {
        name: await databases.create(tuple(folders[name]) if is_migrated else ())
        for name in DATABASES
    }
    users = await _broker_users(broker, amqp_url)
    env = _clean_env() | _environment(port, dsns, users, amqp_url, broker.api_url)
    return Shop("rabbitmq", f"http://localhost:{port}", env, folder, amqp_url=amqp_url)


def _environment(
    port: int, dsns: Mapping[str, str], users: Mapping[str, str], amqp_url: str, api_url: str
) -> dict[str, str]:
    env = {
        "FLINT_PORT": str(port),
        "FLINT_PUBLIC_URL": f"http://localhost:{port}",
        "FLINT_SECRET_KEY": "only-for-this-test-run-0123456789",
        "FLINT_RATE_LIMIT_PER_SECOND": "100000",
        "FLINT_BUYER_RATE_LIMIT_PER_SECOND": "100000",
        "FLINT_TOPOLOGY_AMQP_URL": amqp_url,
        "FLINT_TOPOLOGY_MANAGEMENT_URL": api_url,
    }
    env |= {f"FLINT_{name.upper()}_DATABASE_URL": dsn for name, dsn in dsns.items()}
    return env | {f"FLINT_{role.upper()}_AMQP_URL": url for role, url in users.items()}


async def _broker_users(broker: Broker, amqp_url: str) -> dict[str, str]:
    """One user per service with exactly the permissions that the topology derives for it."""
    amqp = urlsplit(amqp_url)
    vhost = amqp.path.removeprefix("/")
    urls = {
        role: amqp._replace(
            netloc=f"{vhost}-{role}:{PASSWORD}@{amqp.hostname}:{amqp.port}"
        ).geturl()
        for role in ROLES
    }
    await apply_users(all_rooms(), urls, broker.api_url)
    return urls


async def make_demo(shop: Shop) -> dict[str, Any]:
    """A merchant with a key, a link and an order, made as an operator and over the API."""
    """A merchant with a key, a link and an order, made as an operator and over the API."""
    code, output = await shop.flint("merchant", "create", "Northwind Tea")
    assert code == 0, output
    found = dict(re.findall(r"^(\w+) (\S+)$", output, re.MULTILINE))
    shop.demo = {"url": shop.url, **found, "links": {}}
    line = {
        "name": "Tasting",
        "quantity": 1,
        "unit_price_money": {"amount": 4800, "currency": "USD"},
    }
    link = await _made(shop, "/v1/payment-links", STANDARD_LINK)
    order = await _made(shop, "/v1/orders", {"line_items": [line]})
    standard = {"payment_link_id": link["payment_link_id"], "url": link["url"]}
    return {**shop.demo, "links": {"standard": standard}, "order_id": order["order_id"]}


async def _made(shop: Shop, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The first of its kind: the services behind the gateway may still be on their way up."""
    headers = {"Idempotency-Key": f"demo:{path}"}
    deadline = time.monotonic() + START_SECONDS
    while True:
        async with shop.api() as http, http.post(path, json=body, headers=headers) as answer:
            if answer.status == 201:
                made: dict[str, Any] = (await answer.json())["data"]
                return made
            assert answer.status in (409, 503), await answer.text()
            assert time.monotonic() < deadline, await answer.text()
        await asyncio.sleep(0.1)


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _clean_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FLINT_")}


def free_port() -> int:
    """A port nobody uses now, below the range the kernel gives to clients."""

    while True:
        port = random.randrange(15_000, 20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
