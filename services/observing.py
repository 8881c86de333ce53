"""What a process does to be seen: gauges that are kept true, the loop's lag, spans that leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from shared.bus.meter import Meter
from shared.bus.service import Service
from shared.config import Settings
from shared.loops import endless
from shared.telemetry import metrics, tracing
from shared.version import VERSION

LAG_EVERY_SECONDS: Final = 0.25
CLOSE_SECONDS: Final = 5.0


async def measure(services: Iterable[Service], settings: Settings) -> None:
    """Keep the gauges true until cancelled; without an internal port nobody could read them."""
    metrics.built(VERSION)
    if settings.internal_port is None:
        await asyncio.Event().wait()
    async with asyncio.TaskGroup() as group:
        group.create_task(endless("lag", _feel_lag()))
        for service in services:
            group.create_task(endless("meter", Meter(service).run()))


async def _feel_lag() -> None:
    """How much later than asked a sleeper wakes is how long others held the loop."""
    while True:
        due = time.monotonic() + LAG_EVERY_SECONDS
        await asyncio.sleep(LAG_EVERY_SECONDS)
        metrics.LOOP_LAG.observe(max(0.0, time.monotonic() - due))


@asynccontextmanager
async def traced(service: str) -> AsyncIterator[None]:
    """Spans are recorded and exported while the block runs, if the environment asks for it."""
    tracing.open_if_wanted(service, VERSION)
    try:
        yield
    finally:
        await asyncio.wait_for(asyncio.to_thread(tracing.close), CLOSE_SECONDS)
