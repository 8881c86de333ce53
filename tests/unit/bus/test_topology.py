"""P11 and part (b): queues are derived from the rooms, and their one argument is their type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.bus import declare
from shared.bus.room import Room
from shared.bus.topology import EXCHANGES, QueueSpec, permissions, queues_of, topology
from tests.support.toys import CountToys, MakeToy, PaintToy, ToyMade, ToyPainted, Toys


async def keep(_: Any, __: Any) -> None:
    """A recorder of facts."""


TOYS = Toys().room()
EARS = Room(name="ears", handlers={}, recorded=(ToyMade, ToyPainted), recorder=keep)

EXPECTED_BINDINGS = {
    "toys.in": {
        ("flint.events", "toy.made"),
        ("flint.events", "toy.painted"),
        ("flint.requests", "toys.make"),
        ("flint.requests", "toys.count"),
        ("flint.requests", "toys.in"),
    },
    "toys.in.retry.1": {("flint.retry", "toys.in.retry.1")},
    "toys.in.retry.2": {("flint.retry", "toys.in.retry.2")},
    "toys.in.retry.3": {("flint.retry", "toys.in.retry.3")},
    "toys.in.parking": {("flint.dead", "toys.in")},
    "toys.rpc": {("flint.requests", "rpc.toys.make"), ("flint.requests", "rpc.toys.count")},
    "toys.world": {("flint.requests", "toys.paint"), ("flint.requests", "toys.world")},
    "toys.world.retry.1": {("flint.retry", "toys.world.retry.1")},
    "toys.world.retry.2": {("flint.retry", "toys.world.retry.2")},
    "toys.world.retry.3": {("flint.retry", "toys.world.retry.3")},
    "toys.world.parking": {("flint.dead", "toys.world")},
}


def specs_of(*rooms: Room) -> dict[str, QueueSpec]:
    return {spec.name: spec for spec in topology(rooms)}


def test_a_rooms_queues_and_bindings_are_derived_from_its_handlers():
    assert {name: set(spec.bindings) for name, spec in specs_of(TOYS).items()} == EXPECTED_BINDINGS


def test_a_room_that_only_records_has_one_durable_queue_bound_to_what_it_records():
    specs = specs_of(EARS)

    assert set(specs["ears.in"].bindings) == {
        ("flint.events", "toy.made"),
        ("flint.events", "toy.painted"),
        ("flint.requests", "ears.in"),
    }
    assert not {"ears.rpc", "ears.world"} & specs.keys()


def test_a_new_handler_is_a_new_binding_and_nothing_else():
    smaller = replace(TOYS, handlers={ToyMade: keep})

    gone = set(specs_of(TOYS)["toys.in"].bindings) - set(specs_of(smaller)["toys.in"].bindings)

    assert {key for _, key in gone} == {ToyPainted.topic, MakeToy.topic, CountToys.topic}


def test_no_binding_catches_all():
    """It would make `mandatory` blind to a missing one."""
    keys = [key for spec in specs_of(TOYS, EARS).values() for _, key in spec.bindings]

    assert not [key for key in keys if set(key) & set("*#")]


def test_what_must_not_be_lost_is_a_quorum_queue_and_questions_are_a_classic_one():
    types = {name: spec.type for name, spec in specs_of(TOYS).items()}

    assert {name for name, kind in types.items() if kind != "quorum"} == {"toys.rpc"}
    assert types["toys.rpc"] == "classic"


@pytest.mark.parametrize("queue", ["toys.in", "toys.world"])
def test_a_durable_queue_dead_letters_at_least_once_and_refuses_when_it_is_full(queue: str):
    assert specs_of(TOYS)[queue].policy == {
        "delivery-limit": 20,
        "dead-letter-exchange": "flint.dead",
        "dead-letter-routing-key": queue,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length": 500_000,
    }


@pytest.mark.parametrize("queue", ["toys.in", "toys.world"])
@pytest.mark.parametrize("level, milliseconds", [(1, 5_000), (2, 30_000), (3, 300_000)])
def test_a_delay_queue_has_one_delay_and_sends_back_to_its_queue(
    queue: str, level: int, milliseconds: int
):
    assert specs_of(TOYS)[f"{queue}.retry.{level}"].policy == {
        "message-ttl": milliseconds,
        "dead-letter-exchange": "flint.requests",
        "dead-letter-routing-key": queue,
        "dead-letter-strategy": "at-least-once",
        "overflow": "reject-publish",
        "max-length": 500_000,
    }


def test_a_parking_queue_has_neither_time_nor_limit():
    parking = [spec for name, spec in specs_of(TOYS).items() if name.endswith(".parking")]

    assert [spec.policy for spec in parking] == [{}, {}]


def test_a_question_is_gone_after_five_seconds():
    assert specs_of(TOYS)["toys.rpc"].policy == {
        "message-ttl": 5_000,
        "max-length": 10_000,
        "overflow": "reject-publish",
    }


def test_exchanges_are_named_once():
    assert EXCHANGES == {
        "flint.events": "topic",
        "flint.requests": "direct",
        "flint.retry": "direct",
        "flint.dead": "direct",
    }


class RecordingBroker:
    """Keeps what it is asked to declare and to bind."""

    def __init__(self) -> None:
        self.declared: list[tuple[str, dict[str, Any]]] = []
        self.bound: list[tuple[str, str]] = []

    async def declare_queue(self, name: str, **options: Any) -> RecordingBroker:
        self.declared.append((name, options))
        return self

    async def bind(self, exchange: str, key: str, *, timeout: float) -> None:
        assert timeout > 0
        self.bound.append((exchange, key))


@pytest.mark.parametrize("spec", topology([TOYS, EARS]), ids=lambda spec: spec.name)
async def test_a_queues_only_argument_is_its_type(spec: QueueSpec):
    """Arguments cannot change without deleting the queue; a policy can."""
    broker: Any = RecordingBroker()

    await declare._declare_queue(broker, spec)

    ((name, options),) = broker.declared
    assert name == spec.name
    assert options["arguments"] == {"x-queue-type": spec.type}
    assert options["durable"] is True
    assert options["timeout"] > 0
    assert tuple(broker.bound) == spec.bindings


def may(right: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if re.search(right, name)}


def test_a_service_may_declare_nothing_and_read_only_its_own_queues():
    rights = permissions(TOYS)
    ours = [spec.name for spec in queues_of(TOYS)]
    others = ["links.in", "toysx.in", "atoys.in", "toys.secret", "amq.gen-x", "flint.events"]

    assert may(rights["configure"], [*ours, *others, "anything"]) == set()
    assert may(rights["read"], [*ours, *others]) == set(ours)
    assert may(rights["read"], ["amq.rabbitmq.reply-to"]) == {"amq.rabbitmq.reply-to"}


def test_a_service_may_publish_to_the_exchanges_and_to_no_queue_of_its_choice():
    writable = may(permissions(TOYS)["write"], [*EXCHANGES, "amq.default", "amq.topic", "toys.in"])

    assert writable == {*EXCHANGES, "amq.default"}


def test_an_effect_goes_to_the_world_and_not_among_the_database_handlers():
    """A slow provider may not stand in the way of a fact."""
    specs = specs_of(TOYS)

    assert PaintToy.topic in {key for _, key in specs["toys.world"].bindings}
    assert PaintToy.topic not in {key for _, key in specs["toys.in"].bindings}
