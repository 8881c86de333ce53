"""Secrets put into every field of every request and every error path, and looked for everywhere.

What was refused leaves no trace at all. What was accepted is found only where the contract keeps
it (`KEEPS`), and never in a log, a metric, a span or a queue. What a buyer types for the card is
accepted and found nowhere.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aio_pika
import aiohttp
import orjson
import pytest

from services.gateway.app import OPERATIONS
from services.rooms import DATABASES, all_rooms
from shared.bus.topology import EVENTS, REQUESTS, topology
from shared.db.pool import open_pool
from shared.failures import describe
from tests.conftest import FreshDatabase
from tests.support.buying import resolve
from tests.support.canaries import CVC, KINDS, Aviary, canary, everything, found_in, paths, put
from tests.support.observed import Observed
from tests.support.plain_browser import Browser, a_browser, checkout, filled, settled
from tests.support.rigs import eventually
from tests.support.selling import a_link

SECONDS: Final = 30.0
AT_ONCE: Final = 8
# A row's own text as its merchant or buyer gave it: what the contract stores, and why.
KEEPS: Final[Mapping[str, str]] = {
    "links.links": "a link's template: names, texts, metadata, redirect addresses of the merchant",
    "links.slugs": "a link's public address, which its merchant chose",
    "links.plans": "a copy of the plans that links offer",
    "links.outbox": "the same, on its way",
    "links.inbox": "answers are kept 24 h for their Idempotency-Key",
    "sessions.sessions": "the page's texts, the buyer's answers and the merchant's metadata",
    "sessions.outbox": "the same, on its way",
    "sessions.inbox": "answers are kept 24 h",
    "orders.orders": "lines, notes and metadata; the buyer's own e-mail, telephone and addresses",
    "orders.subscription_plans": "a plan's name, lines and metadata, all of them its merchant's",
    "orders.payment_intents": "the address the receipt goes to, and where the buyer returns to",
    "orders.outbox": "the same, on its way",
    "orders.inbox": "answers are kept 24 h",
    "gateway.events": "the merchants' event log shows resources as the API does",
    "sandbox.sandbox_payments": "the provider knows where it sends the buyer back to",
}
HEADERS: Final = (
    "X-Request-Id", "Idempotency-Key", "Authorization", "traceparent", "Cookie", "User-Agent",
    "Referer", "X-Forwarded-For", "Accept-Language", "Content-Type", "Origin", "Accept",
)  # fmt: skip
Send = Callable[[], Awaitable[bool]]


@pytest.fixture(scope="session")
async def released(observed: Observed) -> Aviary:
    """Every canary is out and everything they caused has settled."""
    aviary = Aviary()
    await _let_fly(_api(observed, aviary, await _ids(observed)))
    await _let_fly(_headers(observed, aviary))
    await _pages(observed, aviary)
    await observed.shop.audit()
    if observed.shop.kind == "rabbitmq":
        await _strangers(observed, aviary)
    return aviary


async def _ids(observed: Observed) -> dict[str, str]:
    bought = await resolve(observed.shop)
    return {
        "payment_link_id": observed.shop.demo["links"]["standard"]["payment_link_id"],
        "checkout_session_id": bought.checkout_session_id,
        "order_id": bought.order_id,
    }


async def _let_fly(sends: list[Send]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(send: Send) -> bool:
        async with slots:
            return await send()

    await asyncio.gather(*(one(send) for send in sends))


def _api(observed: Observed, aviary: Aviary, ids: Mapping[str, str]) -> list[Send]:
    sends: list[Send] = []
    for operation in OPERATIONS:
        path = re.sub(r"{(\w+)}", lambda match: ids.get(match[1], "nothing"), operation.path)
        where = f"{operation.id}"
        sends.append(
            _send(observed, aviary, f"{where} path", operation.method, _in_path(operation.path))
        )
        sends.append(_send(observed, aviary, f"{where} query", operation.method, _in_query(path)))
        if operation.body is None:
            continue
        schema = operation.body.model_json_schema()
        example = operation.example or {}
        for at, field in enumerate(paths(schema, schema)):
            name = ".".join(str(step) for step in field)
            for kind in ("all", KINDS[at % len(KINDS)]):
                body = _in_body(path, example, field, kind)
                sends.append(
                    _send(observed, aviary, f"{where} {name} {kind}", operation.method, body)
                )
        sends += [
            _send(observed, aviary, f"{where} {broken.__name__}", operation.method, broken(path))
            for broken in (_malformed, _unknown, _as_key)
        ]
    return sends


Request = Callable[[int], tuple[str, Mapping[str, Any]]]


def _in_path(template: str) -> Request:
    return lambda n: (re.sub(r"{\w+}", canary(KINDS[n % 4], n).replace(" ", "%20"), template), {})


def _in_query(path: str) -> Request:
    return lambda n: (path, {"params": {"q": everything(n), "page_token": canary("card", n)}})


def _in_body(path: str, example: Any, field: tuple[str | int, ...], kind: str) -> Request:
    def request(n: int) -> tuple[str, Mapping[str, Any]]:
        text = everything(n) if kind == "all" else canary(kind, n)
        return path, {"json": put(example, field, text)}

    return request


def _malformed(path: str) -> Request:
    return lambda n: (path, {"data": f'{{"name": "{everything(n)}", '.encode(), "headers": JSON})


def _unknown(path: str) -> Request:
    return lambda n: (path, {"json": {"card": {"number": canary("card", n), "cvc": CVC}}})


def _as_key(path: str) -> Request:
    return lambda n: (path, {"json": {everything(n): 1, "metadata": {canary("card", n): 1}}})


JSON: Final = {"Content-Type": "application/json"}


def _send(observed: Observed, aviary: Aviary, place: str, method: str, request: Request) -> Send:
    number = aviary.hatch(place)

    async def send() -> bool:
        path, options = request(number)
        async with observed.shop.api() as http, http.request(method, path, **options) as answer:
            assert answer.status < 500, (place, await answer.text())
            if answer.status < 300 and method != "GET":
                aviary.kept.add(number)
            return True

    return send


def _headers(observed: Observed, aviary: Aviary) -> list[Send]:
    sends: list[Send] = []
    for path in ("/v1/orders", "/l/nothing-here", "/"):
        for header in HEADERS:
            for kind in KINDS:
                n = aviary.hatch(f"{header} of {path}, {kind}")
                prefix = "Bearer " if header == "Authorization" else ""
                sends.append(_get(observed, path, {header: f"{prefix}{canary(kind, n)}"}))
    return sends


def _get(observed: Observed, path: str, headers: Mapping[str, str]) -> Send:
    async def send() -> bool:
        url = f"{observed.shop.url}{path}"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert answer.status < 500
            return True

    return send


async def _pages(observed: Observed, aviary: Aviary) -> None:
    """What a buyer types: the card's fields are accepted, and still nobody ever sees them."""
    link = await a_link(observed.shop, customer={"require_email": True})
    async with a_browser(observed.shop) as browser:
        for name in ("email", "name", "card_number", "q"):
            n = aviary.hatch(f"link page, query {name}")
            await browser.get(f"{link['url']}?{name}={canary('card', n)}&x={canary('email', n)}")
        for name in ("resolution_context", "quantity", "anything"):
            n = aviary.hatch(f"link page, {name}")
            await browser.post(link["url"], {name: everything(n)})
        await _card_fields(observed, aviary, browser)


