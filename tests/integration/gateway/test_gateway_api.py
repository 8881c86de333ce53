"""The JSON API over real HTTP: keys, scopes, envelopes, lists, idempotency."""

from __future__ import annotations

import pytest

from services.gateway.accounts.directory import create_api_key
from shared.contracts.links import (
    CreateLink,
    GetLink,
    ListLinks,
    UpdateLink,
)
from shared.contracts.lists import Page
from shared.contracts.orders import (
    CreateOrder,
    GetOrder,
    ListOrders,
)
from shared.db.pool import Pool
from shared.errors import not_found
from tests.builders_gateway import (
    ULID_A,
    ULID_B,
    a_link,
    a_shopfront,
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
