"""Several gateways of one installation are one gateway to whoever asks."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.rigs import eventually
from tests.support.shops import FLINT, STOP_SECONDS, Shop, free_port

LIMIT = 40  # per second, and at once


@pytest.fixture
async def second_gateway(rabbit_shop: Shop, tmp_path: Path) -> AsyncIterator[str]:
    """The address of one more gateway, with a rate limit that can be reached."""
    port = free_port()
    env = {"FLINT_PORT": str(port), "FLINT_RATE_LIMIT_PER_SECOND": str(LIMIT)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [FLINT, "serve", "gateway"], env=rabbit_shop.env | env, stdout=log, stderr=log
        )
    try:
        yield f"http://localhost:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, STOP_SECONDS)


async def test_one_of_two_gateways_grants_half_of_what_a_key_may(
    rabbit_shop: Shop, second_gateway: str
) -> None:
    headers = {"Authorization": f"Bearer {rabbit_shop.api_key}"}
    async with aiohttp.ClientSession(second_gateway, headers=headers) as http:

        async def status() -> int:
            try:
                async with http.get("/v1/orders/ord_nobody") as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                return 0

        async def is_halved() -> bool:
            at_once = await asyncio.gather(*(status() for _ in range(LIMIT)))
            if at_once.count(429) < LIMIT // 4:  # Not up yet, or not told yet of the other one.
                await asyncio.sleep(1.1)  # The burst comes back with time alone.
                return False
            return True

        await eventually(is_halved, 40)
