"""How a fact travels: what is promised of a public one, and how to tell a private one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat

from shared.bus.outbox import envelope_of
from shared.bus.tx import Said
from shared.bus.wire import cloudevent, from_cloudevent, to_content
from shared.contracts import Context, Event
from shared.contracts.links import ClaimSettled
from shared.contracts.payments import PaymentIntentProcessing
from shared.money import Money
from tests.contracts.messages import of_kind

NOON: Final = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)
CONTEXT: Final = Context(
    "mer_1", "live", "req_1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)
SECRET: Final = "tok_never_to_be_told"


def travelling(fact: Event) -> dict[str, Any]:
    envelope = envelope_of(Said(fact, CONTEXT), "orders", NOON)
    made: dict[str, Any] = orjson.loads(cloudevent(envelope))
    return made


def an_intent(**given: Any) -> PaymentIntentProcessing:
    return PaymentIntentProcessing.model_construct(
        payment_intent_id="pi_1",
        amount_money=Money(amount=1200, currency="USD"),
        status="processing",
        source="api",
        merchant_id="mer_1",
        mode_environment="live",
        created_at=NOON,
        updated_at=NOON,
        **given,
    )


def test_a_private_fact_has_no_subject_and_no_number():
    claim = ClaimSettled(
        attempt_id="pi_1", order_id="ord_1", payment_link_id="pl_1", is_granted=True
    )

    attributes = travelling(claim)

    assert {"subject", "sequence"}.isdisjoint(attributes)
    assert JSONFormat().read(None, orjson.dumps(attributes)).get_type() == "claim.settled"


def test_a_public_fact_names_its_subject():
    assert travelling(an_intent())["subject"] == "pi_1"


def test_extensions_have_names_that_cloudevents_allows_and_tell_for_whom_it_is():
    parsed = JSONFormat().read(None, orjson.dumps(travelling(an_intent())))

    told = {name: parsed.get_extension(name) for name in ("merchantid", "mode", "requestid")}
    assert told == {"merchantid": "mer_1", "mode": "live", "requestid": "req_1"}
    assert (
        parsed.get_extension("traceparent")
        == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )
    assert parsed.get_time() == datetime(2026, 11, 24, 12, 0, 0, 123_000, tzinfo=UTC)


def test_an_envelope_arrives_as_it_was_sent():
    envelope = envelope_of(Said(an_intent(), CONTEXT), "orders", NOON)

    event = orjson.loads(cloudevent(envelope))
    arrived = from_cloudevent(event, orjson.dumps(event["data"]), {})

    assert (arrived.id, arrived.topic, arrived.source, arrived.subject, arrived.context) == (
        envelope.id,
        envelope.topic,
        envelope.source,
        envelope.subject,
        envelope.context,
    )
    assert orjson.loads(arrived.body) == orjson.loads(envelope.body)


def test_a_fact_is_a_structured_cloudevent_that_survives_the_broker():
    said = envelope_of(Said(an_intent(), CONTEXT), "orders", NOON)
    properties = to_content("event", said).properties

    assert properties.content_type == "application/cloudevents+json"
    assert properties.delivery_mode == 2


def test_a_payment_s_token_is_never_said():
    body = an_intent(payment_source_token=SECRET).to_json()

    assert SECRET.encode() not in body
    assert b"payment_source_token" not in body


@pytest.mark.parametrize("event", of_kind(Event), ids=lambda kind: kind.topic)
def test_only_resources_of_a_merchant_are_public(event: type[Event]):
    is_a_merchants = {"merchant_id", "mode_environment"} <= set(event.model_fields)

    assert is_a_merchants or not event.public
