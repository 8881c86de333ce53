"""What time it is, for all that is stored or compared between processes.

It is this machine's clock as long as that agrees with the database's. One that is wrong, or that
somebody sets while we run, is not believed: the database's time counts, carried on from the last
look at it by a clock that nobody can set. So an hour's difference between two machines neither
expires a page early nor makes a question too old to be answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

TOLERANCE_SECONDS: Final = 2.0
ROUND_TRIP_MAX_SECONDS: Final = 1.0  # an answer that took longer does not tell the time


class Clock:
    """One per process; `wall` and `steady` are the machine's two clocks, in seconds."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset: float | None = None  # the database's time less the steady clock's

    def seconds(self) -> float:
        """Unix time."""
        wall = self._wall()
        if self._offset is None:
            return wall
        carried = self._steady() + self._offset
        return wall if abs(wall - carried) <= TOLERANCE_SECONDS else carried

    def steady(self) -> float:
        """A moment, to say when something was asked."""
        return self._steady()

    def learn(self, database_seconds: float, asked_at: float) -> None:
        """The database just answered what time it has; `asked_at` is a moment of `steady`."""
        heard_at = self._steady()
        if heard_at - asked_at <= ROUND_TRIP_MAX_SECONDS:
            self._offset = database_seconds - (asked_at + heard_at) / 2

    def ahead_seconds(self) -> float:
        """How far this machine's clock is ahead of the database's; 0 while they agree."""
        if self._offset is None:
            return 0.0
        ahead = self._wall() - (self._steady() + self._offset)
        return ahead if abs(ahead) > TOLERANCE_SECONDS else 0.0


CLOCK: Final = Clock()


def unix_seconds() -> float:
    """The time, in seconds since 1970."""
    return CLOCK.seconds()


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.fromtimestamp(CLOCK.seconds(), UTC)


def warning() -> str:
    """What is wrong with this machine's clock, in one line; empty while nothing is."""
    ahead = CLOCK.ahead_seconds()
    if not ahead:
        return ""
    direction = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead):.0f} s {direction} the database's: set it by NTP"
