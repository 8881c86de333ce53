"""Paying an order over the API, and what is still on its way when it is asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from services.gateway.api import paying
from shared.contracts.orders import (
    CloseOrder,
    GetOrder,
    PaymentStarted,
    PayOrder,
)
from shared.contracts.payments import GetPaymentIntent
from shared.contracts.sessions import CreateSession
from shared.db.pool import Pool
from shared.errors import not_found
from shared.ids import new_id
from tests.builders_gateway import (
    ULID_A,
    a_session,
    a_shopfront,
    an_intent,
    an_order,
)

LINKS = "/v1/payment-links"
LINK = f"{LINKS}/pl_{ULID_A}"
ORDER = f"/v1/orders/ord_{ULID_A}"


def started(**changes):
    return PaymentStarted(attempt_id=f"pi_{ULID_A}", order=an_order(**changes))


async def test_a_payment_is_answered_when_its_outcome_is_known(pool: Pool):
    async with a_shopfront(pool) as shop:
        looks = []

        def look(_):
            looks.append(1)
            return an_intent(status="processing" if len(looks) < 3 else "succeeded")

        paid = an_order(status="paid")
        shop.services.answers = {PayOrder: started(), GetPaymentIntent: look, GetOrder: paid}
        body = {"payment_source_token": "tok_visa", "buyer_email": "ada@example.com"}
        status, told = await shop.ask("POST", f"{ORDER}/pay", body)

        assert (status, told["data"]["status"], told["pending_actions"]) == (200, "paid", [])
        sent = shop.services.last(PayOrder).command
        assert (sent.payment_source_token, sent.payer.email) == ("tok_visa", "ada@example.com")


async def test_the_same_key_is_the_same_attempt(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers = {PayOrder: started(status="paid")}
        for _ in range(2):
            await shop.ask("POST", f"{ORDER}/pay", {}, headers={"Idempotency-Key": "k"})
        await shop.ask("POST", f"{ORDER}/pay", {})

        attempts = [one.command.attempt_id for one in shop.services.asked]
        assert attempts[0] == attempts[1] != attempts[2]


async def test_a_payment_that_needs_the_buyer_says_where(pool: Pool):
    async with a_shopfront(pool) as shop:
        url = "https://pay.example/3ds/1"
        intent = an_intent(status="requires_action", next_action_url=url)
        order = an_order()
        shop.services.answers = {PayOrder: started(), GetPaymentIntent: intent, GetOrder: order}
        status, told = await shop.ask("POST", f"{ORDER}/pay", {"payment_source_token": "tok_3ds"})

        assert (status, told["data"]["status"]) == (200, "open")
        assert told["pending_actions"] == [
            {"payment_intent_id": f"pi_{ULID_A}", "redirect_url": url}
        ]


async def test_a_declined_payment_is_422_with_its_code(pool: Pool):
    async with a_shopfront(pool) as shop:
        intent = an_intent(
            status="requires_payment_method",
            failure_code="insufficient_funds",
            failure_message="The card has insufficient funds.",
        )
        shop.services.answers = {PayOrder: started(), GetPaymentIntent: intent}
        status, told = await shop.ask("POST", f"{ORDER}/pay", {"payment_source_token": "tok_no"})

        assert (status, told["error"]["type"]) == (422, "validation_error")
        assert told["error"]["code"] == "insufficient_funds"


async def test_an_outcome_that_takes_too_long_is_the_order_as_it_stands(pool: Pool, monkeypatch):
    monkeypatch.setattr(paying, "OUTCOME_SECONDS", 0.05)
    async with a_shopfront(pool) as shop:
        intent = an_intent(status="processing")
        answers = {PayOrder: started(), GetPaymentIntent: intent, GetOrder: an_order()}
        shop.services.answers = answers
        status, told = await shop.ask("POST", f"{ORDER}/pay", {"payment_source_token": "tok_x"})

        assert (status, told["data"]["status"], told["pending_actions"]) == (200, "open", [])


async def test_an_event_wakes_whoever_waits_for_the_outcome(pool: Pool):
    async with a_shopfront(pool) as shop:
        is_decided: list[bool] = []

        def look(_):
            return an_intent(status="succeeded" if is_decided else "processing")

        shop.services.answers = {PayOrder: started(), GetPaymentIntent: look, GetOrder: an_order()}
        paying_now = asyncio.create_task(shop.ask("POST", f"{ORDER}/pay", {}))
        while not [one for one in shop.services.asked if isinstance(one.command, GetPaymentIntent)]:
            await asyncio.sleep(0.001)
        is_decided.append(True)
        shop.gateway.hub.tell(f"pi_{ULID_A}")

        assert (await asyncio.wait_for(paying_now, 5))[0] == 200


# ---- what is still on its way ----------------------------------------------------------------


async def test_an_order_minted_a_moment_ago_is_waited_for(pool: Pool):
    async with a_shopfront(pool, clock=lambda: datetime.now(UTC)) as shop:
        fresh, looks = new_id("ord"), []

        def get(_):
            looks.append(1)
            return an_order() if len(looks) > 2 else not_found("order")

        shop.services.answers = {GetOrder: get, CloseOrder: an_order(status="closed")}
        read = await shop.ask("GET", f"/v1/orders/{fresh}")
        looks.clear()
        closed = await shop.ask("POST", f"/v1/orders/{fresh}/close")

        assert (read[0], closed[0], len(looks)) == (200, 200, 3)


async def test_an_older_unknown_order_is_unknown_at_once(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetOrder] = not_found("order", "order_id")
        status, _ = await shop.ask("GET", ORDER)

        assert (status, len(shop.services.asked)) == (404, 1)


async def test_an_id_of_a_year_beyond_all_calendars_is_only_unknown(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetOrder] = not_found("order", "order_id")
        status, _ = await shop.ask("GET", "/v1/orders/ord_7ZZZZZZZZZZZZZZZZZZZZZZZZZ")

        assert status == 404


async def test_a_repeat_under_a_key_is_answered_although_the_order_is_paid_by_now(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers = {GetOrder: an_order(status="paid"), CreateSession: a_session()}
        body = {"order_id": f"ord_{ULID_A}"}
        key = {"Idempotency-Key": "k"}
        repeat = await shop.ask("POST", "/v1/checkout-sessions", body, headers=key)
        shop.services.answers[CreateSession] = not_found("order", "order_id")
        first = await shop.ask("POST", "/v1/checkout-sessions", body, headers=key)

        assert repeat[0] == 201
        assert (first[0], first[1]["error"]["code"]) == (409, "ORDER_CLOSED")
