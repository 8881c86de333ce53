"""The buyer pages over plain HTTP: what is wrong is turned away, and looking never writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.robotparser import RobotFileParser

import pytest
from ulid import ULID

from shared.db.pool import open_pool
from tests.support.event_log import facts_about
from tests.support.plain_browser import Answer, Browser, a_browser, checkout, filled
from tests.support.selling import a_link, ask, order_of, session
from tests.support.shops import Shop

# What a buyer's press makes. (Outbox and inbox are busy with the facts of the setup.)
TOUCHED = {"links": "resolutions", "sessions": "sessions", "orders": "orders"}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


async def everything_written(shop: Shop) -> dict[str, int]:
    """How many rows there are of all that a buyer's request could write."""
    counts = {}
    for name, table in TOUCHED.items():
        pool = await open_pool(shop.database_url(name), name="test", size=1)
        counts[table] = await pool.fetchval(f"SELECT count(*) FROM {table}")
        await pool.close()
    return counts


# ---- looking -------------------------------------------------------------------------------------


async def test_looking_writes_nothing_whoever_looks(shop: Shop, browser: Browser):
    link = await a_link(shop)
    path, _ = await checkout(shop, browser)
    before = await everything_written(shop)

    for method in ("HEAD", "GET"):
        for target in (link["url"], path, f"{path}/pay", f"{path}/return", f"{path}/receipt", "/"):
            answer = await browser.get(target, method, User_Agent="Slackbot 1.0")
            assert answer.status in (200, 303), (method, target)
            assert method == "GET" or answer.text == ""

    assert await everything_written(shop) == before


@pytest.mark.parametrize(
    "path",
    [
        "/l/no-such-link",
        "/l/NO%00SUCH",
        f"/l/{'x' * 300}",
        "/l/t\u00e9a",
        "/c/cs_01JAAAAAAAAAAAAAAAAAAAAAAA",
        "/c/cs_nonsense",
        "/c/ord_01JAAAAAAAAAAAAAAAAAAAAAAA",
        "/c/cs_01JAAAAAAAAAAAAAAAAAAAAAAA/receipt",
        "/c/cs_01JAAAAAAAAAAAAAAAAAAAAAAA/return",
        "/c/cs_01JAAAAAAAAAAAAAAAAAAAAAAA/status",
        "/sandbox/3ds/sbx_01JAAAAAAAAAAAAAAAAAAAAAAA",
        "/sandbox/3ds/x",
        "/static/nothing.css",
        "/static/..%2fbase.html",
        "/nowhere",
    ],
)
async def test_what_is_unknown_is_one_page_with_a_request_id(browser: Browser, path: str):
    answer = await browser.get(path)

    assert answer.status == 404
    assert answer.sees("Page not found")
    assert answer.headers["X-Request-Id"] in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_an_id_of_this_moment_is_waited_for_and_then_prepared(browser: Browser):
    answer = await browser.get(f"/c/cs_{ULID()}")

    assert answer.status == 202
    assert answer.sees("Preparing your checkout")


