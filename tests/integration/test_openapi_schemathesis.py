"""The running API against its own document: right and wrong requests, generated.

No request may end in a 5xx, in a status or shape that is not documented, or be accepted although
the document says it is wrong. Whether a right one is accepted is not asked here: rules across
fields (one currency per link, exactly one of three) are beyond a schema, and have their own tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode, checks

from services.gateway.api.openapi import document
from services.gateway.app import OPERATIONS
from tests.support.shops import Shop

EXAMPLES: Final = 40
PRICE: Final = {"amount": 1250, "currency": "USD"}
# What the generated requests work on: their own things, not the demo's.
MADE_FIRST: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "payment_link_id": (
        "/v1/payment-links",
        {"name": "Tea", "line_items": [{"key": "tea", "amount_money": PRICE}]},
    ),
    "checkout_session_id": (
        "/v1/checkout-sessions",
        {"quick_pay": {"name": "Tea", "amount_money": PRICE}},
    ),
    "order_id": (
        "/v1/orders",
        {"line_items": [{"name": "Tea", "quantity": 1, "unit_price_money": PRICE}]},
    ),
    "plan_id": (
        "/v1/subscription-plans",
        {"name": "Tea club", "currency": "USD", "billing_interval": "monthly"}
        | {"line_items": [{"unit_price_money": PRICE}]},
    ),
}
# Each is right by itself and refused for what it says: these would hide everything else.
UNFIT: Final = (
    "expected_version",
    "coupon_code",
    "plan_id",
    "payment_method_id",
    "payment_method_ids",
    "payment_source_tokens",
    "slug",
)
CHECKS: Final = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]

API: Final = document(OPERATIONS, "http://localhost", "0.0.0")
# Every value of an enum is tried everywhere it stands: the currencies of these tests are enough.
MONEY: Final = API["components"]["schemas"]["Money"]["properties"]
MONEY["currency"]["enum"] = ["USD", "EUR", "JPY", "KWD"]
schema = schemathesis.openapi.from_dict(API)
schema.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    with_security_parameters=False,  # The session has the key; two at once are refused.
)


@pytest.fixture(scope="module")
async def api(local_shop: Shop) -> AsyncIterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {local_shop.api_key}"
        yield session
    await local_shop.audit()


@pytest.fixture
def known(local_shop: Shop, api: requests.Session) -> dict[str, str]:
    """Ids that exist and a good context, so that generated requests also get past the 404."""
    ids = {}
    for name, (path, body) in MADE_FIRST.items():
        answer = api.post(f"{local_shop.url}{path}", json=body, timeout=10)
        made = answer.json()["data"]
        ids[name] = made[name]
        ids["slug"] = made.get("slugs", [ids.get("slug", "")])[0]
    link = f"{local_shop.url}/v1/payment-links/{ids['payment_link_id']}"
    shown = api.get(f"{link}/public", timeout=10).json()["data"]
    context = shown["resolution_context"]
    return {**ids, "resolution_context": context, "payment_source_token": "tok_visa"}


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.timeout(300)
def test_the_api_keeps_its_word(
    case: Case[Any], local_shop: Shop, api: requests.Session, known: dict[str, str]
) -> None:
    if len(repr(case.body)) % 8:  # Most of them; the others keep the ids of nobody.
        _make_fit(case, known)

    case.call_and_validate(base_url=local_shop.url, session=api, checks=CHECKS, timeout=20)


def _make_fit(case: Case[Any], known: dict[str, str]) -> None:
    """What no generator can guess: ids and tokens that exist, and a key used only once.

    A part that was made to be refused stays as it is.
    """
    if not _is_wrong(case, "path"):
        case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
    if not _is_wrong(case, "query"):
        case.query.pop("page_token", None)
    if not _is_wrong(case, "header"):
        case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict) and not _is_wrong(case, "body"):
        _make_body_fit(case.body, known)


def _make_body_fit(body: dict[str, Any], known: dict[str, str]) -> None:
    for name in UNFIT:
        body.pop(name, None)
    if body.get("quick_pay") is not None:
        body.pop("order_id", None)
    if isinstance(body.get("customer"), dict):
        body["customer"].pop("customer_id", None)
    body.update({name: known[name] for name in known.keys() & body.keys()})


def _is_wrong(case: Case[Any], location: str) -> bool:
    components = case.meta.components if case.meta else {}
    return any(
        str(getattr(where, "value", where)).startswith(location) and part.mode.is_negative
        for where, part in components.items()
    )
