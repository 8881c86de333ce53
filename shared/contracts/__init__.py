"""Every message of Flint, one file per owner. Importing this package fills `base.TOPICS`."""

from shared.contracts import links, orders, payments, sessions
from shared.contracts.base import TOPICS, Command, Context, Effect, Envelope, Event, Message, Query

__all__ = [
    "TOPICS",
    "Command",
    "Context",
    "Effect",
    "Envelope",
    "Event",
    "Message",
    "Query",
    "links",
    "orders",
    "payments",
    "sessions",
]
