"""What an internal system hears on RabbitMQ, with its own library and its own queue."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from shared.contracts import TOPICS, Event
from shared.ids import ULID_PATTERN
from tests.faults.buyers import DECLINES, PAYS, Buyer, a_buyer, order_of
from tests.support.outside import Heard, Json, Outsider, listening
from tests.support.shops import Shop

CVC: Final = "9735"
REQUEST_ID: Final = "outside-tests-1"
LINK: Final[Json] = {
    "name": "Gyokuro",
    "line_items": [{"key": "tin", "amount_money": {"amount": 3100, "currency": "EUR"}}],
    "customer": {"require_email": True},
    "metadata": {"campaign": "spring"},
}
PRIVATE: Final = {"charge.settled", "claim.settled", "attempt.refused", "order.unpayable"}


@dataclass(frozen=True)
class Purchase:
    """A link made and resolved, a bad card refused, a good one taken; and all that was heard."""

    link: Json
    session_id: str
    order: Json
    session: Json
    heard: list[Heard]

    @property
    def public(self) -> list[Json]:
        return [one.event for one in self.heard if one.is_public]

    @property
    def private(self) -> list[Json]:
        """The services' own facts about this order."""
        events = [one.event for one in self.heard if not one.is_public]
        return [one for one in events if one["data"]["order_id"] == self.order["order_id"]]

    def about(self, subject: str) -> list[Json]:
        """In the order that `sequence` says."""
        events = [one for one in self.public if one["subject"] == subject]
        return sorted(events, key=lambda one: one["sequence"])

    def intents(self) -> list[list[Json]]:
        """The declined payment, then the one that paid."""
        return [self.about(one) for one in self.order["payment_intent_ids"]]


@pytest.fixture(scope="module")
def outsider(rabbit_shop: Shop) -> Iterator[Outsider]:
    with listening(rabbit_shop.amqp_url) as outsider:
        yield outsider


@pytest.fixture(scope="module")
async def purchase(rabbit_shop: Shop, outsider: Outsider) -> Purchase:
    link = await asked(rabbit_shop, "POST", "/v1/payment-links", LINK)
    async with a_buyer(rabbit_shop) as buyer:
        session_id = await buyer.choose(link["url"])
        paths = [await press(buyer, session_id, card) for card in (DECLINES, PAYS)]
    assert paths == [f"/c/{session_id}", f"/c/{session_id}/receipt"]
    order = await asked(rabbit_shop, "GET", f"/v1/orders/{order_of(session_id)}")
    session = await asked(rabbit_shop, "GET", f"/v1/checkout-sessions/{session_id}")
    await asyncio.to_thread(outsider.until_told, *wanted(session, order))
    return Purchase(link, session_id, order, session, outsider.heard)


async def press(buyer: Buyer, session_id: str, card: str) -> str:
    """Pay on the page; the path of the page that follows."""
    await buyer.fill_in(session_id, card)
    buyer.form["card_cvc"] = CVC
    return (await buyer.press_pay(session_id)).path


def wanted(session: Json, order: Json) -> list[tuple[str, str]]:
    """What has to be told of the purchase, and of whom."""
    declined, paid = order["payment_intent_ids"]
    return [
        ("link.created", session["payment_link_id"]),
        ("link.resolved", session["checkout_session_id"]),
        ("checkout_session.created", session["checkout_session_id"]),
        ("order.created", order["order_id"]),
        ("payment_intent.processing", declined),
        ("payment_intent.payment_failed", declined),
        ("payment_intent.processing", paid),
        ("payment_intent.succeeded", paid),
        ("order.paid", order["order_id"]),
        ("checkout_session.completed", session["checkout_session_id"]),
    ]


@pytest.fixture
async def shop(rabbit_shop: Shop) -> AsyncIterator[Shop]:
    yield rabbit_shop
    await rabbit_shop.audit()


async def asked(shop: Shop, method: str, path: str, body: Json | None = None) -> Json:
    """What the API answers."""
    headers = {"X-Request-Id": REQUEST_ID}
    async with (
        shop.api() as http,
        http.request(method, path, json=body, headers=headers) as answer,
    ):
        assert answer.status in (200, 201), await answer.text()
        data: Json = (await answer.json())["data"]
    return data


async def opened(shop: Shop, link: Json) -> str:
    async with a_buyer(shop) as buyer:
        return await buyer.choose(link["url"])


# ---- a purchase ------------------------------------------------------------------------------


