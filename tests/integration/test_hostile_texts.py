"""Every text of every write: HTML, controls, NUL, turned text and 4-byte characters.

Each is either refused by one clear error that names the field, or kept exactly as it was sent.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pytest

from tests.support.selling import a_link, a_session, ask
from tests.support.shops import Shop

Path = tuple[str | int, ...]
USD: Final = {"amount": 1200, "currency": "USD"}
HOSTILE: Final = {
    "html": "<script>alert(1)</script>\"'&lt;img src=x onerror=alert(1)>",
    "template": "{{ 7*7 }}{% raw %}${7*7}#{x}%s%(a)s{0}",
    "sql": "'); DROP TABLE links; --",
    "turned": "\u202e\u2066evil\u2069\u202c",
    "four bytes": "🍵\U0001d49c\U000e0001",
    "nul": "a\0b",
    "escape": "a\x1b[31mb",
    "half a pair": "a\ud800b",
    "no character": "\ufdd0\ufffe",
    "line separators": "a\u2028b\u2029c",
}
REFUSED: Final = {"nul", "escape", "half a pair"}

THEME: Final = {"title": "Teas"}
CUSTOMER: Final = {
    "external_reference_id": "ref",
    "customer_note": "note",
    "prefilled_customer_info": {
        "name": "Ada",
        "shipping_address": {"line1": "1 Road", "line2": "2", "city": "Town", "state": "CA",
                             "postal_code": "12345", "country": "US"},
    },
}  # fmt: skip
CONFIGS: Final = {
    "theme": THEME,
    "payments": {"payment_note": "note", "external_reference_id": "ref"},
    "customer": CUSTOMER,
    "coupon": {"auto_apply_coupon_codes": ["TEA"]},
    "custom_text": {
        "checkout_button_text": "Buy",
        "order_summary_message": "Thanks",
        "shipping_address_label": "Where to",
    },
    "metadata": {"shop": "1"},
}
LINE: Final = {"key": "tea", "name": "Tea", "description": "Loose", "amount_money": USD}
FIELD: Final = {"key": "size", "label": "Size", "type": "dropdown", "placeholder": "Choose",
                "options": ["S", "M"]}  # fmt: skip
LINK: Final = CONFIGS | {
    "name": "Tea",
    "description": "Leaves",
    "inactive_message": "Later",
    "line_items": [LINE],
    "custom_fields": [FIELD],
}
EVENT: Final = {
    "name": "Concert",
    "mode": "event",
    "line_items": [LINE],
    "event_config": {"location": "Hall", "ticket_prefix": "TEA"},
}
SESSION: Final = CONFIGS | {
    "quick_pay": {"name": "Tea", "amount_money": USD},
    "client_reference_id": "ref",
}
ORDER: Final = {
    "line_items": [{"name": "Tea", "description": "Leaves", "sku": "T1", "quantity": 1,
                    "unit_price_money": USD, "metadata": {"a": "b"}}],
    "discounts": [{"manual": {"name": "Off", "amount_money": {"amount": 1, "currency": "USD"},
                              "scope": "order"}}],
    "tips": [{"name": "Tip", "description": "Thanks", "amount_money": USD}],
    "buyer_note": "note",
    "merchant_note": "note",
    "metadata": {"shop": "1"},
}  # fmt: skip
PLAN: Final = {
    "name": "Tea club",
    "description": "Leaves",
    "currency": "USD",
    "billing_interval": "monthly",
    "line_items": [{"name": "Tea", "description": "Loose", "unit_price_money": USD}],
    "metadata": {"shop": "1"},
}
# Texts of a closed shape: an address, a code, a time. What does not fit is refused, whatever it is.
SHAPED: Final = ("currency", "country", "type", "mode", "scope", "billing_interval")


@dataclass(frozen=True)
class Write:
    """One write of the API, whose body may be made worse."""

    path: str
    body: dict[str, Any]
    method: str = "POST"
    seed: str = ""  # a resource that has to be there: "link", "session"


WRITES: Final = {
    "a link": Write("/v1/payment-links", LINK),
    "an event": Write("/v1/payment-links", EVENT),
    "a changed link": Write(
        "/v1/payment-links/{link}",
        {name: LINK[name] for name in LINK if name not in ("line_items", "custom_fields")},
        "PATCH",
        "link",
    ),
    "lines": Write("/v1/payment-links/{link}/line-items/replace", {"line_items": [LINE]},
                   seed="link"),
    "fields": Write("/v1/payment-links/{link}/custom-fields/replace", {"custom_fields": [FIELD]},
                    seed="link"),
    "a session": Write("/v1/checkout-sessions", SESSION),
    "a changed session": Write("/v1/checkout-sessions/{session}", {"metadata": {"a": "b"}},
                               "PATCH", "session"),
    "a closed session": Write("/v1/checkout-sessions/{session}/close", {"reason": "why"},
                              seed="session"),
    "an order": Write("/v1/orders", ORDER),
    "a plan": Write("/v1/subscription-plans", PLAN),
}  # fmt: skip


@pytest.fixture
async def http(local_shop: Shop) -> AsyncIterator[aiohttp.ClientSession]:
    async with local_shop.api() as http:
        yield http


def texts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where the free texts of a body are."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from () if name in SHAPED else texts(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts(child, (*path, index))
    elif isinstance(value, str):
        yield path


def at(body: Any, path: Path) -> Any:
    for step in path:
        body = body[step]
    return body


def shown(resource: Any, path: Path) -> Any:
    """The text as the answer shows it; None for the two that it shows in other places."""
    if path[0] in ("quick_pay", "reason"):
        return None
    return at(resource, tuple(step for step in path if step != "manual"))


def worsened(body: dict[str, Any], path: Path, text: str) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    at(changed, path[:-1])[path[-1]] = text
    return changed


def named(path: Path) -> str:
    """The field as an error names it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


