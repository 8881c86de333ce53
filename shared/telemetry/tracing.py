"""Spans, if somebody collects them; without a tracer they cost nothing and import nothing.

The parent of a span is the current scope's traceparent, and inside it the scope's traceparent is
the span's own. So one text carries a trace through requests, outbox rows, messages and SQL,
whether or not any process on the way records it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Final, Literal, Protocol

import structlog

from shared.telemetry import scope

log = structlog.get_logger("flint.telemetry")
Kind = Literal["server", "client", "producer", "consumer", "internal"]
Value = str | int | float | bool
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Span(Protocol):
    """Something that took time. Attributes never hold what a person typed."""

    @property
    def traceparent(self) -> str:
        """Its own W3C name, for what it causes."""
        ...

    def set(self, name: str, value: Value) -> None:
        """One attribute."""
        ...

    def fail(self, reason: str) -> None:
        """It did not work; `reason` is without values."""
        ...

    def end(self) -> None:
        """Finished: it may be exported now. A span that never ends is never seen."""
        ...


class Tracer(Protocol):
    """Whoever records spans."""

    def start(
        self,
        name: str,
        kind: Kind,
        parent: str,
        attributes: Mapping[str, Value],
        *,
        seconds_ago: float = 0.0,
    ) -> Span:
        """A span that began that long ago, under a parent given as a traceparent."""
        ...

    def close(self) -> None:
        """Export what is left, within a bound. Blocks: call it in a thread."""
        ...


class _NoSpan:
    traceparent = ""

    def set(self, name: str, value: Value) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def end(self) -> None:
        pass


class _NothingRecorded(AbstractContextManager[Span]):
    """One for all: what `span` is while nobody collects."""

    def __init__(self) -> None:
        self.span: Span = _NoSpan()

    def __enter__(self) -> Span:
        return self.span

    def __exit__(self, *_: object) -> None:
        pass


NOTHING: Final = _NothingRecorded()
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """Record spans from now on (None: no more)."""
    global _tracer  # noqa: PLW0603 there is one tracer per process, as there is one log
    _tracer = tracer


def is_on() -> bool:
    """Whether spans are recorded."""
    return _tracer is not None


def is_wanted() -> bool:
    """Whether the OTEL_… environment names a collector."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return any(os.environ.get(name) for name in ENDPOINTS)


def span(name: str, kind: Kind = "internal", **attributes: Value) -> AbstractContextManager[Span]:
    """A span around a block, as a child of the current scope's; nothing outside of any scope."""
    here = scope.current()
    if _tracer is None or here is None or not here.is_recorded:
        return NOTHING
    return _recorded(_tracer, here, name, kind, attributes)


@contextmanager
def _recorded(
    tracer: Tracer, here: scope.Scope, name: str, kind: Kind, attributes: Mapping[str, Value]
) -> Iterator[Span]:
    one = tracer.start(name, kind, here.traceparent, _dotted(attributes))
    try:
        with scope.within(replace(here, traceparent=one.traceparent)):
            yield one
    except BaseException as error:
        one.fail(type(error).__name__)
        raise
    finally:
        one.end()


def begin(name: str) -> Span:
    """The root of a trace, for who cannot know yet whether it is worth one: `end` it if so."""
    return _tracer.start(name, "internal", "", {}) if _tracer else NOTHING.span


def note(name: str, kind: Kind, *, took_seconds: float, failed: str = "", **given: Value) -> None:
    """A span that is over already, as a child of the current scope's."""
    here = scope.current()
    if _tracer is None or here is None or not here.is_recorded:
        return
    began = _tracer.start(name, kind, here.traceparent, _dotted(given), seconds_ago=took_seconds)
    if failed:
        began.fail(failed)
    began.end()


def open_if_wanted(service: str, version: str) -> None:
    """Record spans from now on, if a collector is named. Without the `otel` extra: say so once."""
    if not is_wanted():
        return
    try:
        from shared.telemetry import otel
    except ImportError:
        log.warning("tracing.unavailable", next_step="install flint-pay[otel]")
        return
    install(otel.open_tracer(service, version))


def close() -> None:
    """Export what is left and record no more. Blocks, within a bound."""
    tracer = _tracer
    install(None)
    if tracer is not None:
        tracer.close()


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """`http_route` → `http.route`: OpenTelemetry's names are no Python names."""
    return {name.replace("__", "."): value for name, value in attributes.items()}
