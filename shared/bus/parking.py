"""Dead letters over RabbitMQ: taking them from the parking queues, and sending them again.

Looking takes letters without acknowledging, so they stay. A replay publishes under a fresh
publish id and the same event id, and only then removes the letter: the inbox drops whatever had
been handled after all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.bus.addresses import connect_any
from shared.bus.line import BROKER_ERRORS, explain
from shared.bus.room import Room
from shared.bus.topology import REQUESTS, parking_queue, topology
from shared.errors import Unavailable

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


async def replay(channel: AbstractChannel, letter: Letter) -> None:
    """Back to the queue it came from, as a first attempt."""
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
async def parked(
    amqp_url: str, rooms: Sequence[Room]
) -> AsyncIterator[tuple[AbstractChannel, list[Letter]]]:
    """Every letter, held unacknowledged: closing the channel puts back what was not removed."""
    try:
        connection = await connect_any(amqp_url, WAIT_SECONDS)
        async with connection:
            channel = await connection.channel(on_return_raises=True)
            yield channel, await _take_all(channel, rooms)
    except BROKER_ERRORS as error:
        raise Unavailable(f"The dead letters cannot be reached: {explain(error)}") from error


async def _take_all(channel: AbstractChannel, rooms: Sequence[Room]) -> list[Letter]:
    letters: list[Letter] = []
    queues = [spec.name for spec in topology(rooms)]
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
