"""What the broker has to hold, derived from the rooms' handler tables; nothing by hand.

Queue arguments are the type only; all else (dead-lettering, limits, delays) is a policy, because
arguments cannot change without deleting the queue. `flint topology apply` declares it as a
one-shot job; services declare passively and never with arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.bus.fate import RETRY_DELAYS_SECONDS
from shared.bus.room import Room
from shared.contracts.base import Event

EVENTS: Final = "flint.events"  # topic: facts
REQUESTS: Final = "flint.requests"  # direct: commands and effects; `rpc.` in front: answered now
RETRY: Final = "flint.retry"  # direct, key = name of the delay queue
DEAD: Final = "flint.dead"  # direct, key = name of the source queue
EXCHANGES: Final = {EVENTS: "topic", REQUESTS: "direct", RETRY: "direct", DEAD: "direct"}
LENGTH_MAX: Final = 500_000
DELIVERY_LIMIT: Final = 20
RPC_TTL_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue: its type, what it is bound to, and its policy."""

    name: str
    type: str
    bindings: tuple[tuple[str, str], ...]  # (exchange, routing key)
    policy: dict[str, Any] = field(default_factory=dict)


def retry_queue(queue: str, level: int) -> str:
    """The name of a queue's n-th delay queue."""
    return f"{queue}.retry.{level + 1}"


def parking_queue(queue: str) -> str:
    """Where a queue's dead letters wait for a person."""
    return f"{queue}.parking"


def queues_of(room: Room, delays: Sequence[float] = RETRY_DELAYS_SECONDS) -> list[QueueSpec]:
    """Everything one room needs."""
    specs: list[QueueSpec] = []
    durable = [_durable_binding(kind) for kind in (*room.handlers, *room.recorded)]
    if durable:
        specs += _durable(f"{room.name}.in", durable, delays)
    if room.answers():
        answered = tuple((REQUESTS, f"rpc.{kind.topic}") for kind in room.answers())
        rpc_policy = {"message-ttl": RPC_TTL_MS, "max-length": 10_000, "overflow": "reject-publish"}
        specs.append(QueueSpec(f"{room.name}.rpc", "classic", answered, rpc_policy))
    if room.effects:
        effects = [(REQUESTS, kind.topic) for kind in room.effects]
        specs += _durable(f"{room.name}.world", effects, delays)
    return specs


def _durable_binding(kind: type[Any]) -> tuple[str, str]:
    return (EVENTS, kind.topic) if issubclass(kind, Event) else (REQUESTS, kind.topic)


def _durable(
    queue: str, bindings: list[tuple[str, str]], delays: Sequence[float]
) -> list[QueueSpec]:
    main = QueueSpec(
        queue,
        "quorum",
        (*bindings, (REQUESTS, queue)),  # its own name: where the delay queues send back to
        _to_dead_letter(DEAD, queue) | {"delivery-limit": DELIVERY_LIMIT, "max-length": LENGTH_MAX},
    )
    waiting = [
        QueueSpec(
            retry_queue(queue, level),
            "quorum",
            ((RETRY, retry_queue(queue, level)),),
            _to_dead_letter(REQUESTS, queue)
            | {"message-ttl": int(seconds * 1000), "max-length": LENGTH_MAX},
        )
        for level, seconds in enumerate(delays)
    ]
    parking = QueueSpec(parking_queue(queue), "quorum", ((DEAD, queue),))
    return [main, *waiting, parking]


def _to_dead_letter(exchange: str, key: str) -> dict[str, Any]:
    return {
        "dead-letter-exchange": exchange,
        "dead-letter-routing-key": key,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
    }


def topology(
    rooms: Sequence[Room], delays: Sequence[float] = RETRY_DELAYS_SECONDS
) -> list[QueueSpec]:
    """All queues of all rooms."""
    return [spec for room in rooms for spec in queues_of(room, delays)]


def in_a_cluster(specs: Sequence[QueueSpec]) -> list[QueueSpec]:
    """The same on several nodes: a classic queue would be gone for as long as its node is.

    On one node the questions' queues stay classic: a question is worth nothing after a crash,
    and is not worth a write to the disk.
    """
    return [replace(spec, type="quorum") for spec in specs]


def permissions(room: Room) -> dict[str, str]:
    """What the room's broker user may do: declare nothing, read only its own queues."""
    return {
        "configure": "^$",
        "write": r"^(flint\.(events|requests|retry|dead)|amq\.default)$",
        "read": rf"^({room.name}\.(in|rpc|world).*|amq\.rabbitmq\.reply-to.*)$",
    }
