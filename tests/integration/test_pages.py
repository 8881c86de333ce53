"""The buyer pages over plain HTTP: what is wrong is turned away, and looking never writes."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from ulid import ULID

from shared.db.pool import open_pool
from tests.support.selling import a_link, a_session, ask, order_of, payments_of, session
from tests.support.shops import Shop

CARD = {"card_number": "4242424242424242", "card_exp": "12/30", "card_cvc": "123"}
PAYER = {"email": "ada@example.com", "card_name": "Ada Lovelace", **CARD}
TOUCHED = {
    "links": ("outbox", "inbox", "resolutions"),
    "sessions": ("outbox", "inbox", "sessions"),
    "orders": ("outbox", "inbox", "orders"),
}


@dataclass(frozen=True)
class Answer:
    """One answer, its redirect not followed."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def field(self, name: str) -> str:
        """What a field of the page's form holds."""
        found = re.search(rf'name="{re.escape(name)}"[^>]*?value="([^"]*)"', self.text)
        assert found, f"no field {name} in {self.text[:2000]}"
        return html.unescape(found[1])

    def sees(self, words: str) -> bool:
        return words in re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", self.text)))


class Browser:
    """Just enough of one: cookies, forms, no script."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        target = path if path.startswith("http") else self._url + path
        return await self._ask(method, target, headers=named(headers))

    async def post(self, path: str, form: Any, **headers: str) -> Answer:
        target = path if path.startswith("http") else self._url + path
        return await self._ask("POST", target, data=form, headers=named(headers))

    async def _ask(self, method: str, target: str, **options: Any) -> Answer:
        async with self._http.request(method, target, allow_redirects=False, **options) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)


def named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(http, shop.url)


async def checkout(shop: Shop, browser: Browser, **params: Any) -> tuple[str, Answer]:
    """A fresh session's path, and its page."""
    made = await a_session(shop, **params)
    path = f"/c/{made['checkout_session_id']}"
    return path, await browser.get(path)


def filled(page: Answer, **changes: str) -> dict[str, str]:
    """The page's payment form, filled in well unless said otherwise."""
    hidden = ("form_token", "expected_amount", "expected_currency")
    return {name: page.field(name) for name in hidden} | PAYER | {"action": "pay"} | changes


async def settled(browser: Browser, path: str) -> dict[str, str]:
    """The session's status once nothing is under way, by the JSON that scripts may ask for."""
    while True:
        answer = await browser.get(f"{path}/status", Accept="application/json")
        news: dict[str, str] = json.loads(answer.text)
        if news["status"] != "processing":
            return news
        await asyncio.sleep(0.05)


async def everything_written(shop: Shop) -> dict[str, int]:
    """How many rows there are of all that a buyer's request could write."""
    counts = {}
    for name, tables in TOUCHED.items():
        pool = await open_pool(shop.database_url(name), name="test", size=1)
        for table in tables:
            sql = f"SELECT count(*) FROM {table}"
            counts[f"{name}.{table}"] = await pool.fetchval(sql)
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
    path, page = await checkout(shop, browser)

    for answer in (await browser.get(link["url"]), page, await browser.get("/")):
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await browser.get(path)).headers["Content-Security-Policy"] != policy


async def test_files_are_kept_for_ever_under_their_version_and_for_a_minute_without(
    browser: Browser,
):
    home = await browser.get("/")
    (versioned,) = re.findall(r'"(/static/base.css\?v=\w+)"', home.text)

    assert "immutable" in (await browser.get(versioned)).headers["Cache-Control"]
    assert "immutable" not in (await browser.get("/static/base.css")).headers["Cache-Control"]
    assert "Disallow: /c/" in (await browser.get("/robots.txt")).text
    assert (await browser.get("/favicon.ico")).headers["Content-Type"] == "image/svg+xml"


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


async def test_what_the_address_brought_along_reaches_the_order(shop: Shop, browser: Browser):
    link = await a_link(shop)
    page = await browser.get(f"{link['url']}?client_reference_id=r-7&utm_source=letter")
    names = ("resolution_context", "client_reference_id", "utm_source")

    answer = await browser.post(link["url"], {name: page.field(name) for name in names})

    assert answer.status == 303
    checkout_session_id = answer.location.rpartition("/")[2]
    await browser.get(answer.location)
    order = await order_of(shop, checkout_session_id)
    assert (await session(shop, checkout_session_id))["client_reference_id"] == "r-7"
    assert order["utm"] == {"utm_source": "letter"}


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
    path, page = await checkout(shop, browser)
    big = {"email": "x" * 17_000}
    many = "&".join(f"f{number}=1" for number in range(300))
    kind = {"Content_Type": "application/x-www-form-urlencoded"}

    for target in (link["url"], f"{path}/pay"):
        assert (await browser.post(target, big)).status == 413
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
        {"amount.gift": "1,000"},
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


# ---- paying --------------------------------------------------------------------------------------


