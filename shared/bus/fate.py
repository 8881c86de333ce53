"""What a failure deserves, decided in one place: refused, retried, or buried."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from pydantic import ValidationError

from shared.db.pool import is_outage
from shared.errors import Refusal, Unavailable

ATTEMPTS_MAX: Final = 10
# Attempts 1–3 wait 5 s, 4–6 30 s, 7–9 300 s; the tenth failure is buried.
RETRY_DELAYS_SECONDS: Final[tuple[float, ...]] = (5.0, 30.0, 300.0)
ATTEMPTS_PER_DELAY: Final = 3


class Fate(Enum):
    """What becomes of a message after its handler ran."""

    ACK = "ack"
    REFUSE = "refuse"  # answered or logged, never retried
    RETRY = "retry"
    BURY = "bury"


def fate(error: BaseException | None, *, attempt: int, attempts_max: int = ATTEMPTS_MAX) -> Fate:
    """The fate of a message whose `attempt`-th delivery ended with `error`."""
    if error is None:
        return Fate.ACK
    if isinstance(error, Refusal):
        return Fate.REFUSE
    if isinstance(error, ValidationError):
        return Fate.BURY
    if isinstance(error, Unavailable) or is_outage(error):
        return Fate.RETRY if attempt < attempts_max else Fate.BURY
    return Fate.BURY


def retry_level(attempt: int, levels: int = len(RETRY_DELAYS_SECONDS)) -> int:
    """Which of the delays follows the `attempt`-th failure (0 is the shortest)."""
    return min((attempt - 1) // ATTEMPTS_PER_DELAY, levels - 1)


def retry_delay(attempt: int, delays: Sequence[float] = RETRY_DELAYS_SECONDS) -> float:
    """Seconds to wait after the `attempt`-th failure."""
    return delays[retry_level(attempt, len(delays))]
