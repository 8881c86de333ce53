"""A system beside ours: another client library, a thread and a queue of its own, no code shared."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel

Json = dict[str, Any]
T = TypeVar("T")
EVENTS: Final = "flint.events"
TICK_SECONDS: Final = 0.1
WAIT_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Heard:
    """One message as the broker delivered it."""

    routing_key: str
    properties: Any
    body: bytes

    @property
    def event(self) -> Json:
        """The CloudEvent."""
        read: Json = json.loads(self.body)
        return read

    @property
    def is_public(self) -> bool:
        """Private facts have neither subject nor sequence."""
        return "subject" in self.event


@dataclass
class Outsider:
    """Hears everything on the events exchange, once per event id."""

    amqp_url: str
    _heard: dict[str, Heard] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _bound: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def heard(self) -> list[Heard]:
        """All so far, in order of arrival."""
        with self._changed:
            return list(self._heard.values())

    def public(self, *subjects: str) -> list[Json]:
        """The public events so far, about some subjects or all."""
        events = [one.event for one in self.heard if one.is_public]
        return [one for one in events if not subjects or one["subject"] in subjects]

    def until(self, check: Callable[[], T | None], seconds: float = WAIT_SECONDS) -> T:
        """What `check` finds once enough has been heard; it is asked after every message."""
        found: list[T] = []

        def is_found() -> bool:
            value = check()
            found[:] = [] if value is None else [value]
            return bool(found)

        with self._changed:
            in_time = self._changed.wait_for(is_found, seconds)
        assert in_time, f"never heard; there was {[one.routing_key for one in self.heard]}"
        return found[0]

    def until_told(self, *wanted: tuple[str, str]) -> None:
        """Until every (type, subject) has been heard."""

        def is_told() -> bool | None:
            told = {(one["type"], one["subject"]) for one in self.public()}
            return True if set(wanted) <= told else None

        self.until(is_told)

    def run(self) -> None:
        """The thread: bind a queue with `#`, take what comes until it is told to stop."""
        connection = pika.BlockingConnection(pika.URLParameters(self.amqp_url))
        try:
            channel = connection.channel()
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, EVENTS, "#")
            self._bound.set()
            self._take(channel, queue)
        finally:
            connection.close()

    def _take(self, channel: BlockingChannel, queue: str) -> None:
        for method, properties, body in channel.consume(
            queue, auto_ack=True, inactivity_timeout=TICK_SECONDS
        ):
            if self._stop.is_set():
                return
            if method is None:
                continue
            one = Heard(method.routing_key, properties, body)
            with self._changed:
                self._heard.setdefault(one.event["id"], one)
                self._changed.notify_all()


@contextmanager
def listening(amqp_url: str) -> Iterator[Outsider]:
    """An outsider whose queue is bound, until the block ends."""
    outsider = Outsider(amqp_url)
    thread = threading.Thread(target=outsider.run, name="outsider", daemon=True)
    thread.start()
    try:
        assert outsider._bound.wait(WAIT_SECONDS), "the broker did not let it bind"
        yield outsider
    finally:
        outsider._stop.set()
        thread.join(WAIT_SECONDS)
