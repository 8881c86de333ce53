"""What a link and a resolve cannot be: one clear 400 that names the field, nothing half done."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.support.selling import a_link
from tests.support.shops import Shop

# The answers are the same over both transports: which one carries them is examined elsewhere.
pytestmark = pytest.mark.parametrize("shop", ["local"], indirect=True)

PLAN = "plan_01JZZZZZZZZZZZZZZZZZZZZZZZ"
CUSTOMER = "cus_01JZZZZZZZZZZZZZZZZZZZZZZZ"


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


EUR = {"amount": 900, "currency": "EUR"}
TEA = {"key": "tea", "name": "Tea", "amount_money": usd(1200)}


def lines(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"line_items": [TEA | item for item in items], **more}


def gift(**more: Any) -> dict[str, Any]:
    return {"mode": "donation", **more}


LINKS: dict[str, tuple[dict[str, Any], str, str]] = {
    "two currencies in two lines": (
        lines({}, {"key": "cup", "amount_money": EUR}),
        "CURRENCY_MISMATCH",
        "line_items[1].amount_money",
    ),
    "two currencies in one line": (
        lines({"max_amount_money": EUR}),
        "CURRENCY_MISMATCH",
        "line_items[0].max_amount_money",
    ),
    "least quantity above most": (
        lines({"min_quantity": 5, "max_quantity": 2, "quantity": 5}),
        "INVALID_VALUE",
        "line_items[0].min_quantity",
    ),
    "least amount above most": (
        lines({"min_amount_money": usd(9), "max_amount_money": usd(8)}),
        "INVALID_VALUE",
        "line_items[0].min_amount_money",
    ),
    "quantity 0": (lines({"quantity": 0}), "INVALID_VALUE", "line_items[0].quantity"),
    "least quantity 0": (lines({"min_quantity": 0}), "INVALID_VALUE", "line_items[0].min_quantity"),
    "a quantity of half a piece": (
        lines({"quantity": 1.5}),
        "INVALID_VALUE",
        "line_items[0].quantity",
    ),
    "an amount of half a cent": (
        lines({"amount_money": {"amount": 0.5, "currency": "USD"}}),
        "INVALID_VALUE",
        "line_items[0].amount_money.amount",
    ),
    "an amount in words": (
        lines({"amount_money": {"amount": "12", "currency": "USD"}}),
        "INVALID_VALUE",
        "line_items[0].amount_money.amount",
    ),
    "a negative amount": (
        lines({"amount_money": usd(-1)}),
        "INVALID_VALUE",
        "line_items[0].amount_money.amount",
    ),
    "a currency that is none": (
        lines({"amount_money": {"amount": 1, "currency": "XTR"}}),
        "INVALID_VALUE",
        "line_items[0].amount_money.currency",
    ),
    "a suggestion out of bounds": (
        lines({"max_amount_money": usd(2000), "suggested_amounts": [usd(1500), usd(2001)]}),
        "AMOUNT_OUT_OF_RANGE",
        "line_items[0].suggested_amounts[1]",
    ),
    "one key for two lines": (lines({}, {}), "INVALID_VALUE", "line_items[1].key"),
    "a customer on a shared link": (
        lines({}, customer={"customer_id": CUSTOMER}),
        "LINK_CUSTOMER_NOT_ALLOWED",
        "customer.customer_id",
    ),
    "an event with a plan": (lines({}, mode="event", plan_id=PLAN), "INVALID_VALUE", "plan_id"),
    "lines beside a plan": (lines({}, plan_id=PLAN), "INVALID_VALUE", "line_items"),
    "a plan that is no id": ({"plan_id": "gold"}, "INVALID_ID", "plan_id"),
    "a mode that is none": ({"mode": "auction"}, "INVALID_VALUE", "mode"),
    "a donation with items": (gift(**lines({})), "INVALID_VALUE", "line_items"),
    "a donation with a tip": (gift(tip={"is_enabled": True}), "INVALID_VALUE", "tip.is_enabled"),
    "a donation with tax": (gift(tax={"is_enabled": True}), "INVALID_VALUE", "tax.is_enabled"),
    "a donation with coupons": (
        gift(coupon={"is_enabled": True}),
        "INVALID_VALUE",
        "coupon.is_enabled",
    ),
    "a suggested gift out of bounds": (
        gift(donation_min_amount_money=usd(500), donation_suggested_amounts=[usd(499)]),
        "AMOUNT_OUT_OF_RANGE",
        "donation_suggested_amounts[0]",
    ),
    "a least gift above the most": (
        gift(donation_min_amount_money=usd(9), donation_max_amount_money=usd(8)),
        "INVALID_VALUE",
        "donation_min_amount_money",
    ),
    "gifts in two currencies": (
        gift(donation_min_amount_money=usd(9), donation_max_amount_money=EUR),
        "CURRENCY_MISMATCH",
        "donation_max_amount_money",
    ),
    "fees in another currency": (
        gift(donation_min_amount_money=usd(9), donation_cover_fees={"fixed_money": EUR}),
        "CURRENCY_MISMATCH",
        "donation_cover_fees.fixed_money",
    ),
    "fees of all there is": (
        gift(donation_cover_fees={"percent": 100}),
        "INVALID_VALUE",
        "donation_cover_fees.percent",
    ),
    "fees of five decimals": (
        gift(donation_cover_fees={"percent": 2.90001}),
        "INVALID_VALUE",
        "donation_cover_fees.percent",
    ),
    "a frequency that is none": (
        gift(donation_frequencies=["daily"]),
        "INVALID_VALUE",
        "donation_frequencies[0]",
    ),
    "a frequency twice": (
        gift(donation_frequencies=["monthly", "monthly"]),
        "INVALID_VALUE",
        "donation_frequencies[1]",
    ),
    "a donor's words on a shop's link": (
        lines({}, donation_frequencies=["monthly"]),
        "INVALID_VALUE",
        "donation_frequencies",
    ),
}


async def refused(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, str, str]:
    """The status, the code and the field that an answer names."""
    async with http.post(path, json=body) as answer:
        error = (await answer.json()).get("error", {})
    return answer.status, error.get("code", ""), error.get("param", "")


async def test_a_link_that_contradicts_itself_is_never_made(shop: Shop):
    path = "/v1/payment-links"

    async with shop.api() as http:
        told = {
            why: await refused(http, path, {"name": "Never made"} | given)
            for why, (given, *_) in LINKS.items()
        }
        async with http.get(path, params={"query": "Never made"}) as found:
            kept = (await found.json())["data"]

    assert told == {why: (400, code, param) for why, (_, code, param) in LINKS.items()}
    assert kept == []


FREE = lines({"allow_amount_adjustment": True, "min_amount_money": usd(500)})
DINARS = lines(
    {"amount_money": {"amount": 1500, "currency": "KWD"}, "allow_amount_adjustment": True}
)
CAUSE = gift(donation_min_amount_money=usd(500))

CHOICES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "less than the least": (
        FREE,
        {"unit_price_overrides": {"tea": usd(499)}},
        "AMOUNT_OUT_OF_RANGE",
        "unit_price_overrides.tea",
    ),
    "another currency": (
        FREE,
        {"unit_price_overrides": {"tea": EUR}},
        "CURRENCY_MISMATCH",
        "unit_price_overrides.tea",
    ),
    "a float": (
        FREE,
        {"unit_price_overrides": {"tea": {"amount": 5.5, "currency": "USD"}}},
        "INVALID_VALUE",
        "unit_price_overrides.tea.amount",
    ),
    "a price that is fixed": (
        lines({}),
        {"unit_price_overrides": {"tea": usd(1)}},
        "AMOUNT_OUT_OF_RANGE",
        "unit_price_overrides.tea",
    ),
    "a line that is not there": (
        lines({}),
        {"quantity_overrides": {"cup": 1}},
        "INVALID_VALUE",
        "quantity_overrides.cup",
    ),
    "quantity 0": (
        lines({"allow_quantity_adjustment": True}),
        {"quantity_overrides": {"tea": 0}},
        "LINE_ITEM_INVALID_QUANTITY",
        "quantity_overrides.tea",
    ),
    "fils that no card knows": (
        DINARS,
        {"unit_price_overrides": {"tea": {"amount": 1234, "currency": "KWD"}}},
        "INVALID_VALUE",
        "unit_price_overrides.tea",
    ),
    "a gift to a shop": (
        lines({}),
        {"donation_amount_money": usd(900)},
        "INVALID_VALUE",
        "donation_amount_money",
    ),
    "no amount of a gift": (CAUSE, {}, "FIELD_REQUIRED", "donation_amount_money"),
    "too small a gift": (
        CAUSE,
        {"donation_amount_money": usd(499)},
        "AMOUNT_OUT_OF_RANGE",
        "donation_amount_money",
    ),
    "a frequency that is not offered": (
        CAUSE,
        {"donation_amount_money": usd(900), "donation_frequency": "monthly"},
        "INVALID_VALUE",
        "donation_frequency",
    ),
    "fees that are not asked about": (
        CAUSE,
        {"donation_amount_money": usd(900), "donation_covers_fees": True},
        "INVALID_VALUE",
        "donation_covers_fees",
    ),
    "a coupon on a gift": (
        CAUSE,
        {"donation_amount_money": usd(900), "coupon_code": "SPRING"},
        "INVALID_VALUE",
        "coupon_code",
    ),
}


async def test_a_choice_that_the_link_does_not_offer_opens_no_session(shop: Shop):
    told = {}
    for why, (given, chosen, *_) in CHOICES.items():
        link = f"/v1/payment-links/{(await a_link(shop, **given))['payment_link_id']}"
        async with shop.api() as http:
            async with http.get(f"{link}/public") as shown:
                context = (await shown.json())["data"]["resolution_context"]
            told[why] = await refused(
                http, f"{link}/resolve", {"resolution_context": context} | chosen
            )

    assert told == {why: (400, code, param) for why, (_, _, code, param) in CHOICES.items()}
