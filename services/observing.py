"""What a process does to be seen: gauges that are kept true, the loop's lag, spans that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from shared.bus.meter import Meter
from shared.bus.service import Service
from shared.config import Settings
from shared.loops import LAG, endless
from shared.telemetry import metrics, tracing
from shared.version import VERSION

CLOSE_SECONDS: Final = 5.0


async def measure(services: Iterable[Service], settings: Settings) -> None:
    """Watch the loop and keep the gauges true, until cancelled."""
    metrics.built(VERSION)
    async with asyncio.TaskGroup() as group:
        group.create_task(endless("lag", LAG.watch(metrics.LOOP_LAG.observe)))
        if settings.internal_port is not None:  # else nobody could read them
            for service in services:
                group.create_task(endless("meter", Meter(service).run()))


@asynccontextmanager
async def traced(service: str) -> AsyncIterator[None]:
    """Spans are recorded and exported while the block runs, if the environment asks for it."""
    tracing.open_if_wanted(service, VERSION)
    try:
        yield
    finally:
        await asyncio.wait_for(asyncio.to_thread(tracing.close), CLOSE_SECONDS)
