"""Each room's README tells the topics of its own tables, all of them and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import services
from shared.bus.room import Room
from shared.contracts import OWNERS, Command, Effect, Event, Message, Query, events_of
from shared.contracts.orders import OrderRefunded
from tests.contracts.messages import MESSAGES, ROOMS, of_kind

SERVICES: Final = Path(services.__file__).parent
TOPIC: Final = re.compile(r"`([a-z_]+\.[a-z_]+)`")
BULLET: Final = re.compile(r"^- ([A-Z][a-z ]*):(.*(?:\n(?: {2,}|\t).*)*)", re.MULTILINE)
# Where messages are received or dispatched, not made.
RECEIVING: Final = frozenset({"handlers.py", "effects.py", "room.py", "store.py"})
# Declared for its listeners; what says it comes with the refunds.
AHEAD: Final = frozenset({OrderRefunded})
each_room = pytest.mark.parametrize("room", ROOMS.values(), ids=lambda room: room.name)


def told(room: Room, heading: str) -> set[str]:
    """The topics in one bullet of the README."""
    text = (SERVICES / room.name / "README.md").read_text()
    bullets = {found[1]: found[2] for found in BULLET.finditer(text)}
    assert heading in bullets, f"services/{room.name}/README.md has no '- {heading}: …'"
    return set(TOPIC.findall(bullets[heading]))


@each_room
def test_answers(room: Room):
    assert told(room, "Answers") == {kind.topic for kind in room.answers()}


@each_room
def test_hears(room: Room):
    mine = {kind for kind in room.listens_to() if kind in MESSAGES}

    assert told(room, "Hears") == {kind.topic for kind in mine}


@each_room
def test_says(room: Room):
    assert told(room, "Says") == {kind.topic for kind in made_by(room)}


@each_room
def test_sweeps(room: Room):
    assert told(room, "Sweeps") == {sweep.name for sweep in room.sweeps}


def test_calls_to_the_world():
    for room in ROOMS.values():
        if room.effects:
            assert told(room, "Calls the world") == {kind.topic for kind in room.effects}


@each_room
def test_a_room_says_its_own_events_and_every_one_of_them(room: Room):
    said = {kind for kind in made_by(room) if issubclass(kind, Event)}

    assert said == set(events_of(room.name)) - AHEAD


def test_every_effect_is_made_by_the_room_that_carries_it_out():
    for effect in of_kind(Effect):
        assert effect in made_by(ROOMS[OWNERS[effect.__module__]])


def made_by(room: Room) -> set[type[Message]]:
    """The messages that the room's code makes; what it is handed and reads does not count."""
    if room.name == "gateway":
        return set()  # It asks on behalf of others and waits for the answer.
    classes = {kind.__name__: kind for kind in MESSAGES if not issubclass(kind, Query)}
    made = {
        classes[name]
        for path in (SERVICES / room.name).rglob("*.py")
        for name in _names(ast.parse(path.read_text()), is_receiving=path.name in RECEIVING)
        if name in classes
    }
    own = set(room.answers())
    return {kind for kind in made if not (issubclass(kind, Command) and kind in own)}


def _names(tree: ast.AST, *, is_receiving: bool) -> Iterator[str]:
    """Classes that are called, or (where nothing is dispatched by them) passed on as values."""
    for node in _outside_annotations(tree):
        if isinstance(node, ast.Call):
            yield from _called(node.func)
        elif isinstance(node, ast.Name) and not is_receiving:
            yield node.id


def _called(function: ast.expr) -> Iterator[str]:
    if isinstance(function, ast.Name):
        yield function.id
    if isinstance(function, ast.Attribute) and function.attr == "model_construct":
        yield from _called(function.value)


def _outside_annotations(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _outside_annotations(child)
