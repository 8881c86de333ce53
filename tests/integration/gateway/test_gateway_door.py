"""The door over real HTTP: ids, headers, bodies, methods, failures and the log line."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
import structlog

from services.gateway import body
from services.gateway.rates import RateLimit
from shared.contracts.orders import CloseOrder, CreateOrder, GetOrder
from shared.db.pool import Pool
from shared.errors import DeadlineExceeded, Refusal, Unavailable
from tests.builders_gateway import ULID_A, a_shopfront, an_order

ORDERS = "/v1/orders"


async def test_a_safe_request_id_is_echoed_in_header_and_body(pool: Pool):
    async with a_shopfront(pool) as shop:
        response = await shop.send("GET", "/v1/nothing", headers={"X-Request-Id": "till-3/77"})

        assert response.headers["X-Request-Id"] == "till-3/77"
        assert (await response.json())["error"]["request_id"] == "till-3/77"


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a<script>"])
async def test_any_other_request_id_is_replaced_by_ours(pool: Pool, given):
    async with a_shopfront(pool) as shop:
        response = await shop.send("GET", "/v1/nothing", headers={"X-Request-Id": given})

        assert response.headers["X-Request-Id"].startswith("req_")


async def test_the_request_id_travels_to_the_services(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CreateOrder] = an_order()
        await shop.ask("POST", ORDERS, {}, headers={"X-Request-Id": "mine"})

        assert shop.services.last(CreateOrder).context.request_id == "mine"


async def test_an_unknown_path_and_a_wrong_method_keep_the_envelope(pool: Pool):
    async with a_shopfront(pool) as shop:
        missing = await shop.ask("GET", "/v1/nothing")
        wrong = await shop.send("PUT", ORDERS)
        head = await shop.send("HEAD", ORDERS)

        assert (missing[0], missing[1]["error"]["type"]) == (404, "not_found_error")
        assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, POST")
        assert (await wrong.json())["error"]["code"] == "METHOD_NOT_ALLOWED"
        assert head.status == 405


async def test_answers_carry_their_security_headers(pool: Pool):
    async with a_shopfront(pool, public_url="https://pay.example") as shop:
        for path in ("/v1/nothing", "/livez", "/v1/openapi.json"):
            headers = (await shop.send("GET", path)).headers

            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Server"] == "flint"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert headers["Cache-Control"] == "no-store"
            assert headers["Strict-Transport-Security"].startswith("max-age=31536000")


async def test_a_body_over_the_limit_is_413_with_and_without_its_length(pool: Pool):
    async def chunks():
        for _ in range(6):
            yield b" " * 65_536

    async with a_shopfront(pool) as shop:
        kind = {"Content-Type": "application/json"}
        declared = await shop.send("POST", ORDERS, data=b" " * 262_145, headers=kind)
        streamed = await shop.send("POST", ORDERS, data=chunks(), headers=kind)

        assert [declared.status, streamed.status] == [413, 413]


@pytest.mark.parametrize(
    "data, headers",
    [
        (b"{}", {}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b"{}", {"Content-Type": "application/json; charset=utf-16"}),
        (
            gzip.compress(b"{}", mtime=0),
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        ),
    ],
)
async def test_a_body_that_is_no_plain_json_is_415(pool: Pool, data, headers):
    async with a_shopfront(pool) as shop:
        response = await shop.send(
            "POST", ORDERS, data=data, headers=headers, skip_auto_headers=["Content-Type"]
        )

        assert response.status == 415


async def test_an_action_takes_an_empty_body_of_any_kind(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CloseOrder] = an_order(status="closed")
        path = f"{ORDERS}/ord_{ULID_A}/close"
        bare = await shop.ask("POST", path)
        empty = await shop.ask("POST", path, {})
        wrong = await shop.ask("POST", path, data="hello", headers={"Content-Type": "text/plain"})

        assert [bare[0], empty[0], wrong[0]] == [200, 200, 415]


@pytest.mark.parametrize(
    "raw, code, param",
    [
        (b"", "INVALID_JSON", None),
        (b"{", "INVALID_JSON", None),
        (b'{"buyer_note": 1, "buyer_note": 2}', "INVALID_JSON", "buyer_note"),
        (b'{"buyer_note": NaN}', "INVALID_JSON", "buyer_note"),
        (b'{"buyer_note": "\\u0000"}', "INVALID_VALUE", "buyer_note"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "INVALID_JSON", ".".join("a" * 32)),
        (b"[]", "INVALID_VALUE", None),
    ],
)
async def test_a_broken_body_is_400_with_its_place(pool: Pool, raw, code, param):
    async with a_shopfront(pool) as shop:
        headers = {"Content-Type": "application/json"}
        status, told = await shop.ask("POST", ORDERS, data=raw, headers=headers)

        assert (status, told["error"]["code"], told["error"].get("param")) == (400, code, param)


async def test_a_body_that_stalls_is_408(pool: Pool, monkeypatch):
    monkeypatch.setattr(body, "BODY_SECONDS", 0.05)
    async with a_shopfront(pool) as shop:
        host, port = shop.client.host, shop.client.port
        reader, writer = await asyncio.open_connection(host, port)
        head = f"POST {ORDERS} HTTP/1.1\r\nHost: x\r\nX-API-Key: {shop.secret}\r\n"
        writer.write(
            f"{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode()
        )

        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()

        assert b"408" in line


@pytest.mark.parametrize(
    "error, status, code",
    [
        (Unavailable("orders is away"), 503, "SERVICE_UNAVAILABLE"),
        (DeadlineExceeded("x"), 503, "SERVICE_UNAVAILABLE"),
        (KeyError("secret words"), 500, "INTERNAL_ERROR"),
        (Refusal("unprocessable", "card_declined", "No."), 422, "card_declined"),
    ],
)
async def test_failures_of_services_have_their_status_and_no_detail(
    pool: Pool, error, status, code
):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetOrder] = error
        response = await shop.send("GET", f"{ORDERS}/ord_{ULID_A}")
        text = await response.text()

        assert (response.status, json.loads(text)["error"]["code"]) == (status, code)
        assert ("Retry-After" in response.headers) is (status == 503)
        assert "secret" not in text
        assert "away" not in text


async def test_requests_over_the_keys_limit_are_429_before_anything_is_asked(pool: Pool):
    async with a_shopfront(pool, key_limit=RateLimit(1, 2)) as shop:
        shop.services.answers[GetOrder] = an_order()
        answers = [await shop.send("GET", f"{ORDERS}/ord_{ULID_A}") for _ in range(3)]

        assert [one.status for one in answers] == [200, 200, 429]
        assert answers[2].headers["Retry-After"] == "1"
        assert len(shop.services.asked) == 2


async def test_buyers_without_a_key_are_counted_by_address(pool: Pool):
    async with a_shopfront(pool, buyer_limit=RateLimit(1, 1), trusted_proxies=1) as shop:
        path = f"/v1/payment-links/pl_{ULID_A}/public"
        shop.services.answers = {}
        seen = []
        for address in ("10.0.0.1", "10.0.0.1", "9.9.9.9, 10.0.0.2"):
            response = await shop.send("GET", path, headers={"X-Forwarded-For": address})
            seen.append(response.status)

        assert seen == [500, 429, 500]  # Nobody has a script for the link itself.


async def test_a_person_is_told_by_a_page_and_a_program_by_the_envelope(pool: Pool):
    async with a_shopfront(pool) as shop:
        page = await shop.send("GET", "/nothing")
        api = await shop.ask("GET", "/v1/nothing")

        assert (page.status, page.content_type) == (404, "text/html")
        assert page.headers["X-Request-Id"] in await page.text()
        assert api[1]["error"]["code"] == "RESOURCE_NOT_FOUND"


async def test_one_line_is_logged_with_the_template_and_never_the_query(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[GetOrder] = an_order()
        with structlog.testing.capture_logs() as lines:
            await shop.send("GET", f"{ORDERS}/ord_{ULID_A}?read_mask=secret")
            await shop.send("GET", "/livez")

        (line,) = [one for one in lines if one["event"] == "http.request"]
        assert (line["method"], line["route"], line["status"]) == (
            "GET",
            "/v1/orders/{order_id}",
            200,
        )
        assert line["merchant_id"] == shop.merchant_id
        assert "secret" not in json.dumps(lines)


async def test_readiness_follows_the_health_of_the_process(pool: Pool):
    checks = {"database": True, "broker": True}

    async def health():
        return checks

    async with a_shopfront(pool, health=health) as shop:
        well = await shop.ask("GET", "/readyz")
        checks["broker"] = False
        ill = await shop.ask("GET", "/readyz")
        alive = await shop.ask("GET", "/livez")

        assert [well[0], ill[0], alive[0]] == [200, 503, 200]
        assert ill[1]["checks"]["broker"] is False
