"""What sessions hears, in any order."""

from __future__ import annotations

import random

import pytest

from shared.contracts.base import Message
from shared.contracts.orders import (
    OrderClosed,
    OrderPaid,
    OrderUnpayable,
    OrderUpdated,
)
from shared.contracts.payments import (
    PaymentIntentCanceled,
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
)
from shared.contracts.sessions import (
    SessionCompleted,
    SessionInvalidated,
)
from shared.errors import Unavailable
from tests.builders_sessions import (
    creating,
    ord_,
    paid_through,
    pressed_pay,
    quick,
    refused,
    resolved,
    said_of_intent,
    said_of_order,
    shown,
    status,
)
from tests.support.desk import Desk

# ---- links -----------------------------------------------------------------------------------


async def test_a_resolved_link_opens_one_session_however_often_it_is_heard(sessions: Desk):
    first, again = await sessions(resolved()), await sessions(resolved())

    assert first.topics() == ["checkout_session.created"]
    assert again.said == []


async def test_a_session_heard_of_after_its_successor_is_born_superseded(sessions: Desk):
    await sessions(creating(1200, order_id=ord_()))

    told, again = await sessions(resolved()), await sessions(resolved())

    assert told.topics() == ["checkout_session.created", "checkout_session.invalidated"]
    assert again.said == []
    assert (await shown(sessions)).checkout_session.terminal_reason == "superseded"


# ---- orders ----------------------------------------------------------------------------------


async def test_a_payment_walks_through_an_action_to_its_end(sessions: Desk):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)

    await sessions(said_of_intent(PaymentIntentProcessing, attempt))
    act = said_of_intent(PaymentIntentRequiresAction, attempt, next_action_url="https://3ds.test/")
    await sessions(act)
    during = await shown(sessions)
    told = await sessions(paid_through(1, attempt))

    assert during.attempt is not None
    assert (during.attempt.status, during.attempt.redirect_url) == (
        "requires_action",
        "https://3ds.test/",
    )
    assert during.checkout_session.payment_intent_ids == [attempt]
    fact = told.only(SessionCompleted)
    assert (fact.status, fact.terminal_reason) == ("paid", "payment_succeeded")
    assert (await sessions(paid_through(1, attempt))).said == []


@pytest.mark.parametrize("kind", [PaymentIntentFailed, PaymentIntentCanceled])
async def test_a_failed_payment_opens_the_page_again(
    sessions: Desk, kind: type[PaymentIntentFailed]
):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)

    await sessions(said_of_intent(kind, attempt, failure_code="card_declined"))

    after = await shown(sessions)
    assert after.checkout_session.status == "open"
    assert not after.checkout_session.is_payment_in_progress
    assert after.attempt is not None
    assert (after.attempt.status, after.attempt.failure_code) == ("failed", "card_declined")
    assert await pressed_pay(sessions) != attempt


async def test_a_no_of_orders_opens_the_page_again(sessions: Desk):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)

    await sessions(refused(attempt))

    after = (await shown(sessions)).attempt
    assert after is not None
    assert (after.failure_code, after.failure_message) == ("ORDER_CONFLICT", "The price changed.")


async def test_an_order_paid_through_one_session_ends_the_other(sessions: Desk):
    """Its first session was superseded by a second one, and the first was paid all the same."""
    await sessions(resolved())
    attempt = await pressed_pay(sessions)
    await sessions(refused(attempt))
    second = (await sessions(creating(1200, order_id=ord_()))).reply.checkout_session_id

    told = await sessions(paid_through(1, attempt))

    fact = told.only(SessionInvalidated)
    assert (fact.checkout_session_id, fact.terminal_reason) == (second, "order_paid_elsewhere")
    assert await status(sessions) == "invalidated"


async def test_a_closed_order_ends_its_session(sessions: Desk):
    await sessions(resolved())

    told = await sessions(said_of_order(OrderClosed))

    assert told.only(SessionInvalidated).terminal_reason == "order_closed"
    assert (await sessions(said_of_order(OrderClosed))).said == []


async def test_an_order_that_nobody_can_pay_ends_its_new_session(sessions: Desk):
    session = (await sessions(creating(1200, order_id=ord_()))).reply

    told = await sessions(
        OrderUnpayable(
            order_id=ord_(),
            checkout_session_id=session.checkout_session_id,
            reason="order_paid_elsewhere",
        )
    )

    assert told.only(SessionInvalidated).terminal_reason == "order_paid_elsewhere"


async def test_what_is_due_follows_the_order(sessions: Desk):
    await sessions(resolved())

    await sessions(said_of_order(OrderUpdated, revision=2, balance_money=1500))
    await sessions(said_of_order(OrderUpdated, revision=1, balance_money=1300))

    assert (await shown(sessions)).checkout_session.amount_money.amount == 1500


@pytest.mark.parametrize(
    "news",
    [
        paid_through(1, "pi_1"),
        said_of_order(OrderPaid, attempt_id="pi_1", paid_money=1200),
        said_of_order(OrderClosed),
        said_of_order(OrderUpdated, revision=2, balance_money=1500),
        said_of_intent(PaymentIntentProcessing, "pi_1"),
        said_of_intent(PaymentIntentFailed, "pi_1"),
        refused("pi_1"),
    ],
)
async def test_news_that_comes_before_its_session_is_brought_again(sessions: Desk, news: Message):
    with pytest.raises(Unavailable):
        await sessions(news)

    await sessions(resolved())
    await sessions(news)

    if isinstance(news, OrderPaid | OrderClosed):
        assert await status(sessions) in {"paid", "invalidated"}


@pytest.mark.parametrize(
    "news",
    [
        said_of_order(OrderPaid, source="api", attempt_id="pi_1", paid_money=1200),
        said_of_order(OrderClosed, source="api"),
        said_of_order(OrderUpdated, source="api", revision=2),
        said_of_intent(PaymentIntentProcessing, "pi_1", None),
        said_of_intent(PaymentIntentRequiresAction, "pi_1", None),
        said_of_intent(PaymentIntentFailed, "pi_1", None),
        refused("pi_1").model_copy(update={"checkout_session_id": None}),
    ],
)
async def test_orders_that_need_no_session_are_none_of_our_business(sessions: Desk, news: Message):
    assert (await sessions(news)).said == []


@pytest.mark.parametrize("seed", range(6))
async def test_the_news_of_a_purchase_ends_the_same_in_any_order(sessions: Desk, seed: int):
    """Each event comes twice, shuffled; what is not ready is brought again, as the bus does."""
    await sessions(resolved())
    attempt = await pressed_pay(sessions)
    news: list[Message] = [
        resolved(),
        said_of_intent(PaymentIntentProcessing, attempt),
        said_of_intent(PaymentIntentRequiresAction, attempt, next_action_url="https://3ds.test/"),
        said_of_order(OrderUpdated, revision=2, balance_money=1200),
        paid_through(1, attempt),
    ] * 2
    random.Random(seed).shuffle(news)

    said = [one for message in news for one in (await sessions(message)).topics()]

    assert said == ["checkout_session.completed"]
    assert await status(sessions) == "paid"


async def test_a_quick_payment_s_order_needs_its_session_only_once_it_was_paid_through_it(
    sessions: Desk,
):
    session = (await sessions(creating(quick_pay=quick()))).reply
    news = said_of_order(
        OrderPaid,
        order_id=session.order_id,
        source="checkout",
        attempt_id="pi_1",
        paid_session_id=session.checkout_session_id,
        paid_money=1200,
    )

    told = await sessions(news)

    assert told.only(SessionCompleted).checkout_session_id == session.checkout_session_id
