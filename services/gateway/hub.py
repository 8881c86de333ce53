"""In-process wake-ups: whoever waits for a resource is told that something about it was said.

A hint, never the news itself: a waiter looks again and reads what is true. Another replica may
have heard the event instead of this one, so every wait also has a pace of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, TypeVar

T = TypeVar("T")
BELLS_MAX: Final = 20_000
PAUSE_FIRST_SECONDS: Final = 0.01
PAUSE_MAX_SECONDS: Final = 0.5


class Bell:
    """Rings when one of its keys is told; `wait` takes the ring, so a loop may wait again.

    With `topics` it stays silent for every other fact: each look costs a question to a service.
    """

    def __init__(self, topics: Collection[str] = ()) -> None:
        self.heard = ""  # the topic of the latest ring
        self._rung = asyncio.Event()
        self._topics = topics

    def ring(self, topic: str = "") -> None:
        """Wake the waiter, now or at its next `wait`."""
        if not self._topics or not topic or topic in self._topics:
            self.heard = topic
            self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """Whether it rang in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Hub:
    """Keys are resource ids. Beyond `bells_max` listeners a bell is silent: they only pace."""

    def __init__(self, bells_max: int = BELLS_MAX) -> None:
        self._bells: defaultdict[str, set[Bell]] = defaultdict(set)
        self._bells_max = bells_max
        self._count = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nobody listens at all, so that nothing needs to be looked into."""
        return not self._bells

    @contextmanager
    def listen(self, *keys: str, topics: Collection[str] = ()) -> Iterator[Bell]:
        """A bell for these keys. Listen first, look then: nothing told in between is missed."""
        bell = Bell(topics)
        is_heard = self._count < self._bells_max
        if is_heard:
            self._hang(bell, keys)
        try:
            yield bell
        finally:
            if is_heard:
                self._take_down(bell, keys)

    def tell(self, *keys: str | None, topic: str = "") -> None:
        """Ring every bell of these keys; unset keys are skipped. Never blocks."""
        for key in keys:
            for bell in self._bells.get(key or "", ()):
                bell.ring(topic)

    async def wait(self, key: str, timeout_seconds: float) -> bool:
        """Whether the key was told in time."""
        with self.listen(key) as bell:
            return await bell.wait(timeout_seconds)

    async def until(
        self,
        key: str,
        look: Callable[[], Awaitable[T | None]],
        *,
        seconds: float,
        topics: Collection[str] = (),
        told: Mapping[str, T] = MappingProxyType({}),
        pause_seconds: float = 0.0,
    ) -> T | None:
        """Look, whenever the key is told, and with growing pauses; None: not in time.

        The first look is at once or, where nothing can be there yet, after `pause_seconds`.
        A topic in `told` is all there is to learn: its value is the answer, without a look.
        """
        deadline = time.monotonic() + seconds
        pause = max(PAUSE_FIRST_SECONDS, pause_seconds)
        with self.listen(key, topics=topics) as bell:
            if pause_seconds:
                await bell.wait(pause_seconds)
            while (found := told.get(bell.heard) or await look()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                await bell.wait(min(pause, left))
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
        return found

    def _hang(self, bell: Bell, keys: tuple[str, ...]) -> None:
        self._count += 1
        for key in keys:
            self._bells[key].add(bell)

    def _take_down(self, bell: Bell, keys: tuple[str, ...]) -> None:
        self._count -= 1
        for key in keys:
            self._bells[key].discard(bell)
            if not self._bells[key]:
                del self._bells[key]
