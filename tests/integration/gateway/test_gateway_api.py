"""The JSON API over real HTTP: keys, scopes, envelopes, lists, idempotency, and each resource."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway import resolution
from services.gateway.accounts.directory import create_api_key
from services.gateway.api import paying, payment_links
from shared.contracts.links import (
    CreateLink,
    DeactivateLink,
    GetLink,
    ListLinks,
    ReplaceLineItems,
    Resolution,
    ResolveLink,
    ShowLink,
    UpdateLink,
)
from shared.contracts.lists import Page
from shared.contracts.orders import (
    CloseOrder,
    CreateOrder,
    GetOrder,
    ListOrders,
    PaymentStarted,
    PayOrder,
)
from shared.contracts.payments import GetPaymentIntent
from shared.contracts.sessions import CreateSession, ShownSession, ShowSession, UpdateSession
from shared.db.pool import Pool
from shared.errors import not_found
from shared.ids import new_id
from tests.builders_gateway import (
    NOON,
    SECRET_KEY,
    ULID_A,
    ULID_B,
    a_link,
    a_session,
    a_shopfront,
    a_shown_link,
    an_intent,
    an_order,
)

LINKS = "/v1/payment-links"
LINK = f"{LINKS}/pl_{ULID_A}"
ORDER = f"/v1/orders/ord_{ULID_A}"


# ---- keys and scopes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, status, code",
    [
        ({"Authorization": ""}, 401, "API_KEY_NOT_FOUND"),
        ({"Authorization": "Bearer flint_test_" + "0" * 64}, 401, "API_KEY_NOT_FOUND"),
        ({"X-API-Key": "flint_test_" + "0" * 64}, 400, "INVALID_VALUE"),
    ],
)
async def test_a_request_without_one_valid_key_goes_no_further(pool: Pool, headers, status, code):
    async with a_shopfront(pool) as shop:
        told = await shop.ask("GET", ORDER, headers=headers)

        assert (told[0], told[1]["error"]["code"]) == (status, code)
        assert not shop.services.asked


async def test_no_key_at_all_is_required(pool: Pool):
    async with a_shopfront(pool) as shop:
        response = await shop.client.get(ORDER)

        assert (response.status, response.headers["WWW-Authenticate"]) == (
            401,
            'Bearer realm="flint"',
        )
        assert (await response.json())["error"]["code"] == "API_KEY_REQUIRED"


async def test_a_key_may_only_do_what_its_scopes_say(pool: Pool):
    async with a_shopfront(pool, scopes=("commerce.orders.read",)) as shop:
        shop.services.answers[GetOrder] = an_order()
        read = await shop.ask("GET", ORDER)
        write = await shop.ask("POST", f"{ORDER}/close")
        other = await shop.ask("GET", LINK)

        assert [read[0], write[0], other[0]] == [200, 403, 403]
        assert write[1]["error"]["type"] == "authorization_error"


async def test_the_key_decides_merchant_and_mode(pool: Pool):
    async with a_shopfront(pool) as shop:
        _, live = await create_api_key(pool, shop.merchant_id, "live", ["all"], "live")
        shop.services.answers[GetOrder] = an_order()
        await shop.ask("GET", ORDER)
        await shop.ask("GET", ORDER, headers={"Authorization": f"Bearer {live}"})

        seen = [(one.context.merchant_id, one.context.mode) for one in shop.services.asked]
        assert seen == [(shop.merchant_id, "test"), (shop.merchant_id, "live")]


# ---- the envelope ----------------------------------------------------------------------------


async def test_an_answer_has_arrays_and_maps_and_no_null(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CreateLink] = a_link(line_items=[], max_completions=None)
        status, told = await shop.ask("POST", LINKS, {"name": "Tea"})

        assert status == 201
        assert set(told) == {"data", "request_id"}
        assert told["data"]["line_items"] == []
        assert told["data"]["legal"] == {}
        assert "max_completions" not in told["data"]
        assert "null" not in str(told)


@pytest.mark.parametrize("path", [f"{LINKS}/pl_1", f"{LINKS}/{ULID_A}", "/v1/orders/ord_%00"])
async def test_a_malformed_id_looks_like_an_unknown_one(pool: Pool, path):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetLink] = not_found("payment link", "payment_link_id")
        unknown = await shop.ask("GET", LINK)
        malformed = await shop.ask("GET", path)

        assert malformed[0] == unknown[0] == 404
        assert malformed[1]["error"]["code"] == unknown[1]["error"]["code"]
        assert len(shop.services.asked) == 1


@pytest.mark.parametrize("path", [LINK, LINKS])
async def test_an_unknown_query_parameter_is_400(pool: Pool, path):
    async with a_shopfront(pool) as shop:
        status, told = await shop.ask("GET", f"{path}?colour=green")

        assert (status, told["error"]["code"], told["error"]["param"]) == (
            400,
            "UNKNOWN_FIELD",
            "colour",
        )


# ---- lists -----------------------------------------------------------------------------------


async def test_a_list_leads_on_by_its_token_until_the_end(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[ListLinks] = Page(rows=[a_link()], next=("2026-11-24", "pl_x"))
        path = f"{LINKS}?status=active&page_size=1&query=tea"
        _, first = await shop.ask("GET", path)
        shop.services.answers[ListLinks] = Page(rows=[a_link()])
        _, last = await shop.ask("GET", f"{path}&page_token={first['next_page_token']}")

        assert (len(first["data"]), last["next_page_token"]) == (1, "")
        asked = [one.command for one in shop.services.asked]
        assert (asked[0].after, asked[1].after) == (None, ("2026-11-24", "pl_x"))
        assert (asked[0].status, asked[0].page_size, asked[0].query) == ("active", 1, "tea")


async def test_a_token_of_another_merchant_is_refused(pool: Pool):
    async with a_shopfront(pool) as mine, a_shopfront(pool) as other:
        mine.services.answers[ListOrders] = Page(rows=[an_order()], next=("1", "ord_x"))
        _, page = await mine.ask("GET", "/v1/orders?sort_field=due_money")
        path = f"/v1/orders?sort_field=due_money&page_token={page['next_page_token']}"
        status, told = await other.ask("GET", path)

        assert (status, told["error"]["param"]) == (400, "page_token")


# ---- idempotency -----------------------------------------------------------------------------


async def test_a_write_under_a_key_has_its_identity_and_a_replay_says_so(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CreateOrder] = an_order()
        key = {"Idempotency-Key": "order-77"}
        _, first = await shop.ask("POST", "/v1/orders", {"buyer_note": "x"}, headers=key)
        asked = shop.services.last(CreateOrder)
        shop.services.replayed.add(str(asked.message_id))
        status, second = await shop.ask("POST", "/v1/orders", {"buyer_note": "x"}, headers=key)

        assert "meta" not in first
        assert (status, second["meta"]) == (201, {"idempotency_replayed": True})
        assert asked.is_keyed
        assert asked == shop.services.asked[0]


async def test_another_endpoint_under_the_same_key_is_another_write(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[UpdateLink] = a_link()
        key = {"Idempotency-Key": "k"}
        for link in (ULID_A, ULID_B):
            await shop.ask("PATCH", f"{LINKS}/pl_{link}", {"name": "x"}, headers=key)

        first, second = shop.services.asked
        assert first.message_id != second.message_id
        assert first.body_hash == second.body_hash


async def test_without_a_key_nothing_is_keyed(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CreateOrder] = an_order()
        await shop.ask("POST", "/v1/orders", {})

        asked = shop.services.last(CreateOrder)
        assert (asked.message_id, asked.is_keyed) == (None, False)


async def test_a_bad_key_is_400(pool: Pool):
    async with a_shopfront(pool) as shop:
        told = await shop.ask("POST", "/v1/orders", {}, headers={"Idempotency-Key": "a b"})

        assert (told[0], told[1]["error"]["param"]) == (400, "Idempotency-Key")


# ---- payment links ---------------------------------------------------------------------------


async def test_a_patch_tells_null_from_absent(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[UpdateLink] = a_link()
        patch = {"theme": {"title": None}, "description": None, "metadata": {"a": None, "b": "c"}}
        status, _ = await shop.ask("PATCH", LINK, patch)

        assert status == 200
        assert shop.services.last(UpdateLink).command.params == patch


async def test_deactivating_lets_buyers_finish_unless_told_otherwise(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[DeactivateLink] = a_link(status="inactive")
        await shop.ask("POST", f"{LINK}/deactivate")
        await shop.ask("POST", f"{LINK}/deactivate", {"close_open_sessions": True})

        said = [one.command.close_open_sessions for one in shop.services.asked]
        assert said == [False, True]


async def test_line_items_are_replaced_as_a_whole(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[ReplaceLineItems] = a_link()
        line = {"amount_money": {"amount": 5, "currency": "JPY"}}
        await shop.ask("POST", f"{LINK}/line-items/replace", {"line_items": [line]})

        (sent,) = shop.services.last(ReplaceLineItems).command.params.line_items
        assert (sent.amount_money.amount, sent.amount_money.currency) == (5, "JPY")


async def test_the_public_view_needs_no_key_and_shows_nothing_private(pool: Pool):
    async with a_shopfront(pool) as shop:
        shown = a_shown_link(merchant_id=shop.merchant_id, unavailable_reason="EVENT_ENDED")
        shop.services.answers[ShowLink] = shown
        response = await shop.client.get(f"{LINK}/public")
        data = (await response.json())["data"]

        assert response.status == 200
        assert data["merchant_name"] == "Corner Tea"
        assert data["unavailable_reason"] == "EVENT_ENDED"
        assert data["resolution_context_expires_at"] == "2026-11-24T14:00:00.000Z"
        assert not {"metadata", "redirects", "completed_count"} & set(data["payment_link"])
        assert "merchant_id" not in data


RESOLUTION = Resolution(
    checkout_session_id=f"cs_{ULID_A}",
    order_id=f"ord_{ULID_A}",
    payment_link_id=f"pl_{ULID_A}",
    merchant_id=f"mer_{ULID_A}",
    mode_environment="test",
)


def context_of(link=f"pl_{ULID_A}", version=3, now=NOON):
    return resolution.issue(SECRET_KEY, link, version, now)


async def test_a_resolve_waits_for_its_session(pool: Pool):
    async with a_shopfront(pool) as shop:
        looks = []

        def show(_):
            looks.append(1)
            if len(looks) < 3:
                return not_found("checkout session")
            return ShownSession(checkout_session=a_session())

        shop.services.answers = {ResolveLink: RESOLUTION, ShowSession: show}
        body = {"resolution_context": context_of(), "quantity_overrides": {"tea": 2}}
        response = await shop.client.post(f"{LINK}/resolve", json=body)
        data = (await response.json())["data"]

        assert response.status == 201
        assert data["checkout_session"]["checkout_session_id"] == f"cs_{ULID_A}"
        assert data["checkout_url"] == a_session().url
        sent = shop.services.last(ResolveLink).command
        assert (sent.context_version, sent.choices.quantity_overrides) == (3, {"tea": 2})


async def test_a_session_that_does_not_come_is_a_503_that_may_be_repeated(pool: Pool, monkeypatch):
    monkeypatch.setattr(payment_links, "SESSION_SECONDS", 0.05)
    async with a_shopfront(pool) as shop:
        shop.services.answers = {ResolveLink: RESOLUTION, ShowSession: not_found("session")}
        response = await shop.client.post(
            f"{LINK}/resolve", json={"resolution_context": context_of()}
        )

        assert (response.status, response.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    "context, code",
    [
        (None, "PAYMENT_LINK_RESOLUTION_CONTEXT_REQUIRED"),
        ("made.up", "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"),
        (context_of(link=f"pl_{ULID_B}"), "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"),
        (
            context_of(now=NOON - timedelta(hours=2)),
            "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED",
        ),
    ],
)
async def test_a_bad_context_is_400_but_the_links_own_no_comes_first(pool: Pool, context, code):
    async with a_shopfront(pool) as shop:
        body = {"resolution_context": context} if context else {}
        shop.services.answers[ShowLink] = a_shown_link()
        good = await shop.ask("POST", f"{LINK}/resolve", body)
        shop.services.answers[ShowLink] = a_shown_link(unavailable_reason="PAYMENT_LINK_INACTIVE")
        inactive = await shop.ask("POST", f"{LINK}/resolve", body)

        assert (good[0], good[1]["error"]["code"]) == (400, code)
        assert (inactive[0], inactive[1]["error"]["code"]) == (409, "PAYMENT_LINK_INACTIVE")


# ---- checkout sessions -----------------------------------------------------------------------


async def test_a_session_for_an_order_is_told_what_the_order_owes(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers = {GetOrder: an_order(), CreateSession: a_session()}
        status, _ = await shop.ask("POST", "/v1/checkout-sessions", {"order_id": f"ord_{ULID_A}"})

        assert status == 201
        balance = shop.services.last(CreateSession).command.order_balance_money
        assert (balance.amount, balance.currency) == (2500, "USD")


@pytest.mark.parametrize(
    "order, status, code",
    [
        (not_found("order"), 404, "RESOURCE_NOT_FOUND"),
        (an_order(status="paid"), 409, "ORDER_CLOSED"),
    ],
)
async def test_a_session_needs_an_open_order(pool: Pool, order, status, code):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetOrder] = order
        told = await shop.ask("POST", "/v1/checkout-sessions", {"order_id": f"ord_{ULID_A}"})

        assert (told[0], told[1]["error"]["code"]) == (status, code)


async def test_metadata_is_merged_by_the_service(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[UpdateSession] = a_session()
        path = f"/v1/checkout-sessions/cs_{ULID_A}"
        await shop.ask("PATCH", path, {"metadata": {"table": "12", "waiter": None}})

        params = shop.services.last(UpdateSession).command.params
        assert params.metadata == {"table": "12", "waiter": None}


# ---- paying an order -------------------------------------------------------------------------


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
