"""Acknowledgements of one channel, many in one frame where their order allows.

Every acknowledgement is a frame for the client and a log entry for a quorum queue. Deliveries
that are settled in the same turn of the loop and have nothing unsettled before them are
acknowledged together ("multiple"); one behind a slow delivery goes alone, so that a slow handler
never holds back the prefetch window of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import structlog

from shared.bus.line import BROKER_ERRORS, explain

log = structlog.get_logger("flint.amqp")


class AckChannel(Protocol):
    """What is needed of a channel."""

    def basic_ack(
        self, delivery_tag: int, multiple: bool = False, wait: bool = True
    ) -> Awaitable[None]:
        """Write one acknowledgement."""
        ...


class Acks:
    """`taken` in the order of delivery, then `settled` or `given_back` for each."""

    def __init__(self, channel: AckChannel) -> None:
        self._channel = channel
        self._open: dict[int, bool] = {}  # delivery tag → settled, in the order of delivery
        self._writing: asyncio.Task[None] | None = None

    def taken(self, tag: int) -> None:
        """A delivery began."""
        self._open[tag] = False

    def settled(self, tag: int) -> None:
        """Done with it: acknowledged before the loop comes around."""
        self._open[tag] = True
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    def given_back(self, tag: int) -> None:
        """Rejected by itself: it is not ours any more."""
        self._open.pop(tag, None)

    async def written(self) -> None:
        """Wait until everything settled so far has been written."""
        while self._writing is not None and not self._writing.done():
            await self._writing

    async def _write(self) -> None:
        await asyncio.sleep(0)  # whatever else is settled in this turn goes along
        while frames := self._frames():
            for tag, is_multiple in frames:
                try:
                    await self._channel.basic_ack(tag, multiple=is_multiple, wait=False)
                except BROKER_ERRORS as error:  # the broker delivers again; the inbox drops it
                    log.debug("message.not_acknowledged", reason=explain(error))
                    return

    def _frames(self) -> list[tuple[int, bool]]:
        """What can be written now: (tag, multiple)."""
        frames: list[tuple[int, bool]] = []
        together: list[int] = []
        has_gap = False
        for tag, is_settled in self._open.items():
            if not is_settled:
                has_gap = True
            elif has_gap:
                frames.append((tag, False))
            else:
                together.append(tag)
        if together:
            frames.insert(0, (together[-1], len(together) > 1))
        for tag in (*together, *(tag for tag, _ in frames)):
            self._open.pop(tag, None)
        return frames
