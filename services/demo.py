"""The demo merchant of `flint run`: a key, links and an open order, made through the bus."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.gateway.gateway import Gateway
from services.gateway.pages.views import DemoLink
from shared.contracts.base import Context
from shared.contracts.link_requests import PaymentLinkCreateParams
from shared.contracts.links import CreateLink
from shared.contracts.orders import CreateOrder, Order, OrderCreateParams
from shared.contracts.plans import CreatePlan, SubscriptionPlan, SubscriptionPlanCreateParams
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
DONATION: Final[dict[str, Any]] = {
    "name": "Plant a tea garden",
    "description": "Every gift buys seedlings, tools and shade trees for a garden in Ilam.",
    "mode": "donation",
    "donation_suggested_amounts": [
        {"amount": amount, "currency": "USD"} for amount in (1000, 2500, 5000, 10_000)
    ],
    "donation_min_amount_money": {"amount": 500, "currency": "USD"},
    "donation_max_amount_money": {"amount": 500_000, "currency": "USD"},
    "donation_frequencies": ["one_time", "monthly", "yearly"],
    "donation_cover_fees": {"percent": 2.9, "fixed_money": {"amount": 30, "currency": "USD"}},
}
ADJUSTABLE: Final[dict[str, Any]] = {
    "name": "Tea evening",
    "description": "Six teas, poured side by side. Pay what the evening is worth to you.",
    "line_items": [
        {
            "key": "seat",
            "name": "A seat at the table",
            "amount_money": {"amount": 4500, "currency": "JPY"},
            "allow_amount_adjustment": True,
            "min_amount_money": {"amount": 3000, "currency": "JPY"},
            "max_amount_money": {"amount": 50_000, "currency": "JPY"},
            "suggested_amounts": [
                {"amount": amount, "currency": "JPY"} for amount in (3000, 4500, 6000)
            ],
        }
    ],
}
EVENT: Final[dict[str, Any]] = {
    "name": "Northwind winter gala",
    "description": "Twelve teas, three courses and a string quartet. Doors open at half past six.",
    "mode": "event",
    "line_items": [
        {
            "key": "floor",
            "name": "Floor",
            "amount_money": {"amount": 6500, "currency": "EUR"},
            "max_quantity": 10,
        },
        {
            "key": "balcony",
            "name": "Balcony",
            "description": "Twelve seats with a view of the stage",
            "amount_money": {"amount": 9000, "currency": "EUR"},
            "max_total_quantity": 12,
        },
        {
            "key": "table",
            "name": "Table of eight",
            "amount_money": {"amount": 60_000, "currency": "EUR"},
            "quantity": 8,
            "allow_quantity_adjustment": False,
        },
    ],
    "event_config": {
        "timezone": "Europe/Berlin",
        "location": "Kleiner Saal, Konzerthaus Berlin",
        "max_total_quantity": 200,
        "ticket_prefix": "GALA",
    },
    "customer": {"require_email": True},
}
CLUB: Final[dict[str, Any]] = {
    "name": "Tea club",
    "description": "A box of three teas at the beginning of every month, each from another garden.",
    "customer": {"require_email": True},
}
# The plan that a link offers, made before it.
PLANS: Final[Mapping[str, dict[str, Any]]] = {
    "plan": {
        "name": "Tea club",
        "currency": "EUR",
        "billing_interval": "monthly",
        "line_items": [
            {"name": "Box of three teas", "unit_price_money": {"amount": 2400, "currency": "EUR"}}
        ],
        "setup_fee_money": {"amount": 500, "currency": "EUR"},
    }
}
EVENT_IN: Final = timedelta(days=60)
EVENT_LASTS: Final = timedelta(hours=4)
LINKS: Final[Mapping[str, dict[str, Any]]] = {
    "standard": STANDARD,
    "donation": DONATION,
    "adjustable": ADJUSTABLE,
    "event": EVENT,
    "plan": CLUB,
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
    return tuple(
        DemoLink(demo.links[name]["url"], params["name"], params["description"])
        for name, params in LINKS.items()
    )


async def ensure_demo(gateway: Gateway, path: Path) -> Demo:
    """The demo as it was made on the first start; the address may have changed since.

    Links that a newer version shows are added.
    """
    known = _read(path)
    if known is None:
        known = await make_demo(gateway)
    known["links"] |= await _make_links(gateway, known["merchant_id"], known["links"])
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
    order = await _make_order(gateway, context)
    demo = Demo(
        url=gateway.public_url,
        api_key=secret,
        merchant_id=merchant_id,
        links=await _make_links(gateway, merchant_id),
        order_id=order.order_id,
        path=Path(),
    )
    made = asdict(demo)
    del made["path"]
    return made


async def _make_links(
    gateway: Gateway, merchant_id: str, known: Collection[str] = ()
) -> dict[str, dict[str, str]]:
    made = {}
    for name, params in LINKS.items():
        if name not in known:
            context = Context(merchant_id, "test", new_id("req"))
            plan = await _make_plan(gateway, context, name)
            wanted = _dated(params, datetime.now(UTC)) | ({"plan_id": plan.plan_id} if plan else {})
            link_params = PaymentLinkCreateParams.model_validate(wanted)
            command = CreateLink(params=link_params, plan=plan)
            link = (await gateway.caller.call(command, context=context)).value
            made[name] = {"payment_link_id": link.payment_link_id, "url": link.url}
    return made


async def _make_plan(gateway: Gateway, context: Context, name: str) -> SubscriptionPlan | None:
    if name not in PLANS:
        return None
    command = CreatePlan(params=SubscriptionPlanCreateParams.model_validate(PLANS[name]))
    return (await gateway.caller.call(command, context=context)).value


def _dated(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """An event is always some weeks ahead of whoever starts the demo, at seven in the evening."""
    if "event_config" not in params:
        return params
    event = params["event_config"]
    day = (now + EVENT_IN).astimezone(ZoneInfo(event["timezone"]))
    start = day.replace(hour=19, minute=0, second=0, microsecond=0)
    dates = {"event_date": start, "event_end_date": start + EVENT_LASTS}
    return params | {"event_config": event | dates}


async def _make_order(gateway: Gateway, context: Context) -> Order:
    command = CreateOrder(params=OrderCreateParams.model_validate(ORDER))
    return (await gateway.caller.call(command, context=context)).value
