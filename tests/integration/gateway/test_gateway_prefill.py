"""Whatever an address brings along: the page is the page, and only good values are in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from html import unescape
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from services.gateway.pages.prefill import UTM_MAX
from shared.contracts.links import ShowLink
from shared.db.pool import Pool
from tests.builders_gateway import Shopfront
from tests.builders_pages import a_free_line, a_line, a_shown_link
from tests.support.scripted_pages import a_pages_shop

KNOWN: Final = (
    *("prefilled_email", "prefilled_name", "client_reference_id", "locale", "amount"),
    *("quantity.tea", "quantity.gift", "quantity.", "quantity.no-such-line", "utm_source"),
    *("utm_campaign", "utm_", "UTM_SOURCE", "resolution_context", "seen_prices", "field.size"),
    *("success_redirect_url", "cancel_redirect_url", "on_load_redirect_url", "expiration_url"),
)
GOOD: Final = {
    "prefilled_email": "ada@example.com",
    "prefilled_name": "Ada Lovelace",
    "client_reference_id": "r-7",
    "locale": "de-CH",
    "amount": "2500",
    "quantity.tea": "3",
    "utm_source": "letter",
}
HOSTILE: Final = '"><script>alert(1)</script>'
names = st.sampled_from(KNOWN) | st.from_regex(r"utm_[a-z_]{1,8}", fullmatch=True) | st.text()
values = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=60),
    st.sampled_from([*GOOD.values(), HOSTILE, "javascript:alert(1)", "\x00", "1e9", "-1", "٣"]),
    st.integers(-(10**12), 10**12).map(str),
)
pairs = st.lists(st.tuples(names, values), max_size=12)
# As bad as a query can be written: percent signs that mean nothing, separators without a name.
scribbles = st.text("&;=%?+/:@!$'()*,[]{}|^`\\\"<>~-._0a", max_size=80)


@pytest.fixture
async def shop(pool: Pool) -> AsyncIterator[Shopfront]:
    async with a_pages_shop(pool) as shop:
        shop.services.answers[ShowLink] = a_shown_link(a_line(), a_free_line())
        yield shop


async def opened(shop: Shopfront, query: str) -> tuple[int, str]:
    url = URL(f"{shop.client.make_url('/l/tea')}?{query}", encoded=True)
    async with shop.raw().get(url, allow_redirects=False) as answer:
        return answer.status, await answer.text()


def written(given: Iterable[tuple[str, str | bytes]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in given)


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {unescape(name): unescape(value) for name, value in found}


def check(page: str) -> None:
    """The page holds nothing that the contract would refuse, and no script of anybody's."""
    hidden = hidden_fields(page)
    carried = hidden.keys() - {"resolution_context", "seen_prices"}
    assert carried <= {"prefilled_email", "prefilled_name", "client_reference_id", "locale"} | {
        name for name in carried if re.fullmatch(r"utm_[a-z_]{1,32}", name)
    }
    assert len([name for name in carried if name.startswith("utm_")]) <= UTM_MAX
    assert all(0 < len(hidden[name]) <= 255 for name in carried)
    assert not any(re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", hidden[name]) for name in carried)
    assert "@" in hidden.get("prefilled_email", "@")
    assert re.findall(r"<script(?! type=\"module\" src=\"/static/)", page) == []
    (count,) = re.findall(r'name="quantity.tea"[^>]* value="([^"]*)"', page)
    assert 1 <= int(count) <= 10


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pairs)
@example(list(GOOD.items()))
@example([(name, HOSTILE) for name in KNOWN])
@example([("utm_source", b"\xff\xfe\x00")])
@example([(f"utm_{'a' * number}", "x") for number in range(1, 13)])
async def test_no_query_makes_the_page_another(
    shop: Shopfront, given: list[tuple[str, str | bytes]]
):
    status, page = await opened(shop, written(given))

    assert status == 200
    check(page)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(scribbles)
async def test_no_scribble_for_a_query_makes_the_page_another(shop: Shopfront, scribble: str):
    status, page = await opened(shop, quote(scribble, safe="&;=%?+/:@!$'()*,~-._"))

    assert status == 200
    check(page)


async def test_what_is_good_is_filled_in_and_carried(shop: Shopfront):
    status, page = await opened(shop, written(GOOD.items()))

    assert status == 200
    assert (
        hidden_fields(page).items()
        >= {
            "prefilled_email": "ada@example.com",
            "prefilled_name": "Ada Lovelace",
            "client_reference_id": "r-7",
            "locale": "de_CH",
            "utm_source": "letter",
        }.items()
    )
    assert re.search(r'name="quantity.tea"[^>]* value="3"', page)
    assert re.search(r'name="amount.gift"[^>]* value="25.00"', page)


async def test_blanks_around_a_value_are_a_careless_paste(shop: Shopfront):
    _, page = await opened(shop, "prefilled_email=%20ada@example.com%0A&utm_source=+letter+")

    hidden = hidden_fields(page)
    assert (hidden["prefilled_email"], hidden["utm_source"]) == ("ada@example.com", "letter")


async def test_no_address_to_go_to_is_ever_taken_from_the_query(shop: Shopfront):
    evil = "https://evil.example/x"
    given = [(name, evil) for name in KNOWN if name.endswith("_url")]

    _, page = await opened(shop, written([*given, ("url", evil), ("image_url", evil)]))

    assert "evil.example" not in page
