"""Every class of the contract, and how each is described; the tests' own toys left out."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

import shared.contracts
import shared.money
from services.gateway.api.schemas import REF, Input, described
from services.rooms import all_rooms
from shared.bus.room import Room
from shared.contracts import TOPICS, Command, Event, Message
from shared.contracts.types import Resource, Strict

Json = dict[str, Any]
M = TypeVar("M", bound=Message)
COMPONENT: Final = REF.format(model="")
MODULES: Final[tuple[ModuleType, ...]] = (
    shared.money,
    *(
        importlib.import_module(f"shared.contracts.{found.name}")
        for found in pkgutil.iter_modules(shared.contracts.__path__)
    ),
)
MESSAGES: Final = sorted(
    (kind for kind in TOPICS.values() if kind.__module__.startswith("shared.contracts.")),
    key=lambda kind: kind.topic,
)
ROOMS: Final[dict[str, Room]] = {room.name: room for room in all_rooms()}


def of_kind(kind: type[M]) -> list[type[M]]:
    """Every message of the contract that is an event, a command, an effect."""
    return [message for message in MESSAGES if issubclass(message, kind)]


def classes() -> Iterator[type[BaseModel]]:
    """Every class that is declared in the contract."""
    for module in MODULES:
        for found in vars(module).values():
            is_model = isinstance(found, type) and issubclass(found, BaseModel)
            if is_model and found.__module__ == module.__name__:
                yield found


def components() -> Json:
    """The schema of every class by its name: requests as they are validated, answers as written."""
    shapes: list[Input] = [
        (model.__name__, _mode(model), TypeAdapter(model))
        for model in classes()
        if not _is_base(model)
    ]
    replies: list[Input] = [
        (f"{command.topic} →", "serialization", TypeAdapter(command.reply_type()))
        for command in of_kind(Command)
    ]
    _, made = described([*shapes, *replies])
    return made


def reply_of(command: type[Command[Any]]) -> str:
    """The name of what a command is answered with; empty for nothing."""
    made, _ = described([("reply", "serialization", TypeAdapter(command.reply_type()))])
    reference: str = made["reply", "serialization"].get("$ref", "")
    return reference.removeprefix(COMPONENT)


def properties(schema: Any) -> Iterator[str]:
    """The name of every field in a schema, however deep."""
    if isinstance(schema, list):
        for one in schema:
            yield from properties(one)
    if isinstance(schema, dict):
        fields = schema.get("properties")
        if isinstance(fields, dict):
            yield from fields
        for one in schema.values():
            yield from properties(one)


def _mode(model: type[BaseModel]) -> JsonSchemaMode:
    is_shown = issubclass(model, Resource | Event)
    is_asked = issubclass(model, Strict | Message)
    return "validation" if is_asked and not is_shown else "serialization"


def _is_base(model: type[BaseModel]) -> bool:
    """What others are made from and never travels itself."""
    is_generic = bool(getattr(model, "__pydantic_generic_metadata__", {}).get("parameters"))
    is_message = issubclass(model, Message) and not model.topic
    return is_generic or is_message or model in (Strict, Resource)
