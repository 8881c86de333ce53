"""The wire: facts as CloudEvents to the byte, requests with their headers, and what is neither.

P1: the publish's id is fresh each time and the deduplicated id travels beside it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from pamqp.header import ContentHeader

from shared.bus.wire import (
    MESSAGE_BYTES_MAX,
    PERSISTENT,
    TRANSIENT,
    Content,
    Malformed,
    cloudevent,
    from_content,
    remaining_ms,
    to_content,
)
from shared.contracts.base import Context, Envelope

CONTEXT = Context(
    "mer_1", "live", "req_1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)
FACT = Envelope(
    id="evt_1",
    topic="order.paid",
    body=b'{"order_id":"ord_1","note":"\xc3\xbc"}',
    context=CONTEXT,
    source="orders",
    subject="ord_1",
    sequence=3,
    time=datetime(2026, 11, 24, 6, 0, 0, 123_000, tzinfo=UTC),
)
REQUEST = Envelope(
    id="req_1", topic="orders.pay", body=b'{"order_id":"ord_1"}', context=CONTEXT,
    keyed=True, body_hash="abc", deadline=1_764_000_000.5,
)  # fmt: skip
GOLDEN = (
    b'{"specversion":"1.0","id":"evt_1","source":"/flint/orders","type":"order.paid",'
    b'"subject":"ord_1","time":"2026-11-24T06:00:00.123Z","datacontenttype":"application/json",'
    b'"dataschema":"urn:flint:schema:order.paid:1","merchantid":"mer_1","mode":"live",'
    b'"requestid":"req_1",'
    b'"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","sequence":3,'
    b'"data":{"order_id":"ord_1","note":"\xc3\xbc"}}'
)


def delivered(content: Content, body: bytes | None = None, **properties: Any) -> Content:
    """The message as a consumer gets it: its properties have been bytes in between."""
    header = ContentHeader()
    header.unmarshal(ContentHeader(properties=content.properties).marshal())
    received = header.properties
    for name, value in properties.items():
        setattr(received, name, value)
    return Content(content.body if body is None else body, received)


def test_a_fact_is_this_cloudevent_to_the_byte():
    """A change here is a change of the public contract."""
    assert cloudevent(FACT) == GOLDEN


def test_the_cloudevents_library_reads_our_facts():
    event = JSONFormat().read(None, GOLDEN)

    attributes = event.get_attributes()
    assert attributes["id"] == "evt_1"
    assert attributes["source"] == "/flint/orders"
    assert attributes["type"] == "order.paid"
    assert attributes["subject"] == "ord_1"
    assert attributes["sequence"] == 3
    assert event.get_data() == {"order_id": "ord_1", "note": "ü"}


def test_what_is_not_set_is_left_out_of_a_cloudevent():
    bare = Envelope("evt_1", "order.paid", b"{}", source="orders")

    assert orjson.loads(cloudevent(bare)) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/flint/orders",
        "type": "order.paid",
        "datacontenttype": "application/json",
        "dataschema": "urn:flint:schema:order.paid:1",
        "mode": "test",
        "data": {},
    }


def headers_of(content: Content) -> dict[str, Any]:
    return dict(content.properties.headers or {})


def test_each_publish_has_a_fresh_id_and_the_messages_own_beside_it():
    """P1: the broker's returns are matched by `message_id`."""
    messages = [to_content("event", FACT) for _ in range(2)]

    assert len({message.properties.message_id for message in messages} | {FACT.id}) == 3
    assert {headers_of(message)["x-event-id"] for message in messages} == {FACT.id}


@pytest.mark.parametrize("kind, envelope", [("event", FACT), ("command", REQUEST)])
def test_messages_outlive_a_broker_unless_told_otherwise(kind: Any, envelope: Envelope):
    fleeting = to_content(kind, envelope, delivery_mode=TRANSIENT)

    assert to_content(kind, envelope).properties.delivery_mode == PERSISTENT
    assert fleeting.properties.delivery_mode == TRANSIENT


def test_a_requests_headers_say_for_whom_until_when_and_under_which_key():
    body, properties = to_content("command", REQUEST)

    said = properties.content_type, properties.message_type
    assert said == ("application/json", "orders.pay")
    assert body == REQUEST.body
    assert properties.headers == {
        "x-event-id": "req_1",
        "x-attempt": 1,
        "x-merchant-id": "mer_1",
        "x-mode": "live",
        "x-request-id": "req_1",
        "traceparent": CONTEXT.traceparent,
        "x-keyed": True,
        "x-body-hash": "abc",
        "x-deadline": 1_764_000_000_500,
    }


