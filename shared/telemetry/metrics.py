"""Every metric of Flint, in one place: what it counts, and labels from bounded sets only.

Counting is a few additions in memory whether or not anybody scrapes. No label ever holds an id or
anything a person typed: topics, routes and methods that nobody declared count as `other`.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from shared.contracts.base import TOPICS

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time stamp beside every counter
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

OTHER: Final = "other"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"flint_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"flint_{name}", text, labels, registry=REGISTRY)


def _seconds(name: str, text: str, *labels: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
    return Histogram(f"flint_{name}_seconds", text, labels, registry=REGISTRY, buckets=buckets)


BUILD: Final = _gauge("build_info", "Always 1; the labels say what runs", "version", "python")

# Counted where it happens.
HTTP_REQUESTS: Final = _counter(
    "http_requests_total", "Requests answered", "method", "route", "status"
)
HTTP_SECONDS: Final = _seconds("http_request_duration", "Until the answer", "method", "route")
MESSAGES: Final = _counter(
    "messages_total", "Deliveries by what became of them", "room", "topic", "fate"
)
MESSAGE_SECONDS: Final = _seconds("message_duration", "From delivery to its fate", "room", "topic")
PUBLISHES: Final = _counter(
    "publishes_total", "Tries to hand an outbox row to the transport", "room", "outcome"
)
EVENTS: Final = _counter("events_total", "Facts said, after the commit", "room", "topic")
SWEPT: Final = _counter("swept_rows_total", "Rows taken by sweeps", "room", "sweep")
PROVIDER_CALLS: Final = _counter(
    "provider_calls_total", "Calls to payment providers", "provider", "call", "outcome"
)
PROVIDER_SECONDS: Final = _seconds(
    "provider_call_duration", "Until the provider answered", "provider", "call"
)
LOOP_LAG: Final = _seconds("loop_lag", "How late the event loop wakes a sleeper", buckets=_LAGS)

# Looked at every few seconds (`shared.bus.meter`), never by a scrape.
OUTBOX_DEPTH: Final = _gauge("outbox_depth", "Rows in the outbox", "room")
OUTBOX_OLDEST: Final = _gauge("outbox_oldest_seconds", "Age of the oldest outbox row", "room")
DEAD_LETTERS: Final = _gauge(
    "dead_letters", "Messages nobody could handle, by where they lie", "room", "place"
)
QUEUE_MESSAGES: Final = _gauge("queue_messages", "Messages waiting in the broker", "queue")
CONSUMERS: Final = _gauge("consumers", "Consumers attached to the room's queues", "room")
BROKER_UP: Final = _gauge("broker_up", "1 while the connection is up", "room", "line")
DATABASE_UP: Final = _gauge("database_up", "1 while the room's database answers", "room")
CLOCK_AHEAD: Final = _gauge(
    "clock_ahead_seconds", "This machine's clock less the database's; 0 while they agree"
)
RELAY_AGE: Final = _gauge("relay_poll_age_seconds", "Since the relay last looked", "room")
POOL_MAX: Final = _gauge("pool_connections_max", "Connections the pool may open", "room")
POOL: Final = _gauge("pool_connections", "Connections by state: used, idle", "room", "state")
POOL_WAITING: Final = _gauge("pool_waiting", "Tasks that wait for a connection", "room")
MEASURED_AT: Final = _gauge(
    "measured_timestamp_seconds", "When the gauges that ask the database were true", "room"
)
SESSIONS_OPEN: Final = _gauge("sessions_open", "Open checkout sessions, counted up to 100 000")
SESSIONS_OVERDUE: Final = _gauge("sessions_overdue", "Open sessions a minute past their time")
ATTEMPTS: Final = _gauge("attempts", "Payments under way, by the step that is due", "step")
ATTEMPTS_OLDEST: Final = _gauge("attempts_oldest_seconds", "Age of the oldest of them", "step")
UNDECIDED: Final = _gauge("payments_undecided", "Payments whose provider has not decided")
UNDECIDED_OLDEST: Final = _gauge(
    "payments_undecided_oldest_seconds", "Age of the oldest undecided payment"
)


def built(version: str) -> None:
    """Say what runs here."""
    BUILD.labels(version, platform.python_version()).set(1)


def requested(method: str, route: str, status: int, took_seconds: float) -> None:
    """One request answered."""
    name = method if method in METHODS else OTHER
    HTTP_REQUESTS.labels(name, route, str(status)).inc()
    HTTP_SECONDS.labels(name, route).observe(took_seconds)


@lru_cache(maxsize=4096)  # finding a metric by its labels costs more than counting
def _message(room: str, topic: str, fate: str) -> tuple[Counter, Histogram]:
    name = topic if topic in TOPICS else OTHER  # an outsider's topic may be anything
    return MESSAGES.labels(room, name, fate), MESSAGE_SECONDS.labels(room, name)


def handled(room: str, topic: str, fate: str, took_seconds: float) -> None:
    """One delivery settled."""
    count, seconds = _message(room, topic, fate)
    count.inc()
    seconds.observe(took_seconds)


def published(room: str, outcome: str) -> None:
    """One try of the relay ended: confirmed, unroutable, unconfirmed or unavailable."""
    PUBLISHES.labels(room, outcome).inc()


def said(room: str, topics: Sequence[str]) -> None:
    """Facts that are true now: their transaction committed."""
    for topic in topics:
        EVENTS.labels(room, topic).inc()


def swept(room: str, sweep: str, taken: int) -> None:
    """One batch of a sweep ended."""
    SWEPT.labels(room, sweep).inc(taken)


def called(provider: str, call: str, outcome: str, took_seconds: float) -> None:
    """One call to a provider ended; silence is an outcome too."""
    PROVIDER_CALLS.labels(provider, call, outcome).inc()
    PROVIDER_SECONDS.labels(provider, call).observe(took_seconds)
