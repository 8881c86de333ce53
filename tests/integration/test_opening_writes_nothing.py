"""Whoever opens a link, however often and under whatever name: no row in any table changes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final, NamedTuple

import aiohttp
import pytest

from tests.support.buying import resolve
from tests.support.selling import a_link, ask
from tests.support.shops import Shop
from tests.support.tables import changed, everything_written, quiet
from tests.support.visitors import BOTS, BROWSERS

REQUESTS: Final = {"local": 10_000, "rabbitmq": 1_500}
AT_ONCE: Final = 16
AFTERWARDS_SECONDS: Final = 1.5  # longer than any relay or aggregate waits
AHEAD: Final[tuple[dict[str, str], ...]] = (
    {"Sec-Purpose": "prefetch;prerender"},
    {"Sec-Purpose": "prefetch"},
    {},
    {},
)
QUERY: Final = "utm_source=mail&quantity.tea=2&prefilled_email=a@b.example&client_reference_id=r-7"


class Opening(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]


async def targets_of(shop: Shop) -> list[str]:
    """Every address under which a link is looked at: by people, by bots, by programs."""
    link = await a_link(shop, custom_fields=[{"key": "size", "label": "Size", "type": "text"}])
    page = link["url"].removeprefix(shop.url)
    base = f"/v1/payment-links/{link['payment_link_id']}"
    named = await ask(shop, "POST", f"{base}/slugs", {})
    closed = await a_link(shop)
    await ask(shop, "POST", f"/v1/payment-links/{closed['payment_link_id']}/deactivate")
    newest = named["url"].removeprefix(shop.url)
    gone = closed["url"].removeprefix(shop.url)
    return [
        *(newest, f"{newest}?{QUERY}", newest.upper().replace("/L/", "/l/"), page),
        *(f"{newest}/preview.png", f"{base}/public", gone, "/l/no-such-link", "/robots.txt"),
    ]


def openings(targets: list[str]) -> Iterator[Opening]:
    """Endlessly: every target, by every visitor, by GET and HEAD, ahead of time and in it."""
    visitors = cycle([*BROWSERS.values(), *BOTS.values(), ""])
    methods, ahead, target = cycle(["GET", "GET", "HEAD"]), cycle(AHEAD), cycle(targets)
    while True:
        headers = {"User-Agent": next(visitors), **next(ahead)}
        path = next(target)
        # The API has no HEAD: it answers 405, which is one more way of writing nothing.
        yield Opening(next(methods), path, headers)


async def open_all(shop: Shop, asked: Iterator[Opening]) -> Counter[int]:
    """So many at a time until none is left; how often each status was answered."""
    statuses: Counter[int] = Counter()

    async def visit(http: aiohttp.ClientSession) -> None:
        for one in asked:
            async with http.request(
                one.method, one.target, headers=one.headers, allow_redirects=False
            ) as answer:
                await answer.read()
                statuses[answer.status] += 1

    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(shop.url, connector=connector) as http:
        await asyncio.gather(*(visit(http) for _ in range(AT_ONCE)))
    return statuses


@pytest.mark.timeout(300)
async def test_ten_thousand_openings_change_no_row_in_any_table(shop: Shop):
    targets, count = await targets_of(shop), REQUESTS[shop.kind]
    before = await quiet(shop)

    started = time.monotonic()
    statuses = await open_all(shop, islice(openings(targets), count))
    took = time.monotonic() - started
    await asyncio.sleep(AFTERWARDS_SECONDS)

    assert changed(before, await everything_written(shop)) == {}
    assert statuses.total() == count
    assert set(statuses) <= {200, 301, 404, 405, 503}
    assert statuses[503] <= count / 100  # a machine that is busy with others turns some away
    assert statuses[200] > count / 2
    print(f"{shop.kind}: {count / took:.0f} openings a second, {dict(statuses)}")


async def test_the_comparison_sees_one_single_resolve(shop: Shop):
    """So that the test above can fail."""
    before = await quiet(shop)

    await resolve(shop)

    after = changed(before, await quiet(shop))
    assert {"links public.resolutions", "sessions public.sessions", "orders public.orders"} <= set(
        after
    )
    assert "gateway public.events" in after
