"""The internal door of a service: what it says while it waits, works and stops."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.rigs import eventually
from tests.support.shops import FLINT, STOP_SECONDS, Shop, free_port

WAITING = {"migrations": False, "database": False, "broker": False, "relay": False}
WORKING = dict.fromkeys(WAITING, True)


class Probed:
    """One service with an internal door."""

    def __init__(self, env: dict[str, str], output: Path, *services: str) -> None:
        port = free_port()
        self.url = f"http://localhost:{port}"
        with output.open("wb") as log:
            self.process = subprocess.Popen(
                [FLINT, "serve", *services],
                env=env | {"FLINT_INTERNAL_PORT": str(port)},
                stdout=log,
                stderr=log,
            )

    async def says(self, path: str) -> tuple[int, Any]:
        """The answer of the door, once it is open."""

        async def answer() -> tuple[int, Any] | None:
            try:
                async with aiohttp.ClientSession() as http, http.get(self.url + path) as answer:
                    return answer.status, await answer.json()
            except aiohttp.ClientConnectionError:
                return None

        found: tuple[int, Any] = await eventually(answer)
        return found

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS)


@pytest.fixture
async def waiting(rabbit_shop: Shop, tmp_path: Path) -> AsyncIterator[Probed]:
    """A service whose database does not answer."""
    nowhere = f"postgresql://flint_links@127.0.0.1:{free_port()}/flint_links"
    probed = Probed(
        rabbit_shop.env | {"FLINT_LINKS_DATABASE_URL": nowhere}, tmp_path / "log", "links"
    )
    yield probed
    probed.process.kill()
    probed.process.wait(STOP_SECONDS)


async def test_a_service_without_its_database_lives_and_is_not_ready(waiting: Probed) -> None:
    assert await waiting.says("/livez") == (200, {"status": "ok"})

    status, body = await waiting.says("/readyz")

    assert status == 503
    assert body == {"status": "unavailable", "checks": {"links": WAITING | {"accepting": True}}}


async def test_a_service_that_waits_for_its_database_stops_when_it_is_told(
    waiting: Probed,
) -> None:
    await waiting.says("/livez")

    assert await waiting.stop() == 0


async def test_a_service_that_has_everything_is_ready(rabbit_shop: Shop, tmp_path: Path) -> None:
    probed = Probed(rabbit_shop.env, tmp_path / "log", "links", "sessions")
    try:

        async def is_ready() -> bool:
            return (await probed.says("/readyz"))[0] == 200

        await eventually(is_ready)
        _, body = await probed.says("/readyz")
    finally:
        code = await probed.stop()

    well = WORKING | {"accepting": True}
    assert body == {"status": "ok", "checks": {"links": well, "sessions": well}}
    assert code == 0