async def _card_fields(observed: Observed, aviary: Aviary, browser: Browser) -> None:
    path, page = await checkout(observed.shop, browser)
    for name in ("card_number", "card_exp", "card_cvc", "form_token", "expected_amount"):
        for kind in KINDS[:4]:
            n = aviary.hatch(f"pay form, {name}, {kind}")
            form = filled(page, **{name: canary(kind, n)})
            answer = await browser.post(f"{path}/pay", form)
            assert found_in(answer.text) == set(), (name, kind)
    declined = filled(page, card_number="4000000000000119", card_cvc=CVC)
    assert (await browser.post(f"{path}/pay", declined)).status < 500
    await settled(browser, path)
    page = await browser.get(path)
    n = aviary.hatch("pay form, the buyer's own e-mail")
    aviary.kept.add(n)
    good = filled(page, card_cvc=CVC, email=canary("email", n))
    await browser.post(f"{path}/pay", good)
    assert (await settled(browser, path))["status"] == "paid"


async def _strangers(observed: Observed, aviary: Aviary) -> None:
    """Messages from outside, by somebody who may publish."""
    connection = await aio_pika.connect(observed.shop.amqp_url, timeout=10)
    async with connection:
        channel = await connection.channel()
        events = await channel.get_exchange(EVENTS, ensure=False)
        requests = await channel.get_exchange(REQUESTS, ensure=False)
        for exchange, key in (
            (events, "link.resolved"),
            (requests, "orders.pay"),
            (requests, "payments.charge"),
        ):
            for body in (_garbage, _wrong_types, _not_ours):
                n = aviary.hatch(f"{key} from outside, {body.__name__}")
                message = aio_pika.Message(
                    body(n, key),
                    content_type="application/cloudevents+json" if exchange is events else None,
                    type=key if body is _wrong_types else canary("card", n),
                    headers={
                        "x-event-id": f"evt_{n}",
                        "x-request-id": canary("card", n),
                        "traceparent": canary("email", n),
                        "x-note": canary("key", n),
                    },
                )
                await exchange.publish(message, key, timeout=10)

    async def settled_down() -> bool:
        lost = [one for one in observed.all_lines() if one.get("fate") == "bury"]
        lost += [one for one in observed.all_lines() if one["event"] == "message.malformed"]
        return len(lost) >= 9

    await eventually(settled_down, SECONDS)


def _garbage(n: int, key: str) -> bytes:
    return f"{key} {everything(n)}".encode()


