"""The golden schemas: one file per file of `shared/contracts`, so that a change shows where it is.

    make schemas     (python -m tests.contracts.write)

Messages stand under their topic, resources and requests under their class's name; of a class
that is both sent and shown, what is sent is the one called `…Input`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from shared.contracts import Command, Effect, Event, Message, Query
from tests.contracts.messages import COMPONENT, MESSAGES, Json, classes, components, reply_of

FOLDER: Final = Path(__file__).parent / "schemas"
FIELD_DEPTH: Final = 3  # class, "properties", field
KINDS: Final[dict[type[Any], str]] = {
    Query: "query",
    Command: "command",
    Effect: "effect",
    Event: "event",
}


def golden() -> dict[str, str]:
    """The text of each file by its name."""
    made = components()
    homes = {model.__name__: model.__module__.rpartition(".")[2] for model in classes()}
    topics = {kind.__name__: kind for kind in MESSAGES}
    files: dict[str, Json] = {}
    for name, schema in made.items():
        plain = name.split("_")[0]  # `Page_Order_` is a Page
        home = homes.get(plain) or homes[plain.removesuffix("Input")]
        message = topics.get(name)
        key = message.topic if message else name
        entry = {**(_told(message) if message else {}), **schema}
        files.setdefault(f"{home}.json", {})[key] = _linked(entry)
    return {name: f"{_text(content)}\n" for name, content in files.items()}


def _told(message: type[Message]) -> Json:
    kind = next(word for base, word in KINDS.items() if issubclass(message, base))
    told: Json = {"x-class": message.__name__, "x-kind": kind}
    if issubclass(message, Event):
        return told | {"x-subject": message.subject, "x-public": message.public}
    if issubclass(message, Command):
        return told | {"x-reply": reply_of(message)}
    return told


def _linked(value: Any) -> Any:
    """References by class name alone: all names are different."""
    if isinstance(value, list):
        return [_linked(one) for one in value]
    if not isinstance(value, dict):
        return value
    linked = {name: _linked(one) for name, one in value.items()}
    if isinstance(linked.get("$ref"), str):
        linked["$ref"] = linked["$ref"].removeprefix(COMPONENT)
    return linked


def _text(value: Any, depth: int = 0) -> str:
    """JSON with a line for each field, and nothing broken inside it."""
    if depth == FIELD_DEPTH or not value or not isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    if isinstance(value, dict):
        ends = "{}"
        parts = [f"{json.dumps(name)}: {_text(value[name], depth + 1)}" for name in sorted(value)]
    else:
        ends, parts = "[]", [_text(one, depth + 1) for one in value]
    inner, outer = "  " * (depth + 1), "  " * depth
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(parts) + f"\n{outer}{ends[1]}"


def main() -> None:
    """Write what is true now; what is gone goes."""
    FOLDER.mkdir(exist_ok=True)
    made = golden()
    for old in FOLDER.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
