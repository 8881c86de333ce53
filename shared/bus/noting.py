"""What is seen of a message: its log line, its span, its count. Nothing here changes its fate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Final

import structlog

from shared.bus.fate import Fate
from shared.bus.transport import Settled
from shared.contracts.base import TOPICS, Envelope
from shared.ids import new_id
from shared.redaction import clean
from shared.telemetry import metrics, scope, tracing
from shared.telemetry.tracing import Span

log = structlog.get_logger("flint.bus")
LOUD: Final = (Fate.BURY, Fate.RETRY)


@contextmanager
def handling(room: str, envelope: Envelope) -> Iterator[Callable[[Settled], None]]:
    """The scope and the span of one delivery; the block says in the end what became of it."""
    started = time.perf_counter()
    here = scope.of_message(room, envelope)
    with scope.within(here), _span("handle", "consumer", room, envelope) as span:

        def note(settled: Settled) -> None:
            span.set("flint.fate", settled.fate.value)
            if settled.fate is not Fate.ACK:
                span.fail(settled.reason)
            took_seconds = time.perf_counter() - started
            metrics.handled(room, envelope.topic, settled.fate.value, took_seconds)
            _say(envelope, settled, took_seconds)

        yield note


def asking(topic: str) -> AbstractContextManager[Span]:
    """The span of a question and its answer."""
    return tracing.span(f"ask {topic}", "client", messaging__destination__name=topic)


@contextmanager
def publishing(room: str, envelope: Envelope) -> Iterator[Envelope]:
    """The scope and the span of a row that leaves; the envelope is the one to send."""
    here = scope.of_message(room, envelope)
    with scope.within(here), _span("publish", "producer", room, envelope):
        context = scope.onward(envelope.context)
        yield envelope if context is envelope.context else replace(envelope, context=context)


@contextmanager
def stranger(room: str, queue: str, reason: str) -> Iterator[None]:
    """The scope of a message that says nothing we understand, not even whose it is."""
    with scope.within(scope.Scope(new_id("req"), scope.mint(), room)):
        metrics.handled(room, "malformed", Fate.BURY.value, 0.0)
        log.warning("message.malformed", queue=queue, reason=reason)
        yield


@contextmanager
def sweeping(room: str, name: str) -> Iterator[Callable[[int], None]]:
    """The scope of one batch of a sweep. It begins a trace only if it found something to do."""
    root = tracing.begin(f"sweep {name}")
    traceparent = root.traceparent or scope.mint()
    here = scope.Scope(f"sweep:{name}", traceparent, room, is_recorded=False)

    def note(taken: int) -> None:
        metrics.swept(room, name, taken)
        if taken:
            root.set("flint.rows", taken)
            root.end()

    with scope.within(here):
        yield note


def _span(
    name: str, kind: tracing.Kind, room: str, envelope: Envelope
) -> AbstractContextManager[Span]:
    if not tracing.is_on():  # asked first: this runs for every message
        return tracing.NOTHING
    topic = envelope.topic if envelope.topic in TOPICS else metrics.OTHER  # a stranger's
    return tracing.span(
        f"{name} {topic}",
        kind,
        messaging__operation__name=name,
        messaging__destination__name=topic,
        messaging__message__id=clean(envelope.id),
        flint__room=room,
        flint__attempt=envelope.attempt,
    )


def _say(envelope: Envelope, settled: Settled, took_seconds: float) -> None:
    """One line per message is enough to follow a checkout; only failures are loud."""
    say = log.warning if settled.fate in LOUD else log.debug
    say(
        "message.handled",
        topic=envelope.topic,
        message_id=envelope.id,
        fate=settled.fate.value,
        reason=settled.reason,
        handler=settled.handler,
        attempt=envelope.attempt,
        took_ms=round(took_seconds * 1000, 1),
    )
