"""What merchants and buyers do with sessions, over real tables."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from shared.contracts.orders import PayOrder
from shared.contracts.sessions import (
    CheckoutSession,
    CloseCheckoutSessionParams,
    CloseSession,
    CreateSession,
    GetSession,
    ListSessions,
    SessionAttached,
    SessionClosed,
    SessionCreated,
    SessionInvalidated,
    ShowSession,
    UpdateSession,
)
from shared.errors import Refusal
from tests.builders_links import NEVER
from tests.builders_sessions import creating, cs, ord_, paying, quick, resolved, ulid
from tests.support.desk import MERCHANT, ORIGIN, Desk, Told

STRANGER = "mer_01JZZZZZZZZZZZZZZZZZZZZZZB"


async def opened(sessions: Desk, msg: CreateSession | None = None) -> CheckoutSession:
    sessions.later(1)
    reply = (await sessions(msg or creating(quick_pay=quick()))).reply
    assert isinstance(reply, CheckoutSession)
    return reply


def updating(session_id: str, **metadata: str | None) -> UpdateSession:
    params = {"metadata": metadata}
    return UpdateSession.model_validate({"checkout_session_id": session_id, "params": params})


def closing(session_id: str, reason: str | None = None) -> CloseSession:
    params = CloseCheckoutSessionParams(reason=reason)
    return CloseSession(checkout_session_id=session_id, params=params)


async def status(sessions: Desk, session_id: str) -> str:
    return str((await sessions(GetSession(checkout_session_id=session_id))).reply.status)


async def test_a_created_session_is_read_back_as_it_was_answered(sessions: Desk):
    given = creating(
        quick_pay=quick(),
        theme={"title": "Teas"},
        redirects={"success_redirect_url": "https://example.com/{CHECKOUT_SESSION_ID}"},
        validation_callbacks={"validate_checkout_callback_url": "https://example.com/ok"},
        customer={"prefilled_customer_info": {"email": "a@example.com"}},
        expiration={"expiration_seconds": 600},
        client_reference_id="cart-1",
        metadata={"a": "1"},
    )

    told = await sessions(given)
    read = await sessions(GetSession(checkout_session_id=told.reply.checkout_session_id))
    shown = await sessions(
        ShowSession(checkout_session_id=told.reply.checkout_session_id), merchant_id=""
    )

    assert read.reply == told.reply == shown.reply.checkout_session
    assert told.reply.url == f"{ORIGIN}/c/{told.reply.checkout_session_id}"
    created, fact = told.messages
    assert isinstance(created, SessionCreated)
    assert isinstance(fact, SessionAttached)
    assert fact.quick_pay == given.params.quick_pay
    assert fact.order_id.removeprefix("ord_") == fact.checkout_session_id.removeprefix("cs_")


async def test_a_newer_session_of_an_order_takes_over(sessions: Desk):
    first = await opened(sessions, creating(1200, order_id=ord_()))

    told = await sessions(creating(1200, order_id=ord_()))

    invalidated, created, _ = told.messages
    assert isinstance(invalidated, SessionInvalidated)
    assert (invalidated.checkout_session_id, invalidated.terminal_reason) == (
        first.checkout_session_id,
        "superseded",
    )
    assert isinstance(created, SessionCreated)


async def test_no_session_takes_over_from_a_payment_in_flight(sessions: Desk):
    first = await opened(sessions, creating(1200, order_id=ord_()))
    await sessions(paying(first.checkout_session_id))

    with pytest.raises(Refusal) as caught:
        await sessions(creating(1200, order_id=ord_()))

    assert caught.value.code == "CHECKOUT_PAYMENT_RESOLVING"
    assert await status(sessions, first.checkout_session_id) == "open"


async def test_of_many_sessions_made_at_once_for_an_order_one_is_open(sessions: Desk):
    tolds = await asyncio.gather(*(sessions(creating(1200, order_id=ord_())) for _ in range(12)))

    rows = await sessions.rows("SELECT status FROM sessions")
    assert Counter(row["status"] for row in rows) == {"open": 1, "invalidated": 11}
    assert Counter(topic for told in tolds for topic in told.topics()) == {
        "checkout_session.created": 12,
        "checkout_session.attached": 12,
        "checkout_session.invalidated": 11,
    }


@pytest.mark.parametrize("other", [{"merchant_id": STRANGER}, {"mode": "live"}])
async def test_a_foreign_session_looks_like_an_unknown_one(sessions: Desk, other: dict[str, str]):
    known = (await opened(sessions)).checkout_session_id

    for ask in (
        lambda session_id: GetSession(checkout_session_id=session_id),
        lambda session_id: updating(session_id, a="1"),
        closing,
    ):
        answers = []
        for session_id, who in ((known, other), (cs(9), {})):
            with pytest.raises(Refusal) as caught:
                await sessions(ask(session_id), **who)
            answers.append(caught.value.to_wire())
        assert answers[0] == answers[1]
        assert answers[0]["kind"] == "not_found"
    assert (await sessions(ListSessions(), **other)).reply.rows == []


async def test_a_foreign_order_of_the_same_id_is_left_alone(sessions: Desk):
    first = await opened(sessions, creating(1200, order_id=ord_()))

    await sessions(creating(1200, order_id=ord_()), merchant_id=STRANGER)

    assert await status(sessions, first.checkout_session_id) == "open"


async def test_metadata_merges(sessions: Desk):
    session_id = (await opened(sessions)).checkout_session_id
    await sessions(updating(session_id, a="1", b="2"))

    told = await sessions(updating(session_id, a=None))

    assert told.reply.metadata == {"b": "2"}
    assert (await sessions(GetSession(checkout_session_id=session_id))).reply == told.reply


async def test_closing_tells_it_once(sessions: Desk):
    session_id = (await opened(sessions)).checkout_session_id

    told, again = await sessions(closing(session_id, "no tea")), await sessions(closing(session_id))

    assert told.only(SessionClosed).closed_reason == "no tea"
    assert (again.reply, again.said) == (told.reply, [])


async def test_pressing_pay_asks_orders_for_the_merchant(sessions: Desk):
    await sessions(resolved())

    told = await sessions(paying(), merchant_id="", mode="live")

    ask = told.only(PayOrder)
    assert (ask.attempt_id, ask.order_id) == (told.reply.attempt_id, ord_())
    assert (told.said[0].context.merchant_id, told.said[0].context.mode) == (MERCHANT, "test")
    assert told.said[0].context.request_id == "req_test"
    shown = (await sessions(ShowSession(checkout_session_id=cs()))).reply
    assert shown.attempt.status == "processing"
    assert shown.checkout_session.is_payment_in_progress


async def test_of_many_who_press_pay_at_once_one_is_taken(sessions: Desk):
    await sessions(resolved())

    outcomes = await asyncio.gather(
        *(sessions(paying()) for _ in range(10)), return_exceptions=True
    )

    assert sum(isinstance(one, Told) for one in outcomes) == 1
    codes = {one.code for one in outcomes if isinstance(one, Refusal)}
    assert codes == {"CHECKOUT_PAYMENT_RESOLVING"}


async def test_paying_and_closing_at_once_never_both_succeed(sessions: Desk):
    for number in range(1, 11):
        await sessions(resolved(number))
        outcomes = await asyncio.gather(
            sessions(paying(cs(number))), sessions(closing(cs(number))), return_exceptions=True
        )
        assert sum(isinstance(one, Told) for one in outcomes) == 1


async def pages(sessions: Desk, **asked: Any) -> list[list[str]]:
    """The reference of every session on every page until the last."""
    found: list[list[str]] = []
    after = None
    while True:
        page = (await sessions(ListSessions(after=after, **asked))).reply
        found.append([row.client_reference_id for row in page.rows])
        if page.next is None:
            return found
        after = page.next


async def test_a_list_has_every_session_once_and_no_empty_last_page(sessions: Desk):
    for name in "abcd":
        await opened(sessions, creating(quick_pay=quick(), client_reference_id=name))

    assert await pages(sessions, page_size=2) == [["d", "c"], ["b", "a"]]
    assert await pages(sessions, page_size=3, sort_direction="asc") == [["a", "b", "c"], ["d"]]


@pytest.mark.parametrize(
    "asked, names",
    [
        ({"status": "closed"}, ["gone"]),
        ({"order_id": ord_(5)}, ["order"]),
        ({"source": "payment_link"}, ["link"]),
        ({"payment_link_id": NEVER}, ["link"]),
        ({"query": "GREEN"}, ["quick"]),
        ({"query": "order"}, ["order"]),
        ({"query": ulid(5)}, ["order"]),
        ({"query": "%"}, []),
    ],
)
async def test_a_list_is_filtered(sessions: Desk, asked: dict[str, Any], names: list[str]):
    green = quick() | {"name": "Green tea"}
    await opened(sessions, creating(quick_pay=green, client_reference_id="quick"))
    await opened(sessions, creating(1, order_id=ord_(5), client_reference_id="order"))
    gone = await opened(sessions, creating(quick_pay=quick(), client_reference_id="gone"))
    await sessions(closing(gone.checkout_session_id))
    await sessions(resolved(client_reference_id="link"))

    assert await pages(sessions, **asked) == [names]


async def test_a_list_by_when_sessions_expired_leaves_its_ends_out(sessions: Desk):
    soon: dict[str, Any] = {"expiration": {"expiration_seconds": 60}}
    session = await opened(sessions, creating(quick_pay=quick(), client_reference_id="a", **soon))
    await opened(sessions, creating(quick_pay=quick(), client_reference_id="b"))
    sessions.later(60)
    await sessions.sweep("sessions.expire")

    expired = (
        await sessions(GetSession(checkout_session_id=session.checkout_session_id))
    ).reply.expired_at

    assert await pages(sessions, expired_after=session.created_at) == [["a"]]
    assert await pages(sessions, expired_after=expired) == [[]]
    assert await pages(sessions, expired_before=expired) == [[]]
