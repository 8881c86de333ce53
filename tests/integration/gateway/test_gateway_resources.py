"""Payment links and checkout sessions over the API: what a request is to the services behind."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.gateway import resolution
from services.gateway.api import payment_links
from shared.contracts.links import (
    DeactivateLink,
    ReplaceLineItems,
    Resolution,
    ResolveLink,
    ShowLink,
    UpdateLink,
)
from shared.contracts.orders import (
    GetOrder,
)
from shared.contracts.sessions import CreateSession, ShownSession, ShowSession, UpdateSession
from shared.db.pool import Pool
from shared.errors import not_found
from tests.builders_gateway import (
    NOON,
    SECRET_KEY,
    ULID_A,
    ULID_B,
    a_link,
    a_session,
    a_shopfront,
    a_shown_link,
    an_order,
)

LINKS = "/v1/payment-links"
LINK = f"{LINKS}/pl_{ULID_A}"
ORDER = f"/v1/orders/ord_{ULID_A}"


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
