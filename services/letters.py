"""`flint dead`: what nobody could handle, why, and sending it again.

Letters rest in the broker's parking queues. Looking takes them without acknowledging, so they
stay; a replay publishes them under a fresh publish id and the same event id, and only then
removes them: the inbox drops whatever had been handled after all.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from services.rooms import all_rooms
from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.topology import REQUESTS, parking_queue, topology
from shared.config import Settings
from shared.errors import Unavailable, not_found

LETTERS_MAX: Final = 1_000
WAIT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Letter:
    """One dead letter where it lies."""

    queue: str
    message: AbstractIncomingMessage

    @property
    def id(self) -> str:
        """The id that is deduplicated, not the publish's."""
        return str(self._header("x-event-id") or self.message.message_id)

    @property
    def reason(self) -> str:
        """Why it was buried; the broker's own reason for letters it moved itself."""
        return str(self._header("x-reason") or self._header("x-first-death-reason") or "unknown")

    def summary(self) -> str:
        """One line: where, what, how often tried, why."""
        attempts = self._header("x-attempt") or 1
        topic = self.message.type or "?"
        return f"{self.id}  {self.queue}  {topic}  attempts {attempts}  {self.reason}"

    def whole(self) -> str:
        """The summary, every header but secrets' values, and the body's size."""
        headers = {name: str(value)[:300] for name, value in (self.message.headers or {}).items()}
        lines = [self.summary(), *(f"    {name}: {value}" for name, value in headers.items())]
        return "\n".join([*lines, f"    body: {len(self.message.body)} bytes"])

    def _header(self, name: str) -> Any:
        return (self.message.headers or {}).get(name)


async def list_letters(settings: Settings) -> None:
    """Print a line per letter, and how many there are."""
    async with _parked(settings) as (_, letters):
        for letter in letters:
            _say(letter.summary())
        _say(f"{len(letters)} dead letters")


async def show_letter(settings: Settings, letter_id: str) -> None:
    """Print one whole; raises Refusal for an unknown id."""
    async with _parked(settings) as (_, letters):
        for letter in _chosen(letters, letter_id):
            _say(letter.whole())


async def replay_letters(settings: Settings, letter_id: str | None) -> None:
    """Send one or all back to where they came from."""
    async with _parked(settings) as (channel, letters):
        chosen = _chosen(letters, letter_id) if letter_id else letters
        for letter in chosen:
            await _replay(channel, letter)
            _say(f"sent again: {letter.summary()}")
        _say(f"{len(chosen)} sent again")


def _chosen(letters: list[Letter], letter_id: str) -> list[Letter]:
    chosen = [letter for letter in letters if letter.id == letter_id]
    if not chosen:
        raise not_found("dead letter")
    return chosen


async def _replay(channel: AbstractChannel, letter: Letter) -> None:
    message = letter.message
    headers = {
        name: value
        for name, value in (message.headers or {}).items()
        if not name.startswith("x-death") and not name.startswith("x-first-death")
    }
    again = Message(
        message.body,
        headers={**headers, "x-attempt": 1},
        content_type=message.content_type,
        type=message.type,
        message_id=uuid4().hex,
        delivery_mode=DeliveryMode.PERSISTENT,
    )
    requests = await channel.get_exchange(REQUESTS, ensure=False)
    await requests.publish(again, letter.queue, mandatory=True, timeout=WAIT_SECONDS)
    await message.ack()


@asynccontextmanager
async def _parked(settings: Settings) -> AsyncIterator[tuple[AbstractChannel, list[Letter]]]:
    """Every letter, held unacknowledged: closing the channel puts back what was not removed."""
    try:
        connection = await aio_pika.connect(
            settings.secret("topology_amqp_url"), timeout=WAIT_SECONDS
        )
        async with connection:
            channel = await connection.channel(on_return_raises=True)
            yield channel, await _take_all(channel)
    except BROKER_ERRORS as error:
        raise Unavailable(f"The dead letters cannot be reached: {explain(error)}") from error


async def _take_all(channel: AbstractChannel) -> list[Letter]:
    letters: list[Letter] = []
    queues = [spec.name for spec in topology(all_rooms())]
    for name in queues:
        if parking_queue(name) not in queues:
            continue
        parking = await channel.declare_queue(
            parking_queue(name), passive=True, timeout=WAIT_SECONDS
        )
        while len(letters) < LETTERS_MAX:
            message = await parking.get(fail=False, timeout=WAIT_SECONDS)
            if message is None:
                break
            letters.append(Letter(name, message))
    return letters


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
