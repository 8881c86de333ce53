"""The tracer on OpenTelemetry's SDK, exporting by OTLP over HTTP. Only with the extra `otel`.

Endpoint, headers, sampler and limits come from the standard OTEL_… variables. Attributes are those
that our own code sets: no paths, no queries, no bodies, so there is nothing to redact.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from shared.logs import instance
from shared.telemetry.tracing import Kind, Value

FLUSH_MILLISECONDS: Final = 3_000
_KINDS: Final[Mapping[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}


def open_tracer(service: str, version: str) -> OtelTracer:
    """Start exporting in a thread of the SDK's own. OTEL_SERVICE_NAME overrides the name."""
    resource = Resource.create(
        {
            "service.namespace": "flint",
            "service.name": f"flint-{service}",
            "service.version": version,
            "service.instance.id": instance(),
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


class OtelTracer:
    """Our port on theirs: a parent is a traceparent, and so is what a span is called onward."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("flint")

    def start(
        self,
        name: str,
        kind: Kind,
        parent: str,
        attributes: Mapping[str, Value],
        *,
        seconds_ago: float = 0.0,
    ) -> OtelSpan:
        """See the port."""
        context = set_span_in_context(NonRecordingSpan(_parsed(parent))) if parent else None
        span = self._tracer.start_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=attributes,
            start_time=time.time_ns() - int(seconds_ago * 1e9),
        )
        return OtelSpan(span)

    def close(self) -> None:
        """Flush what is left, and stop the SDK's thread."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()


class OtelSpan:
    """One span."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """Its W3C name; the sampler's word is in the flags."""
        of = self._span.get_span_context()
        return f"00-{of.trace_id:032x}-{of.span_id:016x}-{int(of.trace_flags):02x}"

    def set(self, name: str, value: Value) -> None:
        """One attribute."""
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """It did not work."""
        self._span.set_status(StatusCode.ERROR, reason)

    def end(self) -> None:
        """Finished."""
        self._span.end()


def _parsed(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
    )
