"""What a process does between start and stop: signals, patience, and the order of the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from shared.db.migrate import MigrationError, pending
from shared.db.pool import Pool, is_outage, open_pool, reason
from shared.errors import Unavailable

log = structlog.get_logger("flint.process")
PATIENCE_SECONDS: Final = 2.0


class Stopped(Exception):
    """Asked to stop while still waiting to start: the end of a wait, not an error."""


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second SIGINT ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        log.info("process.stopping", signal=signal.Signals(number).name)
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def patient_pool(
    dsn: str, *, name: str, size: int, folders: Sequence[Path], stop: asyncio.Event
) -> Pool:
    """A pool on a migrated database, however late database and migrations come.

    Says every two seconds what it waits for. A schema newer than this code is an error.
    Raises Stopped when `stop` is set meanwhile.
    """
    while True:
        try:
            missing = await pending(dsn, folders)
            if not missing:
                return await open_pool(dsn, name=name, size=size)
            log.warning(
                "database.behind", database=name, missing=missing, next_step="run `flint migrate`"
            )
        except MigrationError:
            raise
        except Exception as error:
            if not (isinstance(error, Unavailable) or is_outage(error)):
                raise
            log.warning("database.unreachable", database=name, reason=reason(error))
        if await _is_set_within(stop, PATIENCE_SECONDS):
            raise Stopped


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