async def test_a_purchase_is_told_event_by_event_each_once(purchase: Purchase):
    expected = wanted(purchase.session, purchase.order)
    subjects = {subject for _, subject in expected}

    told = [(one["type"], one["subject"]) for one in purchase.public if one["subject"] in subjects]

    assert Counter(told) == Counter(expected)


async def test_the_declined_card_is_told_with_its_reason_and_the_good_one_without(
    purchase: Purchase,
):
    declined, paid = (events[-1]["data"] for events in purchase.intents())

    assert (declined["status"], paid["status"]) == ("requires_payment_method", "succeeded")
    assert (declined["failure_code"], paid.get("failure_code")) == ("card_declined", None)
    assert paid["payment_method_last_four"] == PAYS[-4:]


async def test_every_message_is_a_durable_cloudevent_under_its_own_routing_key(purchase: Purchase):
    for one in purchase.heard:
        event = JSONFormat().read(None, one.body)

        assert one.properties.content_type == "application/cloudevents+json"
        assert one.properties.delivery_mode == 2
        assert one.routing_key == one.properties.type == event.get_type()
        assert re.fullmatch(f"evt_{ULID_PATTERN}", event.get_id())
        assert one.properties.headers["x-event-id"] == event.get_id()
        assert event.get_source() in {"/flint/links", "/flint/sessions", "/flint/orders"}
        assert event.get_dataschema() == f"urn:flint:schema:{event.get_type()}:1"
        assert timedelta(0) < datetime.now(UTC) - said_at(event) < timedelta(minutes=10)


def said_at(event: BaseCloudEvent) -> datetime:
    moment = event.get_time()
    assert moment is not None
    return moment


async def test_what_is_heard_is_what_the_document_promises(rabbit_shop: Shop, purchase: Purchase):
    async with rabbit_shop.api() as http, http.get("/v1/asyncapi.json") as answer:
        api = await answer.json()

    for event in purchase.public:
        message = api["components"]["messages"][event["type"]]
        schema = {**message["payload"], "components": api["components"]}
        Draft202012Validator(schema).validate(event)
    assert {one["type"] for one in purchase.public} <= set(api["channels"])


async def test_the_data_of_an_event_is_the_contract_s(purchase: Purchase):
    for one in purchase.heard:
        kind = TOPICS[one.routing_key]

        assert issubclass(kind, Event)
        said = kind.model_validate(one.event["data"])
        assert kind.public is one.is_public
        if one.is_public:
            assert one.event["subject"] == said.subject_id()
            assert set(one.event["data"]) <= set(kind.model_fields)


async def test_the_data_is_the_resource_as_the_api_shows_it(purchase: Purchase):
    paid = purchase.about(purchase.order["order_id"])[-1]["data"]
    completed = purchase.about(purchase.session_id)[-1]["data"]

    assert {name: paid[name] for name in purchase.order} == purchase.order
    assert {name: completed[name] for name in purchase.session} == purchase.session


async def test_it_says_for_whom_it_is_and_which_request_caused_it(purchase: Purchase):
    (created,) = purchase.about(purchase.link["payment_link_id"])

    assert created["requestid"] == REQUEST_ID
    for event in purchase.public:
        assert event["merchantid"] == event["data"]["merchant_id"]
        assert event["mode"] == event["data"]["mode_environment"] == "test"
    bought = [*purchase.about(purchase.session_id), *itertools.chain(*purchase.intents())]
    assert all(event["requestid"].startswith("req_") for event in bought)


async def test_numbers_have_no_gaps_and_private_facts_have_none(purchase: Purchase):
    numbers: dict[tuple[str, str], list[int]] = {}
    for event in purchase.public:
        numbers.setdefault((event["source"], event["subject"]), []).append(event["sequence"])
    born_here = {purchase.session_id, purchase.order["order_id"], purchase.link["payment_link_id"]}
    born_here |= {*purchase.order["payment_intent_ids"]}

    for (_, subject), found in numbers.items():
        if subject in born_here:
            assert sorted(found) == list(range(1, len(found) + 1))
    assert [one["type"] for one in purchase.private] == ["charge.settled", "charge.settled"]
    assert all("sequence" not in one for one in purchase.private)


async def test_previous_holds_the_old_value_of_what_changed(purchase: Purchase):
    paid = purchase.about(purchase.order["order_id"])[-1]["data"]
    completed = purchase.about(purchase.session_id)[-1]["data"]
    failed = purchase.intents()[0][-1]["data"]

    assert paid["previous"]["status"] == "open"
    assert paid["previous"]["net_amounts"]["balance_money"] == {"amount": 3100, "currency": "EUR"}
    assert completed["previous"]["status"] == "open"
    assert completed["previous"]["completed_at"] is None
    assert failed["previous"]["status"] == "processing"
    for event in purchase.public:
        data = event["data"]
        assert all(old != data.get(name) for name, old in data.get("previous", {}).items())


