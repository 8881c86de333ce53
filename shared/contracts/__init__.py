"""Every message of Flint, one file per owner. Importing this package fills `base.TOPICS`."""

from typing import Final

from shared.contracts import links, orders, payments, plans, sessions, tickets
from shared.contracts.base import TOPICS, Command, Context, Effect, Envelope, Event, Message, Query

# The service that answers the requests of each file and says its events.
OWNERS: Final = {
    links.__name__: "links",
    sessions.__name__: "sessions",
    orders.__name__: "orders",
    payments.__name__: "orders",
    plans.__name__: "orders",
    tickets.__name__: "orders",
}


def events_of(service: str) -> list[type[Event]]:
    """Everything that a service says, its private facts included."""
    own = [kind for kind in TOPICS.values() if OWNERS.get(kind.__module__) == service]
    return [kind for kind in own if issubclass(kind, Event)]


__all__ = [
    "OWNERS",
    "TOPICS",
    "Command",
    "Context",
    "Effect",
    "Envelope",
    "Event",
    "Message",
    "Query",
    "events_of",
    "links",
    "orders",
    "payments",
    "plans",
    "sessions",
    "tickets",
]