def _wrong_types(n: int, key: str) -> bytes:
    """An envelope of ours around what is not its topic's: kept, to be sent again one day."""
    strict = {"key": canary("key", n), "url": canary("password", n), "note": canary("spaced", n)}
    event = {"id": f"evt_{n}", "source": "/flint/links", "type": key, "data": strict}
    return orjson.dumps(event if "link" in key else strict)


def _not_ours(n: int, key: str) -> bytes:
    """No envelope at all, or one around a topic that a newer version may know."""
    to = everything(n) if "link" in key else canary("dashed", n)
    return orjson.dumps({"card": {"number": canary("card", n), "cvc": CVC}, "to": to})


# ---- where they may not be -----------------------------------------------------------------------


async def test_no_log_line_of_any_process_holds_one(observed: Observed, released: Aviary):
    text = observed.shop.logs()

    assert len(released.places) > 300
    assert released.named(found_in(text)) == []
    assert not re.search(rf'[": ]{CVC}["\s]', text)


async def test_no_metric_and_no_span_holds_one(observed: Observed, released: Aviary):
    scrape = await observed.scrapes()
    spans = b"\n".join(observed.collector.raw).decode(errors="replace")

    assert released.named(found_in(scrape)) == []
    assert released.named(found_in(spans)) == []


async def test_tables_hold_what_was_accepted_where_the_contract_keeps_it_and_nothing_else(
    observed: Observed, released: Aviary
):
    strange: dict[str, list[str]] = {}
    for database in DATABASES:
        for column, text in (await _columns(observed, database)).items():
            found = found_in(text)
            table = column.rsplit(".", 1)[0]
            wrong = found - released.kept if table in KEEPS else found
            if wrong:
                strange[column] = released.named(wrong)
            assert not re.search(rf'cvc"?[: ]+"?{CVC}', text), column

    assert strange == {}


async def _columns(observed: Observed, database: str) -> dict[str, str]:
    """Every column of every table, as one text each."""
    pool = await open_pool(observed.shop.database_url(database), name="canaries", size=1)
    try:
        names = await pool.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
        texts = {}
        for table, column in names:
            rows = await pool.fetch(f'SELECT "{column}" FROM "{table}"')
            texts[f"{database}.{table}.{column}"] = "\n".join(_text(row[0]) for row in rows)
        return texts
    finally:
        await pool.close()


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return (
        orjson.dumps(value, default=str).decode() if isinstance(value, dict | list) else str(value)
    )


async def test_no_queue_holds_one_and_dead_letters_from_outside_are_masked(
    observed: Observed, released: Aviary
):
    if observed.shop.kind == "local":
        return  # its queue is the outbox, its dead letters are a table
    letters = await _lying(observed)

    assert sum(len(texts) for texts in letters.values()) >= 9
    found = {queue: released.named(found_in("\n".join(texts))) for queue, texts in letters.items()}
    assert {queue: names for queue, names in found.items() if names} == {}
    assert not any(f'"cvc":"{CVC}"' in text for texts in letters.values() for text in texts)


async def _lying(observed: Observed) -> dict[str, list[str]]:
    """Everything in every queue, headers included; all of it stays."""
    connection = await aio_pika.connect(observed.shop.amqp_url, timeout=10)
    async with connection:
        channel = await connection.channel()
        found: dict[str, list[str]] = {}
        for spec in topology(all_rooms()):
            queue = await channel.declare_queue(spec.name, passive=True, timeout=10)
            while (message := await queue.get(fail=False, timeout=10)) is not None:
                whole = f"{message.type} {dict(message.headers or {})} {message.body.decode()}"
                found.setdefault(spec.name, []).append(whole)
        return found


async def test_events_tell_only_what_was_accepted(observed: Observed, released: Aviary):
    """What a merchant may read over the API is the same as what travels: their own texts."""
    columns = await _columns(observed, "gateway")

    assert found_in(columns["gateway.events.data"]) <= released.kept
    assert found_in(columns["gateway.events.data"]) != set()
    assert found_in(columns["gateway.events.request_id"]) == set()


BAD_STATEMENTS: Final = (
    "INSERT INTO toys (name) VALUES ($1), ($1)",
    "INSERT INTO toys (name, price) VALUES ('x', $1)",
    "SELECT $1::text::int",
    "SELECT $1::text::jsonb",
)


@pytest.mark.parametrize("statement", BAD_STATEMENTS)
async def test_what_a_database_says_of_an_error_is_told_without_the_value(
    fresh_database: FreshDatabase, statement: str
):
    pool = await open_pool(await fresh_database(), name="canaries", size=1)
    try:
        await pool.execute("CREATE TABLE toys (name text UNIQUE, price int CHECK (price > 0))")
        with pytest.raises(Exception) as caught:  # noqa: PT011 which one is the statement's affair
            await pool.execute(statement, everything(1))
    finally:
        await pool.close()

    assert found_in(describe(caught.value)) == set()
    assert "toys" in describe(caught.value) or "Error" in describe(caught.value)