TEXTS = st.text(max_size=20)
WORDS = st.text(min_size=1, max_size=20)
BODIES = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
CONTEXTS = st.builds(
    Context,
    TEXTS,
    st.sampled_from(["test", "live"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_:]{0,9}", fullmatch=True) | st.just(""),
    st.from_regex(r"00-[1-9a-f]{32}-[1-9a-f]{16}-0[01]", fullmatch=True) | st.just(""),
)
SECONDS = st.integers(0, 4 * 10**9)
FACTS = st.builds(
    Envelope,
    id=WORDS,
    topic=WORDS,
    body=BODIES.map(orjson.dumps),
    context=CONTEXTS,
    source=WORDS.filter(lambda source: not source.startswith("/flint/")),
    subject=TEXTS,
    sequence=st.integers(0, 10**9),
    time=SECONDS.map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
REQUESTS = st.builds(
    Envelope,
    id=WORDS,
    topic=WORDS,
    body=BODIES.map(orjson.dumps),
    context=CONTEXTS,
    attempt=st.integers(1, 20),
    keyed=st.booleans(),
    body_hash=TEXTS,
    deadline=SECONDS.map(float),
)


@given(FACTS)
def test_a_fact_comes_out_as_it_went_in(fact: Envelope):
    assert from_content(delivered(to_content("event", fact))) == fact


@given(REQUESTS)
def test_a_request_comes_out_as_it_went_in(request_: Envelope):
    assert from_content(delivered(to_content("command", request_))) == request_


def test_the_attempt_of_a_fact_is_the_transports_and_not_part_of_it():
    again = to_content("event", FACT.again())

    assert again.body == GOLDEN
    assert from_content(delivered(again)).attempt == 2


def test_attributes_of_newer_senders_are_ignored():
    newer = GOLDEN.replace(b'{"specversion"', b'{"novelty":[1],"specversion"')

    assert from_content(delivered(to_content("event", FACT), body=newer)) == FACT


def without(name: str) -> bytes:
    return orjson.dumps({k: v for k, v in orjson.loads(GOLDEN).items() if k != name})


def with_(**changes: Any) -> bytes:
    return orjson.dumps(orjson.loads(GOLDEN) | changes)


@pytest.mark.parametrize("body", [
    b"", b"not JSON", b"[1, 2]", b"null", b'"text"', b"5", b"{}", b"\xff\xfe", GOLDEN[:-1],
    b"[" * 5_000, without("id"), without("type"), without("source"), without("data"),
    with_(id=5), with_(id=""), with_(type=None), with_(type=["order.paid"]), with_(source={}),
    with_(mode="play"), with_(mode=["test"]), with_(time="yesterday"), with_(time=5),
    with_(sequence="third"), with_(sequence=[]), GOLDEN.replace(b"req_1", b"req_\xff"),
])  # fmt: skip
def test_what_is_no_fact_is_malformed_and_never_another_error(body: bytes):
    with pytest.raises(Malformed):
        from_content(delivered(to_content("event", FACT), body=body, headers={}))


def test_data_is_what_stands_last_in_our_events_and_anywhere_in_a_strangers():
    moved = orjson.loads(GOLDEN)
    strangers = orjson.dumps({"data": moved.pop("data"), **moved})

    ours = from_content(delivered(to_content("event", FACT)))
    theirs = from_content(delivered(to_content("event", FACT), body=strangers, headers={}))

    assert ours.body == FACT.body
    assert orjson.loads(theirs.body) == orjson.loads(FACT.body)


@pytest.mark.parametrize("changes", [
    {"message_type": None},
    {"message_type": ""},
    {"headers": None},
    {"headers": {}},
    {"headers": {"x-event-id": 5}},
    {"headers": {"x-event-id": b"req_1"}},
    {"headers": {"x-event-id": "req_1", "x-attempt": "many"}},
    {"headers": {"x-event-id": "req_1", "x-attempt": float("inf")}},
    {"headers": {"x-event-id": "req_1", "x-deadline": {}}},
    {"headers": {"x-event-id": "req_1", "x-deadline": datetime(2026, 1, 1, tzinfo=UTC)}},
])  # fmt: skip
def test_what_is_no_request_is_malformed_and_never_another_error(changes: dict[str, Any]):
    with pytest.raises(Malformed):
        from_content(delivered(to_content("command", REQUEST), **changes))


@pytest.mark.parametrize("kind, envelope", [("event", FACT), ("command", REQUEST)])
def test_a_message_of_more_than_a_mebibyte_is_malformed(kind: Any, envelope: Envelope):
    message = to_content(kind, envelope)

    with pytest.raises(Malformed, match="more than 1048576"):
        from_content(delivered(message, body=b"x" * (MESSAGE_BYTES_MAX + 1)))


def test_a_reason_is_one_short_line_whatever_the_message_was():
    body = orjson.dumps(orjson.loads(GOLDEN) | {"mode": "x" * 100_000})

    with pytest.raises(Malformed) as raised:
        from_content(delivered(to_content("event", FACT), body=body))

    assert len(str(raised.value)) <= 300


def test_a_mode_nobody_knows_in_a_request_is_the_harmless_one():
    request = to_content("command", REQUEST)
    odd = headers_of(request) | {"x-mode": "play"}

    assert from_content(delivered(request, headers=odd)).context.mode == "test"


def test_an_expiry_is_never_zero_which_would_mean_at_once():
    now = datetime.now(UTC)

    assert remaining_ms((now - timedelta(seconds=5)).timestamp()) == 1
    assert 4_000 < remaining_ms((now + timedelta(seconds=5)).timestamp()) <= 5_000


def test_another_attempt_changes_nothing_else():
    assert FACT.again() == replace(FACT, attempt=2)