async def seeded(shop: Shop, write: Write) -> str:
    """The write's path, with a resource of its own where it needs one."""
    if write.seed == "link":
        return write.path.format(link=(await a_link(shop))["payment_link_id"])
    if write.seed == "session":
        return write.path.format(session=(await a_session(shop))["checkout_session_id"])
    return write.path


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_hostile_text_is_kept_as_it_is_or_refused_by_name(
    local_shop: Shop, http: aiohttp.ClientSession, write: Write, kind: str
):
    path = await seeded(local_shop, write)
    wrong = []

    for where in texts(write.body):
        body = worsened(write.body, where, HOSTILE[kind])
        async with http.request(write.method, path, json=body) as answer:
            told = await answer.json()
        if answer.status == 400:
            if told["error"].get("param") != named(where):
                wrong.append(f"{named(where)}: {told['error']}")
        elif kind in REFUSED or answer.status not in (200, 201):
            wrong.append(f"{named(where)}: {answer.status} {told.get('error')}")
        elif (kept := shown(told["data"], where)) not in (HOSTILE[kind], None):
            wrong.append(f"{named(where)}: kept as {kept!r}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_answer_is_kept_as_it_is_or_refused_by_name(
    local_shop: Shop, http: aiohttp.ClientSession, kind: str
):
    asked = [{"key": "note", "label": "Note", "type": "textarea"}]
    link = await a_link(local_shop, custom_fields=asked)
    path = f"/v1/payment-links/{link['payment_link_id']}"
    context = (await ask(local_shop, "GET", f"{path}/public"))["resolution_context"]
    choices = {"custom_field_values": {"note": HOSTILE[kind]}, "customer": {"name": HOSTILE[kind]}}

    for name, given in choices.items():
        body = {"resolution_context": context, name: given}
        async with http.post(f"{path}/resolve", json=body) as answer:
            told = await answer.json()
        if kind in REFUSED:
            (key,) = given
            assert (answer.status, told["error"]["param"]) == (400, f"{name}.{key}")
        else:
            assert answer.status == 201, told
            if name == "custom_field_values":
                kept = told["data"]["checkout_session"]["custom_field_values"]
                assert kept == {"note": HOSTILE[kind]}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("path", ["/v1/payment-links", "/v1/checkout-sessions", "/v1/orders"])
async def test_a_hostile_key_of_metadata_is_kept_as_it_is_or_refused(
    http: aiohttp.ClientSession, path: str, kind: str
):
    bodies = {"/v1/payment-links": LINK, "/v1/checkout-sessions": SESSION, "/v1/orders": ORDER}
    metadata = {HOSTILE[kind][:40]: "1"}

    async with http.post(path, json=bodies[path] | {"metadata": metadata}) as answer:
        told = await answer.json()

    if kind in REFUSED:
        assert answer.status == 400
        assert told["error"]["param"].startswith("metadata")
    else:
        assert (answer.status, told["data"]["metadata"]) == (201, metadata)


@pytest.mark.parametrize(
    "kind", [kind for kind in HOSTILE if kind != "half a pair"]
)  # which no address can hold
@pytest.mark.parametrize("path", ["/v1/payment-links", "/v1/checkout-sessions", "/v1/orders"])
async def test_a_hostile_search_finds_nothing_or_is_refused(
    http: aiohttp.ClientSession, path: str, kind: str
):
    async with http.get(path, params={"query": f"{HOSTILE[kind]} nowhere"}) as answer:
        told = await answer.json()

    if kind in REFUSED:
        assert (answer.status, told["error"]["param"]) == (400, "query")
    else:
        assert (answer.status, told["data"]) == (200, [])