async def test_every_page_has_the_headers_of_a_payment_page(shop: Shop, browser: Browser):
    link = await a_link(shop)
    _, page = await checkout(shop, browser)

    for answer in (await browser.get(link["url"]), page, await browser.get("/")):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_nonce_is_never_used_for_a_second_page(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    again = await browser.get(path)

    name = "Content-Security-Policy"
    assert again.headers[name] != page.headers[name]


async def test_files_are_kept_for_ever_under_their_version_and_for_a_minute_without(
    browser: Browser,
):
    home = await browser.get("/")
    (versioned,) = re.findall(r'"(/static/base.css\?v=\w+)"', home.text)

    assert "immutable" in (await browser.get(versioned)).headers["Cache-Control"]
    assert "immutable" not in (await browser.get("/static/base.css")).headers["Cache-Control"]
    assert (await browser.get("/favicon.ico")).headers["Content-Type"] == "image/svg+xml"


async def test_crawlers_may_fetch_pages_but_keep_none(shop: Shop, browser: Browser):
    """They have to be let in to read that they may not keep it, and previews live of it."""
    link = await a_link(shop)
    path, _ = await checkout(shop, browser)
    rules = RobotFileParser()
    rules.parse((await browser.get("/robots.txt")).text.splitlines())

    for target in (link["url"], path, "/", "/docs", f"{link['url']}/preview.png", "/nowhere"):
        assert (await browser.get(target)).headers["X-Robots-Tag"] == "noindex, nofollow"
        assert rules.can_fetch("Twitterbot", target)
    assert not rules.can_fetch("Twitterbot", "/v1/payment-links")


async def test_another_spelling_of_the_slug_leads_to_the_one(shop: Shop, browser: Browser):
    link = await a_link(shop)
    slug = link["url"].rpartition("/")[2]

    answer = await browser.get(f"/l/{slug.upper()}?utm_source=a%20b")

    assert (answer.status, answer.location) == (301, f"/l/{slug}?utm_source=a%20b")


async def test_garbage_in_the_address_changes_nothing(shop: Shop, browser: Browser):
    link = await a_link(shop)
    query = "&".join(
        [
            "prefilled_email=%00%ff",
            "prefilled_name=" + "x" * 2_000,
            "quantity.tea=1e9",
            "quantity.%22%3E%3Cscript%3E=1",
            "amount=-5",
            "locale=%3Cscript%3E",
            "utm_source=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
            "client_reference_id=%E2%80%AE",
            "unknown=1",
        ]
    )

    answer = await browser.get(f"{link['url']}?{query}")

    assert answer.status == 200
    assert "<script>alert" not in answer.text
    assert 'name="prefilled_email"' not in answer.text


# ---- resolving -----------------------------------------------------------------------------------


async def resolved(browser: Browser, url: str, **form: str) -> Answer:
    page = await browser.get(url)
    return await browser.post(url, {"resolution_context": page.field("resolution_context")} | form)


async def test_what_the_address_brought_along_reaches_session_order_and_every_fact(
    shop: Shop, browser: Browser
):
    link = await a_link(shop)
    page = await browser.get(
        f"{link['url']}?client_reference_id=r-7&utm_source=letter&utm_campaign=spring&utm_x=%00"
        "&prefilled_email=ada@example.com"
    )
    names = re.findall(r'type="hidden" name="([^"]+)"', page.text)
    answer = await browser.post(link["url"], {name: page.field(name) for name in names})

    checkout_session_id = answer.location.rpartition("/")[2]
    path = answer.location
    paid = await browser.post(f"{path}/pay", filled(await browser.get(path)))

    assert paid.status == 303
    order = await order_of(shop, checkout_session_id)
    utm = {"utm_source": "letter", "utm_campaign": "spring"}
    assert (order["client_reference_id"], order["utm"]) == ("r-7", utm)
    assert order["buyer_email"] == "ada@example.com"
    assert (await session(shop, checkout_session_id))["client_reference_id"] == "r-7"
    told = await facts_about(shop, checkout_session_id, 3)
    told += await facts_about(shop, order["order_id"], 2)
    types = {fact["type"]: fact["data"] for fact in told}
    assert types.keys() >= {"link.resolved", "checkout_session.completed", "order.paid"}
    assert {data["client_reference_id"] for data in types.values()} == {"r-7"}
    for kind in ("link.resolved", "order.created", "order.paid"):
        assert types[kind]["utm"] == utm


async def test_the_same_page_sent_twice_at_once_is_one_checkout(shop: Shop, browser: Browser):
    link = await a_link(shop)
    page = await browser.get(link["url"])
    form = {"resolution_context": page.field("resolution_context")}

    one, two = await asyncio.gather(*(browser.post(link["url"], form) for _ in range(2)))

    assert one.status == two.status == 303
    assert one.location == two.location


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhIjoxfQ.sig"])
async def test_a_missing_or_forged_context_opens_nothing_and_shows_the_page_again(
    shop: Shop, browser: Browser, token: str
):
    link = await a_link(shop)

    answer = await browser.post(link["url"], {"resolution_context": token} if token else {"a": "b"})

    assert answer.status == 400
    assert answer.sees("This page was open for too long.")
    again = {"resolution_context": answer.field("resolution_context")}
    assert (await browser.post(link["url"], again)).status == 303


async def test_a_context_of_another_link_opens_nothing(shop: Shop, browser: Browser):
    one, other = await a_link(shop), await a_link(shop)
    page = await browser.get(other["url"])

    answer = await browser.post(
        one["url"], {"resolution_context": page.field("resolution_context")}
    )

    assert answer.status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    ],
)
async def test_a_form_from_another_site_opens_and_pays_nothing(
    shop: Shop, browser: Browser, headers: dict[str, str]
):
    link = await a_link(shop)
    path, page = await checkout(shop, browser)
    context = (await browser.get(link["url"])).field("resolution_context")

    opened = await browser.post(link["url"], {"resolution_context": context}, **headers)
    paid = await browser.post(f"{path}/pay", filled(page), **headers)

    assert opened.status == paid.status == 403
    assert (await order_of(shop, path.removeprefix("/c/")))["status"] == "open"


