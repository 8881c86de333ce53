"""Links as they were a moment ago: pressing the button need not ask for what was just shown.

Only a shortcut: links itself checks state, version and choices again when it resolves, and
whatever it refuses is looked at afresh.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from shared.contracts.links import ShownLink

RECENT_SECONDS: Final = 2.0
LINKS_MAX: Final = 2_000


class RecentLinks:
    """By slug, the newest `LINKS_MAX`, each for `RECENT_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: OrderedDict[str, tuple[float, ShownLink]] = OrderedDict()

    def put(self, slug: str, shown: ShownLink) -> None:
        """Remember what links just said."""
        self._shown[slug] = (self._clock() + RECENT_SECONDS, shown)
        self._shown.move_to_end(slug)
        if len(self._shown) > LINKS_MAX:
            self._shown.popitem(last=False)

    def get(self, slug: str) -> ShownLink | None:
        """What was said of it, if that was a moment ago and it could be resolved then."""
        until, shown = self._shown.get(slug, (0.0, None))
        if shown is None or self._clock() >= until or shown.unavailable_reason is not None:
            return None
        return shown
