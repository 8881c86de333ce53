"""What a topic says by itself: who owns it, whether somebody answers, and that somebody listens."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import pytest

from shared.contracts import OWNERS, Command, Effect, Event, Message, events_of
from tests.contracts.messages import MESSAGES, ROOMS, components, of_kind, properties

# The first word of a topic, and the one file of shared/contracts whose word it is.
NOUNS: Final = {
    "link": "links",
    "claim": "links",
    "checkout_session": "sessions",
    "order": "orders",
    "attempt": "orders",
    "payment_intent": "payments",
    "charge": "payments",
    "ticket": "tickets",
    "subscription_plan": "plans",
}
ASKED: Final = {
    "links": "links",
    "sessions": "sessions",
    "orders": "orders",
    "payments": "orders",
    "plans": "orders",
}
# Past participles are words in -ed, these, and what clients already know by another kind of word.
IRREGULAR: Final = frozenset({"paid"})
STATES: Final = frozenset(
    {
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.late",
        "order.unpayable",
    }
)

# Every event that the API promises to internal systems, by who publishes it (those of plans are
# ours beside them) …
PROMISED: Final = {
    "links": "link.created updated activated deactivated resolved exhausted reopened",
    "sessions": "checkout_session.created completed expired closed invalidated",
    "orders": """
        order.created updated paid closed refunded
        payment_intent.processing requires_action succeeded payment_failed canceled late
        refund.created updated failed
        customer.created updated
        subscription.created activated updated paused resumed past_due payment_succeeded
        payment_failed trial_ending canceled
        ticket.issued
        subscription_plan.created updated archived
    """,
}
# … and those whose resource does not exist yet.
LATER: Final = {
    "refunds": "refund.created updated failed",
    "customers": "customer.created updated",
    "subscriptions": """
        subscription.created activated updated paused resumed past_due payment_succeeded
        payment_failed trial_ending canceled
    """,
}

CARD: Final = re.compile(
    r"(^|_)(card_?number|number_of_card|pan|primary_account_number|cvc2?|cvv2?|csc|cid"
    r"|security_code|exp|exp_month|exp_year|expiry|expiration_date|track[12]?|pin|iban)(_|$)"
)
SECRET: Final = re.compile(r"(^|_)(token|tokens|secret|password|api_key|credential)(_|$)")


def topics(text: str) -> set[str]:
    """`link.created updated` → both topics in full."""
    found: set[str] = set()
    noun = ""
    for word in text.split():
        noun = word.partition(".")[0] if "." in word else noun
        found.add(word if "." in word else f"{noun}.{word}")
    return found


def home(kind: type[Message]) -> str:
    return kind.__module__.rpartition(".")[2]


@pytest.mark.parametrize("event", of_kind(Event), ids=lambda kind: kind.topic)
def test_an_event_is_a_noun_and_a_past_participle(event: type[Event]):
    noun, _, verb = event.topic.partition(".")

    assert home(event) == NOUNS[noun], "declared in its owner's file, and only there"
    last = verb.rpartition("_")[2]
    assert last.endswith("ed") or last in IRREGULAR or event.topic in STATES


@pytest.mark.parametrize("kind", [*of_kind(Command), *of_kind(Effect)], ids=lambda kind: kind.topic)
def test_a_request_is_a_service_and_an_imperative(kind: type[Message]):
    owner, _, verb = kind.topic.partition(".")

    assert home(kind) == owner
    assert OWNERS[kind.__module__] == ASKED[owner]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", verb)
    assert not verb.partition("_")[0].endswith(("ed", "ing", "s")), "say what to do"


@pytest.mark.parametrize("event", of_kind(Event), ids=lambda kind: kind.topic)
def test_somebody_listens_to_every_event(event: type[Event]):
    heard_by = [room.name for room in ROOMS.values() if event in room.listens_to()]

    assert heard_by, "an event that nobody hears is not said: give it a listener or take it away"
    assert ("gateway" in heard_by) is event.public, "the event log keeps what is public, only that"


def test_every_request_has_one_handler_in_its_owner_s_room():
    handled = Counter(
        (kind.topic, room.name)
        for room in ROOMS.values()
        for kind in (*room.answers(), *room.effects)
    )

    asked = [*of_kind(Command), *of_kind(Effect)]
    assert handled == Counter((kind.topic, OWNERS[kind.__module__]) for kind in asked)


def test_what_the_api_promises_is_said_by_its_publisher_or_comes_later():
    said = {
        service: {event.topic for event in events_of(service) if event.public}
        for service in PROMISED
    }
    promised = {service: topics(text) for service, text in PROMISED.items()}
    later = {topic for text in LATER.values() for topic in topics(text)}

    assert said == {service: found - later for service, found in promised.items()}
    assert later <= set.union(*promised.values())


def test_a_subject_is_the_id_of_the_resource():
    subjects = {
        event.topic.partition(".")[0]: event.subject for event in of_kind(Event) if event.public
    }

    assert subjects["link"] == "payment_link_id"
    assert subjects["checkout_session"] == "checkout_session_id"
    assert subjects["order"] == "order_id"
    assert subjects["payment_intent"] == "payment_intent_id"
    assert subjects["ticket"] == "ticket_id"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda kind: kind.topic)
def test_no_message_has_a_place_for_card_data(message: type[Message]):
    fields = {*properties(SCHEMAS[message.__name__])} | reached(SCHEMAS[message.__name__])

    assert not {name for name in fields if CARD.search(name)}


@pytest.mark.parametrize("event", of_kind(Event), ids=lambda kind: kind.topic)
def test_no_event_has_a_place_for_a_token_or_a_secret(event: type[Event]):
    fields = {*properties(SCHEMAS[event.__name__])} | reached(SCHEMAS[event.__name__])

    assert not {name for name in fields if SECRET.search(name)}


@pytest.mark.parametrize(
    "name", ["card_number", "pan", "cvc", "card_cvc", "exp_month", "security_code", "cvv2"]
)
def test_the_words_of_card_data_are_known(name: str):
    assert CARD.search(name)


@pytest.mark.parametrize("name", ["card_last_four", "expires_at", "expiration", "company"])
def test_words_that_only_look_like_card_data_are_left_alone(name: str):
    assert not CARD.search(name)


SCHEMAS: Final = components()


def reached(schema: Any, seen: frozenset[str] = frozenset()) -> set[str]:
    """The fields of all that a schema refers to."""
    names = {*references(schema)} - seen
    found: set[str] = set()
    for name in names:
        part = SCHEMAS[name]
        found |= {*properties(part)} | reached(part, seen | names)
    return found


def references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(references(one) for one in schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("$ref")
    found = set().union(*(references(one) for one in schema.values()))
    return found | {own.rpartition("/")[2]} if isinstance(own, str) else found
