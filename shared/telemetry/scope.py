"""What happens right now and for whom: the ids that every log line and every span bears.

The door opens a scope for a request, the bus one for each message and sweep. It follows tasks as
context variables do. What is dear (finding the checkout session) waits until a line is written.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from shared.contracts.base import Context, Envelope
from shared.redaction import clean

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SESSION: Final = re.compile(
    rb'"(?:checkout|paid)_session_ids?":\[?"(cs_[0-9A-HJKMNP-TV-Z]{26})"',
)


@dataclass(slots=True)
class Scope:
    """One request, message or sweep. `room` is the service it happens in, where that is known."""

    request_id: str
    traceparent: str
    room: str = ""
    checkout_session_id: str = ""
    envelope: Envelope | None = None
    is_recorded: bool = True  # a sweep that finds nothing, once a second, is no trace

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.traceparent[3:35]

    def session(self) -> str:
        """The checkout session that this is about, if it says so."""
        if self.checkout_session_id or self.envelope is None:
            return self.checkout_session_id
        if self.envelope.subject.startswith("cs_"):
            return self.envelope.subject
        found = _SESSION.search(self.envelope.body)
        return found[1].decode() if found else ""


_CURRENT: Final[ContextVar[Scope | None]] = ContextVar("flint_scope", default=None)


def current() -> Scope | None:
    """The scope of whatever runs here, if it is within one."""
    return _CURRENT.get()


@contextmanager
def within(scope: Scope | None) -> Iterator[None]:
    """What runs inside belongs to `scope`; None leaves things as they are."""
    if scope is None:
        yield
        return
    token = _CURRENT.set(scope)
    try:
        yield
    finally:
        # A coroutine that nobody finishes is closed by the collector, in whatever context that
        # runs in: there is nothing to put back there.
        with suppress(ValueError):
            _CURRENT.reset(token)


def of_message(room: str, envelope: Envelope) -> Scope:
    """The scope of a message. One from outside may come without ids: it is given some."""
    context = envelope.context
    return Scope(
        context.request_id or envelope.id,
        context.traceparent or mint(),
        room,
        envelope=envelope,
    )


def about_session(checkout_session_id: str) -> None:
    """From here on the current request is known to be about this checkout session."""
    scope = _CURRENT.get()
    if scope is not None:
        scope.checkout_session_id = checkout_session_id


def onward(context: Context) -> Context:
    """The context of what is said because of this: it continues the current trace."""
    scope = _CURRENT.get()
    if scope is None or scope.traceparent == context.traceparent:
        return context
    return replace(context, traceparent=scope.traceparent)


def mint() -> str:
    """A fresh W3C traceparent: the beginning of a trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def continued(traceparent: str) -> str:
    """A given traceparent if it is one, else a fresh one."""
    return traceparent if is_traceparent(traceparent) else mint()


def is_traceparent(text: str) -> bool:
    """Whether this is a W3C traceparent of version 00."""
    return _TRACEPARENT.fullmatch(text) is not None


@lru_cache(maxsize=4096)  # one request causes many messages
def is_request_id(text: str) -> bool:
    """Whether it may name a request: at most 128 safe characters, and no secret by its looks."""
    return _REQUEST_ID.fullmatch(text) is not None and clean(text) == text


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: every line within a scope bears its ids."""
    scope = _CURRENT.get()
    if scope is None:
        return event
    event.setdefault("request_id", scope.request_id)
    event["trace_id"] = scope.trace_id
    if scope.room:
        event["service"] = scope.room
    session = scope.session()
    if session:
        event["checkout_session_id"] = session
    return event
