"""The installation in containers, as deploy/ starts it, with a name, port and secrets of its own.

On Linux a container's address is reached from its host, which is how tests look into databases and
the broker of a stack that publishes neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from services.rooms import DATABASES, ROLES
from tests.support.servers import NoServer, docker_answers, short_folder
from tests.support.shops import Shop, free_port, make_demo

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
IMAGE: Final = "flint:test"
COMMAND_SECONDS: Final = 180.0
LOG_LINES: Final = "60"
SETTLE_SECONDS: Final = "2"  # nothing here is held for longer


@dataclass(frozen=True)
class Restored:
    """A backup to begin with, and the keys that are in it."""

    folder: Path
    demo: dict[str, Any]


@dataclass
class Stack:
    """A running `deploy/compose.yaml`, and its shop as all other tests know one."""

    env: dict[str, str]
    secrets: Path
    shop: Shop

    async def compose(self, *arguments: str) -> str:
        """What `docker compose` printed; a failure shows what the containers said."""
        return await run(["docker", "compose", "--progress", "quiet", *arguments], self.env)

    async def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return (await self.compose("ps", "--quiet", service)).split()

    async def operator(self, *arguments: str) -> str:
        """A flint command as an operator runs it."""
        return await self.compose("run", "--rm", "--no-TTY", "operator", *arguments)

    async def roll(self) -> str:
        """Replace every service, as an upgrade does."""
        return await run(["sh", "roll.sh"], self.env)

    async def copy_to(self, folder: Path) -> None:
        """A backup, taken while it sells."""
        settled = self.env | {"SETTLE_SECONDS": SETTLE_SECONDS}
        print(await run(["./backup.sh", "--compose", str(folder)], settled))

    async def start(self, backup: Path | None = None) -> None:
        """Everything; from a backup as deploy/README.md tells it, what it stands on first."""
        if backup is not None:
            servers = [one for one in await self.services() if is_server(one)]
            await self.compose("up", "--detach", "--wait", *servers)
            for job in ("migrate", "topology"):
                await self.compose("run", "--rm", "--no-deps", job)
            await run(["./restore.sh", "--compose", str(backup)], self.env)
        await self.compose("up", "--detach", "--wait", "--wait-timeout", "150")

    async def services(self) -> list[str]:
        """The names of all that its files start."""
        return (await self.compose("config", "--services")).split()

    def url(self, container: str, setting: str) -> str:
        """A secret address of one container, with hosts that this machine can reach."""
        return self.reachable((self.secrets / container / setting.lower()).read_text().strip())

    def reachable(self, url: str) -> str:
        """An address of the inside as it is reached from here."""
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        name, _, port = hosts.split(",")[0].partition(":")
        host = self.env[f"ADDRESS_OF_{name}"] + (f":{port}" if port else "")
        return parts._replace(netloc=f"{login}@{host}").geturl()


async def run(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """A program in deploy/; its output, which is also the message if it fails."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=DEPLOY,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    assert process.returncode == 0, f"{' '.join(argv)}: {output.decode()}{errors.decode()}"
    return output.decode()


async def build_image() -> None:
    """The image that all stacks of this run use."""
    if not docker_answers():
        raise NoServer("No container engine answers: the tests of tests/compose did not run.")
    await run(["docker", "compose", "build", "--quiet"], environment("flint-test", Path(), 0))


@contextlib.asynccontextmanager
async def running_stack(
    *files: str, restored: Restored | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """An installation that has a demo merchant, or what a backup holds; nothing is left of it.

    `files` are the compose files in deploy/, `settings` what deploy/README.md lists.
    """
    with short_folder("stack") as folder:
        port = free_port()
        env = environment(f"flint-{secrets.token_hex(3)}", folder / "secrets", port)
        env |= dict(settings or {}) | {"COMPOSE_FILE": ":".join(files)}
        shop = Shop("rabbitmq", f"http://localhost:{port}", {}, folder)
        stack = Stack(env, folder / "secrets", shop)
        try:
            began = time.monotonic()
            await stack.start(restored.folder if restored else None)
            print(f"up in {time.monotonic() - began:.1f} s")
            await _look_inside(stack)
            shop.demo = restored.demo if restored else await make_demo(shop)
            yield stack
        except BaseException:
            print(await stack.compose("logs", "--no-color", "--tail", LOG_LINES))
            raise
        finally:
            await stack.compose("down", "--volumes", "--timeout", "1")


def environment(project: str, secrets_folder: Path, port: int) -> dict[str, str]:
    """What a stack is told by its environment; ours alone, whatever this machine sets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLINT_")}
    return kept | {
        "COMPOSE_PROJECT_NAME": project,
        "COMPOSE_FILE": "compose.yaml",
        "FLINT_IMAGE": IMAGE,
        "FLINT_SECRETS": str(secrets_folder),
        "FLINT_PORT": str(port),
        "FLINT_RATE_LIMIT_PER_SECOND": "100000",
        "FLINT_BUYER_RATE_LIMIT_PER_SECOND": "100000",
    }


async def _look_inside(stack: Stack) -> None:
    """Let the shop's own commands and questions reach its databases and its broker."""
    for name in await stack.services():
        if is_server(name):
            stack.env[f"ADDRESS_OF_{name}"] = await address_of(stack, name)
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLINT_")}
    env["FLINT_PUBLIC_URL"] = stack.shop.url
    for name in DATABASES:
        setting = f"FLINT_{name.upper()}_DATABASE_URL"
        env[setting] = stack.url("operator", setting)
    for role in ROLES:
        setting = f"FLINT_{role.upper()}_AMQP_URL"
        env[setting] = stack.url(role, setting)
    env["FLINT_TOPOLOGY_AMQP_URL"] = stack.url("operator", "FLINT_TOPOLOGY_AMQP_URL")
    stack.shop.env = env
    stack.shop.amqp_url = env["FLINT_TOPOLOGY_AMQP_URL"]


def is_server(name: str) -> bool:
    """Whether a compose service is one that others stand on."""
    return name == "postgres" or name.startswith("rabbitmq")


async def address_of(stack: Stack, service: str) -> str:
    """Where the only container of a service is on the internal network."""
    (container,) = await stack.containers(service)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return (await run(["docker", "inspect", "--format", form, container], stack.env)).strip()