async def test_nothing_of_the_card_is_in_any_message(rabbit_shop: Shop, purchase: Purchase):
    for one in purchase.heard:
        body = one.body.decode()
        assert PAYS not in body
        assert DECLINES not in body
        assert "tok_" not in body
        assert rabbit_shop.api_key not in body
        assert CVC not in set(values(one.event))


def values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from values(one)
    elif isinstance(value, list):
        for one in value:
            yield from values(one)
    else:
        yield value


# ---- what a merchant does ----------------------------------------------------------------------


async def test_a_changed_link_tells_what_it_was(shop: Shop, outsider: Outsider):
    link = await asked(shop, "POST", "/v1/payment-links", LINK)
    where, link_id = f"/v1/payment-links/{link['payment_link_id']}", link["payment_link_id"]

    await asked(shop, "PATCH", where, {"name": "Sencha", "metadata": {"campaign": None}})
    await asked(shop, "POST", f"{where}/deactivate")
    await asked(shop, "POST", f"{where}/deactivate")
    await asked(shop, "POST", f"{where}/activate")
    await asyncio.to_thread(outsider.until_told, ("link.activated", link_id))

    told = sorted(outsider.public(link_id), key=lambda one: one["sequence"])
    assert [(one["type"], one["sequence"]) for one in told] == [
        ("link.created", 1),
        ("link.updated", 2),
        ("link.deactivated", 3),
        ("link.activated", 4),
    ]
    assert [one["data"]["previous"] for one in told] == [
        {},
        {"name": "Gyokuro", "metadata": {"campaign": "spring"}, "version": 1},
        {"status": "active", "version": 2},
        {"status": "inactive", "version": 3},
    ]
    assert {one["requestid"] for one in told} == {REQUEST_ID}


async def test_a_closed_session_takes_its_link_s_order_along(shop: Shop, outsider: Outsider):
    session_id = await opened(shop, await asked(shop, "POST", "/v1/payment-links", LINK))
    where, order_id = f"/v1/checkout-sessions/{session_id}", order_of(session_id)

    await asked(shop, "PATCH", where, {"metadata": {"table": "4"}})
    await asked(shop, "POST", f"{where}/close", {"reason": "The guest left."})
    ends = ("checkout_session.closed", session_id), ("order.closed", order_id)
    await asyncio.to_thread(outsider.until_told, *ends)

    closed, order = (outsider.public(one)[-1]["data"] for one in (session_id, order_id))
    assert (closed["status"], closed["metadata"]) == ("closed", {"table": "4"})
    assert closed["previous"] == {"status": "open", "terminal_reason": None, "closed_reason": None}
    assert order["previous"] == {"status": "open", "closed_reason": None}


async def test_a_closed_order_leaves_its_session_nothing_to_pay(shop: Shop, outsider: Outsider):
    session_id = await opened(shop, await asked(shop, "POST", "/v1/payment-links", LINK))
    order_id = order_of(session_id)

    await asked(shop, "POST", f"/v1/orders/{order_id}/close", {"reason": "Out of stock."})
    ends = ("order.closed", order_id), ("checkout_session.invalidated", session_id)
    await asyncio.to_thread(outsider.until_told, *ends)

    (invalidated,) = [one for one in outsider.public(session_id) if "invalid" in one["type"]]
    assert invalidated["data"]["terminal_reason"] == "order_closed"
    assert invalidated["requestid"] == REQUEST_ID


async def test_the_last_place_of_a_link_is_told_with_the_order_it_went_to(
    shop: Shop, outsider: Outsider
):
    link = await asked(shop, "POST", "/v1/payment-links", {**LINK, "max_completions": 1})
    order_id = order_of(await opened(shop, link))

    await asked(shop, "POST", f"/v1/orders/{order_id}/pay", {"payment_source_token": "tok_visa"})
    sold_out = ("link.exhausted", link["payment_link_id"])
    await asyncio.to_thread(outsider.until_told, ("order.paid", order_id), sold_out)

    exhausted = outsider.public(link["payment_link_id"])[-1]
    assert exhausted["requestid"] == REQUEST_ID
    assert exhausted["data"]["previous"] == {
        "active_count": 0,
        "completed_count": 0,
        "total_quantity_sold": 0,
        "remaining_quantity": 1,
        "is_sold_out": False,
    }
    assert {one.routing_key for one in outsider.heard if not one.is_public} <= PRIVATE
