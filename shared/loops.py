"""Cancellation that drivers garble, loops that must never end, and one that watches their clock.

A lost connection can end a coroutine with `CancelledError` though nobody cancelled its task, and
a `TaskGroup` takes such a child for one that was cancelled on purpose: a relay would be gone
while its service still looks healthy. The other way round, a task that really is cancelled can
come out of a broken connection with another error, and whoever catches that never stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

log = structlog.get_logger("flint.loop")

LAG_EVERY_SECONDS: Final = 0.25
LAG_SECONDS_MAX: Final = 1.0


class LoopEnded(Exception):
    """A loop that has no end has ended: a bug, and the process has to be started again."""


async def endless(name: str, loop: Coroutine[Any, Any, None]) -> None:
    """Run a loop until this task is cancelled; raises LoopEnded if it ends by itself."""
    try:
        await loop
    except asyncio.CancelledError:
        if is_cancelled():
            raise
    raise LoopEnded(f"the loop {name!r} ended by itself")


def is_cancelled() -> bool:
    """Whether somebody really cancelled the running task; else the driver only said so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def stay_cancelled(error: BaseException | None = None) -> None:
    """Raises CancelledError if the task is cancelled, whatever came of its wait instead.

    Another error, or none: `asyncio.wait_for` of Python 3.11 forgets a cancellation that comes
    in the same turn as the result.
    """
    if is_cancelled():
        raise asyncio.CancelledError from error


class Lag:
    """How late the event loop comes to what is due. Whatever holds it up holds up everybody: the
    buyers, and the heartbeats without which a broker takes its connections for dead.
    """

    def __init__(self) -> None:
        self.last_seconds = 0.0

    async def watch(self, measured: Callable[[float], None] = lambda _: None) -> None:
        """Measure until cancelled; says so when nothing could run for more than a second."""
        while True:
            due = time.monotonic() + LAG_EVERY_SECONDS
            await asyncio.sleep(LAG_EVERY_SECONDS)
            self.last_seconds = max(0.0, time.monotonic() - due)
            measured(self.last_seconds)
            if self.last_seconds > LAG_SECONDS_MAX:
                log.warning("loop.blocked", lag_seconds=round(self.last_seconds, 3))


LAG: Final = Lag()  # of this process: it runs one event loop
