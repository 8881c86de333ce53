"""AsyncAPI 3.1: every public event, who says it and who hears it, from the bus's own tables."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import TypeAdapter

from services.gateway.api.event_examples import example_of
from services.gateway.api.schemas import Json, described
from services.gateway.door import json_answer
from services.gateway.gateway import GATEWAY
from shared.bus.room import Room
from shared.bus.topology import EVENTS
from shared.bus.wire import CLOUDEVENTS
from shared.contracts import OWNERS, Event, events_of
from shared.ids import ULID_PATTERN

BINDING: Final = "0.3.0"

INTRODUCTION: Final = """\
What Flint says on RabbitMQ, for systems that stand beside it.

**Listening.** Declare a durable queue of your own and bind it to the topic exchange \
`flint.events`: by name (`order.paid`), or with a pattern (`order.*`, `#`). Your user needs to \
read that exchange and to configure, write and read your queue. Nothing here depends on it.

**Messages** are CloudEvents 1.0, whole in the body (`application/cloudevents+json`), persistent. \
`data` is the resource as the API shows it: no null, unset fields left out, fields may be added. \
`previous` holds the old values of what changed, null where a field had been unset. Card data, \
payment tokens and secrets are never in it.

**Delivery** is at least once, in any order. The same `id` is the same event: drop what you have \
seen. `sequence` counts 1, 2, 3 … per `source` and `subject` without gaps: the higher number is \
the later state, and a missing one is still on its way.

**Private facts** of the services among each other travel on the same exchange and are not \
described here: a message without `subject` and `sequence` promises nothing and may change or go.
"""

TAGS: Final = {
    "links": "Payment links: templates, slugs, capacity.",
    "sessions": "Checkout sessions: the hosted page's life.",
    "orders": "Orders and payment intents: the money.",
    "gateway": "The HTTP door; it keeps every public event in the merchants' event log.",
}


def document(rooms: Sequence[Room], version: str) -> Json:
    """The whole document as JSON; who hears what is as complete as `rooms` are."""
    said = {
        kind: service
        for service in dict.fromkeys(OWNERS.values())
        for kind in events_of(service)
        if kind.public
    }
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Flint events",
            "version": version,
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        },
        "defaultContentType": CLOUDEVENTS,
        "servers": {"rabbitmq": _SERVER},
        "channels": {kind.topic: _channel(kind) for kind in said},
        "operations": _operations(said, rooms),
        "components": {
            "messages": {kind.topic: _message(kind, service) for kind, service in said.items()},
            "messageTraits": {"event": _TRAIT},
            "schemas": {**_data_schemas(list(said)), "CloudEvent": _CLOUD_EVENT},
        },
    }


def serving(rooms: Sequence[Room]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of `/v1/asyncapi.json`; the document is written once."""
    kept: list[bytes] = []

    async def serve(request: web.Request) -> web.Response:
        if not kept:
            kept.append(orjson.dumps(document(rooms, request.app[GATEWAY].version)))
        answer = json_answer(kept[0])
        answer.enable_compression()
        return answer

    return serve


def _channel(kind: type[Event]) -> Json:
    exchange = {"name": EVENTS, "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": kind.topic,
        "summary": _summary(kind),
        "messages": {kind.topic: {"$ref": f"#/components/messages/{kind.topic}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING}},
    }


def _operations(said: dict[type[Event], str], rooms: Sequence[Room]) -> Json:
    sent = {
        f"{service}.send.{kind.topic}": _operation("send", kind, service)
        for kind, service in said.items()
    }
    heard = {
        f"{room.name}.receive.{kind.topic}": _operation("receive", kind, room.name)
        for room in rooms
        for kind in room.listens_to()
        if kind in said
    }
    return sent | heard


def _operation(action: str, kind: type[Event], service: str) -> Json:
    how = {"deliveryMode": 2, "mandatory": True} if action == "send" else {"ack": True}
    channel = f"#/channels/{kind.topic}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{kind.topic}"}],
        "tags": [{"name": service}],
        "bindings": {"amqp": {**how, "bindingVersion": BINDING}},
    }


def _message(kind: type[Event], service: str) -> Json:
    example = example_of(kind)
    narrowed = {
        "type": {"const": kind.topic},
        "source": {"const": f"/flint/{service}"},
        "dataschema": {"const": example["dataschema"]},
        "data": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }
    return {
        "name": kind.topic,
        "title": kind.__name__,
        "summary": _summary(kind),
        "description": f"{inspect.getdoc(kind)}\n\nSubject: `{kind.subject}`.",
        "tags": [{"name": service}],
        "traits": [{"$ref": "#/components/messageTraits/event"}],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEvent"},
                {"type": "object", "properties": narrowed},
            ]
        },
        "bindings": {"amqp": {"messageType": kind.topic, "bindingVersion": BINDING}},
        "examples": [{"headers": {"x-event-id": example["id"]}, "payload": example}],
    }


def _summary(kind: type[Event]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _data_schemas(kinds: Sequence[type[Event]]) -> Json:
    _, components = described([(kind.topic, "serialization", TypeAdapter(kind)) for kind in kinds])
    opened: Json = _opened(components)
    return opened


def _opened(schema: Any) -> Any:
    """Whatever is said may gain fields, although the same object in a request may not."""
    if isinstance(schema, list):
        return [_opened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: _opened(value)
        for word, value in schema.items()
        if not (word == "additionalProperties" and value is False)
    }


_SERVER: Final[Json] = {
    "host": "{host}:{port}",
    "protocol": "amqp",
    "protocolVersion": "0.9.1",
    "description": "The RabbitMQ of this installation (3.10 to 4.x), and its virtual host.",
    "variables": {
        "host": {"description": "As its operator tells you.", "default": "localhost"},
        "port": {"description": "5671 with TLS.", "default": "5672"},
    },
}

_TRAIT: Final[Json] = {
    "contentType": CLOUDEVENTS,
    "correlationId": {
        "description": "The HTTP request that caused it, whatever lies between.",
        "location": "$message.payload#/requestid",
    },
    "headers": {
        "type": "object",
        "properties": {
            "x-event-id": {"type": "string", "description": "The CloudEvent's `id`."},
            "x-attempt": {"type": "integer", "description": "Deliveries so far; ours to use."},
        },
    },
}

_CLOUD_EVENT: Final[Json] = {
    "type": "object",
    "description": "CloudEvents 1.0, structured mode, with the extensions that Flint adds.",
    "required": [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "merchantid",
        "mode",
        "sequence",
        "data",
    ],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "pattern": f"^evt_{ULID_PATTERN}$",
            "description": "The same for ever: what you have seen once is no news.",
        },
        "source": {"type": "string", "description": "The service that said it."},
        "type": {"type": "string", "description": "The routing key."},
        "subject": {"type": "string", "description": "The id of the resource."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "description": "Names the shape of `data`."},
        "merchantid": {"type": "string", "pattern": f"^mer_{ULID_PATTERN}$"},
        "mode": {"enum": ["test", "live"]},
        "requestid": {
            "type": "string",
            "description": "Absent when no request caused it, such as an expiry.",
        },
        "traceparent": {"type": "string", "description": "W3C trace context."},
        "sequence": {
            "type": "integer",
            "minimum": 1,
            "description": "Counts the events of one source about one subject, without gaps.",
        },
        "data": {"type": "object"},
    },
}