async def test_a_form_that_is_too_big_or_of_another_kind_is_turned_away(
    shop: Shop, browser: Browser
):
    link = await a_link(shop)
    path, _ = await checkout(shop, browser)
    big = {link["url"]: 263_000, f"{path}/pay": 17_000}  # answers may be long, payments are not
    many = "&".join(f"f{number}=1" for number in range(300))
    kind = {"Content_Type": "application/x-www-form-urlencoded"}

    for target, size in big.items():
        assert (await browser.post(target, {"email": "x" * size})).status == 413
        assert (await browser.post(target, many, **kind)).status == 400
        assert (await browser.post(target, "%ff=%fe", **kind)).status in (400, 403)
        assert (await browser.post(target, "{}", Content_Type="application/json")).status == 415
    assert (await browser.get(f"{path}/pay", "PUT")).status == 405


async def test_wrong_choices_are_named_beside_their_fields_and_kept(shop: Shop, browser: Browser):
    lines = [
        {
            "key": "tea",
            "name": "Tea",
            "amount_money": {"amount": 1200, "currency": "USD"},
            "allow_quantity_adjustment": True,
            "max_quantity": 5,
        },
        {
            "key": "gift",
            "name": "Gift",
            "amount_money": {"amount": 1000, "currency": "USD"},
            "allow_amount_adjustment": True,
            "min_amount_money": {"amount": 500, "currency": "USD"},
        },
    ]
    asked = [{"key": "size", "label": "Size", "type": "dropdown", "options": ["S", "M"]}]
    link = await a_link(shop, line_items=lines, custom_fields=asked)
    good = {"quantity.tea": "2", "amount.gift": "10.00", "field.size": "M"}

    for wrong in (
        {"quantity.tea": "99"},
        {"quantity.tea": "0"},
        {"amount.gift": "1.00"},
        {"amount.gift": "1.000"},
        {"field.size": "XXL"},
    ):
        answer = await resolved(browser, link["url"], **(good | wrong))
        (name,) = wrong
        assert answer.status == 422
        assert f'id="f-{name.replace(".", "-")}-error"' in answer.text
    assert (await resolved(browser, link["url"], **good)).status == 303


async def test_a_link_that_sells_nothing_now_says_why(shop: Shop, browser: Browser):
    link = await a_link(shop, inactive_message="Back in spring.")
    page = await browser.get(link["url"])
    await ask(shop, "POST", f"/v1/payment-links/{link['payment_link_id']}/deactivate")

    looked = await browser.get(link["url"])
    pressed = await browser.post(
        link["url"], {"resolution_context": page.field("resolution_context")}
    )

    assert looked.status == 200
    assert looked.sees("Back in spring.")
    assert pressed.status == 409
    assert pressed.sees("Back in spring.")
