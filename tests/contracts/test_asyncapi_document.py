"""The AsyncAPI document is complete, agrees with the rooms' tables, and its examples are true."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from services.gateway.api.asyncapi import document
from services.gateway.api.event_examples import example_of
from shared.bus.topology import EXCHANGES
from shared.contracts import OWNERS, Event
from tests.contracts.messages import ROOMS, Json, of_kind

API: Final[Json] = document(list(ROOMS.values()), "0.0.0")
PUBLIC: Final = [event for event in of_kind(Event) if event.public]
each_event = pytest.mark.parametrize("event", PUBLIC, ids=lambda kind: kind.topic)


def conforms(value: Any, schema: Json) -> None:
    Draft202012Validator(
        {**schema, "components": API["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)


def found_at(reference: str) -> Any:
    found: Any = API
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [one for part in value for one in references(part)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [one for part in value.values() for one in references(part)]


def test_it_is_json_of_a_version_that_tools_know():
    assert json.loads(orjson.dumps(API)) == API
    assert API["asyncapi"] == "3.1.0"


def test_every_public_event_is_one_channel_on_the_exchange_and_nothing_else_is():
    assert set(API["channels"]) == {event.topic for event in PUBLIC}
    for topic, channel in API["channels"].items():
        exchange = channel["bindings"]["amqp"]["exchange"]
        assert (channel["address"], list(channel["messages"])) == (topic, [topic])
        assert EXCHANGES[exchange["name"]] == exchange["type"]


@each_event
def test_one_service_sends_it_and_its_listeners_receive_it(event: type[Event]):
    about_it = {
        (name.split(".")[0], operation["action"])
        for name, operation in API["operations"].items()
        if operation["channel"] == {"$ref": f"#/channels/{event.topic}"}
    }

    heard = {(room.name, "receive") for room in ROOMS.values() if event in room.listens_to()}
    assert about_it == heard | {(OWNERS[event.__module__], "send")}


@each_event
def test_its_example_is_a_true_event(event: type[Event]):
    message = API["components"]["messages"][event.topic]
    (example,) = message["examples"]

    conforms(example["payload"], message["payload"])
    data = example["payload"]["data"]
    said = event.model_validate(data)
    assert json.loads(said.to_json()) == data
    assert example["payload"]["subject"] == said.subject_id()
    assert set(data.get("previous", {})) <= set(event.model_fields)


@each_event
def test_an_old_value_in_its_example_is_another_than_the_new_one(event: type[Event]):
    data = example_of(event)["data"]

    for name, old in data.get("previous", {}).items():
        assert old != data.get(name), name


@each_event
def test_another_event_does_not_pass_for_it(event: type[Event]):
    payload = API["components"]["messages"][event.topic]["payload"]
    other = next(kind for kind in PUBLIC if kind is not event)

    assert not Draft202012Validator({**payload, "components": API["components"]}).is_valid(
        example_of(other)
    )


@each_event
def test_it_says_what_it_means(event: type[Event]):
    message = API["components"]["messages"][event.topic]

    assert message["summary"].endswith(".")
    assert message["summary"] != Event.__doc__


@each_event
def test_any_cloudevents_library_reads_it(event: type[Event]):
    parsed = JSONFormat().read(None, orjson.dumps(example_of(event)))

    assert (parsed.get_specversion(), parsed.get_type()) == ("1.0", event.topic)
    assert parsed.get_data() == example_of(event)["data"]


def test_every_reference_leads_somewhere():
    for reference in set(references(API)):
        assert found_at(reference)


def test_what_is_said_may_gain_fields():
    assert "additionalProperties" not in API["components"]["schemas"]["Theme"]
