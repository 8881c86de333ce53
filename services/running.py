"""What a process does between start and stop: signals, patience, and the order of the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from shared.db.migrate import MigrationError, examine
from shared.db.pool import Pool, is_outage, open_pool, trouble
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
    """A pool on a migrated database, however late database, role and migrations come.

    Says every two seconds what it waits for, and goes on by itself when that is mended.
    Raises Stopped when `stop` is set meanwhile.
    """
    while True:
        try:
            schema = await examine(dsn, folders)
            if schema.newer:  # they only added: see the rules in deploy/README.md
                log.info("database.newer", database=name, files=schema.newer)
            if not schema.missing:
                return await open_pool(dsn, name=name, size=size)
            missing = schema.missing
            log.warning(
                "database.behind", database=name, missing=missing, next_step="run `flint migrate`"
            )
        except MigrationError as error:
            log.warning("database.unusable", database=name, reason=str(error))
        except Exception as error:
            if not (isinstance(error, Unavailable) or is_outage(error)):
                raise
            words = str(error) if isinstance(error, Unavailable) else trouble(error)
            log.warning("database.unreachable", database=name, reason=words)
        if await _is_set_within(stop, PATIENCE_SECONDS):
            raise Stopped


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
