"""Addresses that a merchant gives us to send buyers to: pages on the web, and nothing else."""

from __future__ import annotations

from typing import Any, Final

import pytest

from shared.contracts.links import CreateLink
from shared.contracts.sessions import CreateSession
from shared.db.pool import Pool
from tests.builders_gateway import Shopfront, a_link, a_shopfront

FIELDS: Final = (
    *("redirects.success_redirect_url", "redirects.cancel_redirect_url"),
    *("redirects.on_load_redirect_url", "expiration.expiration_url"),
    *("legal.terms_of_service_url", "legal.refund_policy_url", "legal.shipping_policy_url"),
    *("legal.contract_url", "legal.privacy_policy_url"),
)
PICTURES: Final = ("image_url", "theme.logo_url")
SCRIPTS: Final = (
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:x"),
    *("data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd", "about:x"),
)
OTHER_HOSTS: Final = (
    *("//evil.example", "/relative", "evil.example", "https:evil.example", "https:/evil.example"),
    *("https:\\\\evil.example", "https://good.example\\@evil.example", "https://good@evil.example"),
    *("https://good.example:80@evil.example/", "https://a:b@evil.example", "https://", "https:///"),
    *("http://shop.example/", "http://localhost.evil.example/", "http://localhost@evil.example/"),
    "https://{CHECKOUT_SESSION_ID}.example/",
)
BAD: Final = (
    *(*SCRIPTS, *OTHER_HOSTS, "", 7, ["x"], f"https://shop.example/{'x' * 2_048}"),
    *(
        "https://shop.example/\r\nSet-Cookie: a=b",
        "https://shop.example/\nx",
        "https://a b.example",
    ),
    *("https://shop.example/ x", "https://sh\u043ep.example/", "https://shop.example/\u202e"),
)
GOOD: Final = (
    "https://shop.example",
    "https://shop.example:8443/thanks?s={CHECKOUT_SESSION_ID}&o={ORDER_ID}#paid",
    "https://xn--80ak6aa92e.example/",
    "http://localhost:3000/done",
    "http://127.0.0.1/done",
)


def nested(field: str, value: Any) -> dict[str, Any]:
    for part in reversed(field.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


async def refusal(shop: Shopfront, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    status, told = await shop.ask("POST", path, body)
    error = told.get("error", {})
    return status, error.get("code", ""), error.get("param", "")


@pytest.mark.parametrize("url", BAD, ids=repr)
async def test_what_is_no_page_on_the_web_is_refused_by_the_name_of_its_field(
    pool: Pool, url: object
):
    quick = {"name": "Tea", "amount_money": {"amount": 1200, "currency": "USD"}}
    async with a_shopfront(pool) as shop:
        for field in FIELDS:
            for path, body in (
                ("/v1/payment-links", {"name": "Tea"}),
                ("/v1/checkout-sessions", {"quick_pay": quick}),
            ):
                told = await refusal(shop, path, body | nested(field, url))
                assert told == (400, "INVALID_VALUE", field), path
        for field in PICTURES:
            told = await refusal(shop, "/v1/payment-links", {"name": "Tea"} | nested(field, url))
            assert told == (400, "INVALID_VALUE", field)

        asked = [one.command for one in shop.services.asked]
        assert not [one for one in asked if isinstance(one, CreateLink | CreateSession)]


async def test_pages_on_the_web_and_on_the_developers_own_machine_are_taken(pool: Pool):
    async with a_shopfront(pool) as shop:
        shop.services.answers[CreateLink] = a_link()
        for url in GOOD:
            for field in FIELDS:
                body = {"name": "Tea"} | nested(field, url)
                assert (await shop.ask("POST", "/v1/payment-links", body))[0] == 201, field


async def test_pictures_are_never_fetched_in_the_clear(pool: Pool):
    async with a_shopfront(pool) as shop:
        for field in PICTURES:
            body = {"name": "Tea"} | nested(field, "http://localhost/tea.png")
            assert await refusal(shop, "/v1/payment-links", body) == (400, "INVALID_VALUE", field)
