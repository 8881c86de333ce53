"""Rate limits of the public door: so many requests a second per key, in this process's memory.

Written here (GCRA, one number per key) because the memory store of the `limits` library walks
over all keys on every hit: 350 to 670 µs each with 10 000 addresses, which is the flood it is for.
Each of n replicas counts alone and grants its n-th part, since a proxy deals requests out evenly;
`share` is told n whenever it changes. A count in common would be one more question per request.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KEYS_MAX: Final = 50_000


class RateLimit:
    """`per_second` on the long run, `burst` at once (default: one second's worth)."""

    def __init__(
        self,
        per_second: float,
        burst: float | None = None,
        *,
        keys_max: int = KEYS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst_seconds = (burst or per_second) / per_second
        self.share(1)
        self._keys_max = keys_max
        self._clock = clock
        self._next: OrderedDict[str, float] = OrderedDict()

    def share(self, replicas: int) -> None:
        """Grant one of `replicas` equal parts from now on, and one request at least."""
        self._interval = max(replicas, 1) / self._per_second
        self._tolerance = max(self._burst_seconds, self._interval)

    def take(self, key: str) -> float:
        """0 when it may pass; else the seconds after which it may, and nothing is taken."""
        now = self._clock()
        arrival = max(self._next.get(key, now), now) + self._interval
        wait_seconds = arrival - now - self._tolerance
        if wait_seconds > 1e-9:  # Sums of floats: ten tenths are not quite one.
            return wait_seconds
        self._next[key] = arrival
        self._next.move_to_end(key)
        if len(self._next) > self._keys_max:
            self._next.popitem(last=False)
        return 0.0