async def test_a_good_form_pays_and_leads_to_the_receipt(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page))

    assert answer.status == 303
    await settled(browser, path)
    receipt = await browser.get(f"{path}/receipt")
    assert receipt.sees("Payment received")
    assert (await browser.get(path)).location == f"{path}/receipt"
    assert payments_of(await order_of(shop, path.removeprefix("/c/"))) == [1200]


async def test_the_same_form_sent_five_times_at_once_is_one_payment(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    answers = await asyncio.gather(*(browser.post(f"{path}/pay", filled(page)) for _ in range(5)))

    assert {answer.status for answer in answers} == {303}
    assert (await settled(browser, path))["status"] == "paid"
    order = await order_of(shop, path.removeprefix("/c/"))
    assert payments_of(order) == [1200]
    assert len(order["payment_intent_ids"]) == 1


@pytest.mark.parametrize("token", ["", "forged", "another session's"])
async def test_a_missing_or_forged_or_foreign_form_token_pays_nothing(
    shop: Shop, browser: Browser, token: str
):
    path, page = await checkout(shop, browser)
    if token == "another session's":
        _, other = await checkout(shop, browser)
        token = other.field("form_token")

    answer = await browser.post(f"{path}/pay", filled(page, form_token=token))

    assert answer.status == 403
    assert answer.sees("This form has expired")
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


@pytest.mark.parametrize("amount", ["1", "0", "", "-1200", "1200.0", "1e3", "99999999999999"])
async def test_another_total_than_the_one_that_is_due_pays_nothing(
    shop: Shop, browser: Browser, amount: str
):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page, expected_amount=amount))

    assert answer.status == 409
    assert answer.sees("The total has changed")
    assert answer.field("expected_amount") == "1200"
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("card_number", "", "Enter the card number."),
        ("card_number", "4242424242424241", "The card number is not valid."),
        ("card_exp", "01/20", "The card has expired."),
        ("card_exp", "soon", "Write the expiry date as MM/YY."),
        ("card_cvc", "1", "The security code has 3 or 4 digits."),
        ("email", "nobody", "This does not look like an email address."),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_nothing_of_the_card_comes_back(
    shop: Shop, browser: Browser, field: str, value: str, words: str
):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page, **{field: value}))

    assert answer.status == 422
    assert answer.sees(words)
    assert f'id="f-{field}-error"' in answer.text
    assert "4242424242424242" not in answer.text
    assert answer.field("card_name") == "Ada Lovelace"
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


async def test_a_session_that_has_ended_pays_nothing(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    await ask(shop, "POST", f"/v1/checkout-sessions/{path.removeprefix('/c/')}/close", {})

    answer = await browser.post(f"{path}/pay", filled(page))

    assert (answer.status, answer.location) == (303, path)
    assert (await browser.get(path)).sees("This checkout was closed")
    assert (await browser.get(f"{path}/receipt")).location == path
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


async def test_card_numbers_and_addresses_are_in_no_log(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    await browser.post(f"{path}/pay", filled(page, card_number="4000000000000002"))
    await browser.post(f"{path}/pay", filled(page, card_number="5555555555554444"))
    await settled(browser, path)

    logs = shop.logs()
    for typed in ("4000000000000002", "5555555555554444", "ada@example.com", "Ada Lovelace"):
        assert typed not in logs


# ---- hearing of it -------------------------------------------------------------------------------


async def test_a_stream_tells_when_it_is_paid_and_ends(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    pressed = asyncio.create_task(
        browser.post(f"{path}/pay", filled(page, card_number="4000000000000077"))
    )
    while (await ask(shop, "GET", f"/v1/checkout-sessions/{path.removeprefix('/c/')}"))[
        "is_payment_in_progress"
    ] is False:
        await asyncio.sleep(0.05)

    stream = await browser.get(f"{path}/status", Accept="text/event-stream")

    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["X-Accel-Buffering"] == "no"
    said = [json.loads(line) for line in re.findall(r"^data: (.*)$", stream.text, re.MULTILINE)]
    assert said[0] == {"status": "processing", "next": ""}
    assert said[-1] == {"status": "paid", "next": f"{path}/receipt"}
    await pressed


async def test_the_bank_s_page_takes_one_answer_from_its_own_form(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    pressed = await browser.post(f"{path}/pay", filled(page, card_number="4000002500003155"))
    await settled(browser, path)
    bank = pressed.location if "3ds" in pressed.location else (await browser.get(path)).location
    challenge = await browser.get(bank)
    form = {"form_token": challenge.field("form_token")}

    assert (await browser.post(bank, {"outcome": "complete"})).status == 403
    assert (await browser.post(bank, form | {"outcome": "maybe"})).status == 400
    answer = await browser.post(bank, form | {"outcome": "complete"})
    late = await browser.post(bank, form | {"outcome": "fail"})

    assert answer.location == late.location == f"{path}/return"
    await browser.get(f"{path}/return")
    assert (await settled(browser, path))["status"] == "paid"
    assert payments_of(await order_of(shop, path.removeprefix("/c/"))) == [1200]
