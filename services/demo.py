"""The demo merchant of `flint run`: a key, a link and an open order, made through the bus."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.gateway.gateway import Gateway
from services.gateway.pages.views import DemoLink
from shared.contracts.base import Context
from shared.contracts.link_requests import PaymentLinkCreateParams
from shared.contracts.links import CreateLink, PaymentLink
from shared.contracts.orders import CreateOrder, Order, OrderCreateParams
from shared.ids import new_id

MERCHANT: Final = "Northwind Tea"
STANDARD: Final[dict[str, Any]] = {
    "name": "First flush Darjeeling",
    "description": "Spring harvest 2026, 100 g in a tin. Posted within two days.",
    "line_items": [
        {
            "key": "tin",
            "name": "Darjeeling tin, 100 g",
            "amount_money": {"amount": 1200, "currency": "USD"},
            "quantity": 1,
            "allow_quantity_adjustment": True,
            "min_quantity": 1,
            "max_quantity": 10,
        }
    ],
    "customer": {"require_email": True},
}
ORDER: Final[dict[str, Any]] = {
    "line_items": [
        {
            "name": "Tasting for two",
            "quantity": 1,
            "unit_price_money": {"amount": 4800, "currency": "USD"},
        }
    ],
}


@dataclass(frozen=True)
class Demo:
    """What `.flint/demo.json` says, and where it is."""

    url: str
    api_key: str
    merchant_id: str
    links: dict[str, dict[str, str]]
    order_id: str
    path: Path


def demo_links(demo: Demo) -> tuple[DemoLink, ...]:
    """The links as the home page offers them."""
    url = demo.links["standard"]["url"]
    return (DemoLink(url, STANDARD["name"], STANDARD["description"]),)


async def ensure_demo(gateway: Gateway, path: Path) -> Demo:
    """The demo as it was made on the first start; only the address may have changed since."""
    known = _read(path)
    if known is None:
        known = await make_demo(gateway)
    url = gateway.public_url
    for link in known["links"].values():
        link["url"] = f"{url}/l/{link['url'].rpartition('/l/')[2]}"
    known["url"] = url
    write_whole(path, json.dumps(known, indent=2) + "\n")
    return Demo(**known, path=path)


def write_whole(path: Path, text: str) -> None:
    """A file for its owner's eyes: the old text or the new one, whenever the process is killed."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    is_whole = isinstance(known, dict) and set(known) == set(Demo.__dataclass_fields__) - {"path"}
    return known if is_whole else None


async def make_demo(gateway: Gateway) -> dict[str, Any]:
    """A new merchant with a key, links and an order; what `demo.json` keeps of them."""
    merchant_id = await create_merchant(gateway.pool, MERCHANT, datetime.now(UTC))
    _, secret = await create_api_key(gateway.pool, merchant_id, "test", ["all"], "Demo key")
    context = Context(merchant_id, "test", new_id("req"))
    link = await _make_link(gateway, context)
    order = await _make_order(gateway, context)
    demo = Demo(
        url=gateway.public_url,
        api_key=secret,
        merchant_id=merchant_id,
        links={"standard": {"payment_link_id": link.payment_link_id, "url": link.url}},
        order_id=order.order_id,
        path=Path(),
    )
    made = asdict(demo)
    del made["path"]
    return made


async def _make_link(gateway: Gateway, context: Context) -> PaymentLink:
    command = CreateLink(params=PaymentLinkCreateParams.model_validate(STANDARD))
    return (await gateway.caller.call(command, context=context)).value


async def _make_order(gateway: Gateway, context: Context) -> Order:
    command = CreateOrder(params=OrderCreateParams.model_validate(ORDER))
    return (await gateway.caller.call(command, context=context)).value
