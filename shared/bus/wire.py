"""Envelopes as AMQP messages. Facts travel as CloudEvents 1.0 JSON, requests as plain JSON.

`message_id` is fresh for each publish: the broker's returns are matched by it, and two in
flight under one id would swap their fates. The id that is deduplicated travels beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

import orjson
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from shared.bus.outbox import MessageKind
from shared.clock import unix_seconds
from shared.contracts.base import Context, Envelope
from shared.contracts.types import rfc3339
from shared.failures import describe
from shared.telemetry.scope import is_request_id, is_traceparent

CLOUDEVENTS: Final = "application/cloudevents+json"
_DATA: Final = b',"data":'
MESSAGE_BYTES_MAX: Final = 1_048_576


PERSISTENT: Final = 2
TRANSIENT: Final = 1


class Content(NamedTuple):
    """What AMQP carries. Handed to the channel as it is: the client's own message objects convert
    every property both ways, for each of the thirty or so messages that a purchase costs."""

    body: bytes
    properties: Basic.Properties


class Malformed(Exception):
    """Not a message of ours, or broken: buried with this reason."""


def to_content(kind: MessageKind, envelope: Envelope, **properties: Any) -> Content:
    """The message to publish; durable unless told otherwise."""
    is_event = kind == "event"
    fields: dict[str, Any] = {
        "message_id": uuid4().hex,
        "message_type": envelope.topic,
        "content_type": CLOUDEVENTS if is_event else "application/json",
        "delivery_mode": PERSISTENT,
        "headers": _headers(envelope, is_event),
    }
    body = cloudevent(envelope) if is_event else envelope.body
    return Content(body, Basic.Properties(**(fields | properties)))


def content_of(message: DeliveredMessage) -> Content:
    """What a delivery carries."""
    return Content(message.body, message.header.properties)


def sent_again(content: Content, headers: Mapping[str, Any]) -> Content:
    """The same message under a fresh publish id; `x-death` is the broker's, not ours to send."""
    known = content.properties
    properties = Basic.Properties(
        message_id=uuid4().hex,
        message_type=known.message_type,
        content_type=known.content_type,
        delivery_mode=PERSISTENT,
        headers={name: value for name, value in headers.items() if name != "x-death"},
    )
    return Content(content.body, properties)


def _headers(envelope: Envelope, is_event: bool) -> dict[str, Any]:
    headers: dict[str, Any] = {"x-event-id": envelope.id, "x-attempt": envelope.attempt}
    if is_event:
        return headers  # the rest stands in the CloudEvent itself
    headers |= {
        "x-merchant-id": envelope.context.merchant_id,
        "x-mode": envelope.context.mode,
        "x-request-id": envelope.context.request_id,
        "traceparent": envelope.context.traceparent,
    }
    if envelope.keyed:
        headers |= {"x-keyed": True}
    if envelope.body_hash:
        headers |= {"x-body-hash": envelope.body_hash}
    if envelope.deadline:
        headers |= {"x-deadline": int(envelope.deadline * 1000)}
    return headers


def cloudevent(envelope: Envelope) -> bytes:
    """The structured CloudEvent; `data` is spliced in, it is JSON already.

    A private fact has neither subject nor sequence, and that is how outsiders tell it: nothing
    is promised of it. What is empty is left out, for CloudEvents knows no null.
    """
    context = envelope.context
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": f"/flint/{envelope.source}",
        "type": envelope.topic,
        "subject": envelope.subject,
        "time": rfc3339(envelope.time) if envelope.time else None,
        "datacontenttype": "application/json",
        "dataschema": f"urn:flint:schema:{envelope.topic}:1",
        "merchantid": context.merchant_id,
        "mode": context.mode,
        "requestid": context.request_id,
        "traceparent": context.traceparent,
        "sequence": envelope.sequence,
    }
    head = orjson.dumps({name: value for name, value in attributes.items() if value})
    return head[:-1] + _DATA + envelope.body + b"}"


def from_content(content: Content) -> Envelope:
    """The envelope of what was delivered; raises Malformed with the reason."""
    body, properties = content
    if len(body) > MESSAGE_BYTES_MAX:
        raise Malformed(f"{len(body)} bytes are more than {MESSAGE_BYTES_MAX}")
    headers: Mapping[str, Any] = properties.headers or {}
    try:
        if properties.content_type == CLOUDEVENTS:
            return from_cloudevent(*_split(body, headers), headers)
        return _from_request(content, headers)
    except Exception as error:  # whatever a stranger's bytes break here, they are malformed
        raise Malformed(describe(error)) from None


def _split(body: bytes, headers: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Attributes and data. What we spliced in is sliced out; a stranger's event is parsed whole."""
    head, mark, data = body.partition(_DATA)
    if mark and "x-event-id" in headers:  # no quote stands bare inside a JSON text: it is ours
        return orjson.loads(head + b"}"), data[:-1]
    event = orjson.loads(body)
    return event, orjson.dumps(event["data"])


def from_cloudevent(event: Mapping[str, Any], data: bytes, headers: Mapping[str, Any]) -> Envelope:
    """A fact, from its CloudEvents attributes; only the attempt is the transport's."""
    mode = event.get("mode", "test")
    if mode not in ("test", "live"):
        raise ValueError(f"mode {mode!r} is neither test nor live")
    moment = event.get("time")
    return Envelope(
        id=_text(event["id"]),
        topic=_text(event["type"]),
        body=data,
        context=Context(
            event.get("merchantid", ""),
            mode,
            _request_id(event.get("requestid", "")),
            _traceparent(event.get("traceparent", "")),
        ),
        source=_text(event["source"]).removeprefix("/flint/"),
        subject=str(event.get("subject", "")),
        sequence=int(event.get("sequence", 0)),
        time=datetime.fromisoformat(moment) if moment else None,
        attempt=int(headers.get("x-attempt", 1)),
    )


def _from_request(content: Content, headers: Mapping[str, Any]) -> Envelope:
    deadline = int(headers.get("x-deadline", 0)) / 1000
    return Envelope(
        id=_text(headers["x-event-id"]),
        topic=_text(content.properties.message_type),
        body=content.body,
        context=Context(
            str(headers.get("x-merchant-id", "")),
            "live" if headers.get("x-mode") == "live" else "test",
            _request_id(headers.get("x-request-id", "")),
            _traceparent(headers.get("traceparent", "")),
        ),
        attempt=int(headers.get("x-attempt", 1)),
        keyed=bool(headers.get("x-keyed", False)),
        body_hash=str(headers.get("x-body-hash", "")),
        deadline=deadline,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a text")
    return value


def _request_id(value: Any) -> str:
    """A stranger's may be anything; it would stand in every line and row that follows."""
    is_safe = isinstance(value, str) and is_request_id(value)
    return value if is_safe else ""


def _traceparent(value: Any) -> str:
    return value if isinstance(value, str) and is_traceparent(value) else ""


def remaining_ms(deadline: float) -> int:
    """Milliseconds left until a deadline, at least 1 (0 would mean: expire at once)."""
    return max(1, int((deadline - unix_seconds()) * 1000))
