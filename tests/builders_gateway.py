"""A gateway for tests: real HTTP, a real database for its keys, services that answer by script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import TestClient, TestServer

from services.gateway.accounts.directory import create_api_key, create_merchant
from services.gateway.api import examples
from services.gateway.app import create_app
from services.gateway.gateway import Gateway
from shared.bus.caller import CALL_SECONDS, Answer, reply_adapter
from shared.contracts.base import Command, Context
from shared.contracts.links import PaymentLink, ShownLink
from shared.contracts.orders import Order
from shared.contracts.payments import PaymentIntent
from shared.contracts.sessions import CheckoutSession
from shared.db.pool import Pool

R = TypeVar("R")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET_KEY = "a secret of the tests, 32 bytes or longer"
ULID_A = "01KAT0M5V8Q4Z6R2N3W9XJ7HDE"
ULID_B = "01KAT0M5V8Q4Z6R2N3W9XJ7HDF"


@dataclass(frozen=True)
class Asked:
    """One call as the bus would have got it."""

    command: Any
    context: Context
    message_id: str | None
    body_hash: str
    is_keyed: bool


@dataclass
class ScriptedServices:
    """A `Caller`: each command's answer is a value, an exception, or a function of the command.

    Commands and answers cross the wire's codec. `replayed` marks message ids answered before.
    """

    answers: dict[Any, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)

    async def call(
        self,
        command: Command[R],
        *,
        context: Context,
        message_id: str | None = None,
        body_hash: str = "",
        is_keyed: bool = False,
        timeout_seconds: float = CALL_SECONDS,
    ) -> Answer[R]:
        del timeout_seconds  # A script answers at once.
        sent = type(command).model_validate_json(command.to_json())
        self.asked.append(Asked(sent, context, message_id, body_hash, is_keyed))
        value = self.answers[type(command)]
        if callable(value):
            value = value(sent)
        if isinstance(value, Exception):
            raise value
        codec = reply_adapter(type(command))
        wire = codec.dump_json(codec.validate_python(value), exclude_none=True)
        return Answer(codec.validate_json(wire), message_id in self.replayed)

    def has_asked(self, kind: type[Command[Any]]) -> bool:
        return any(isinstance(one.command, kind) for one in self.asked)

    def last(self, kind: type[Command[Any]]) -> Asked:
        return next(one for one in reversed(self.asked) if isinstance(one.command, kind))


@dataclass
class Shopfront:
    """A running gateway, its scripted services, and a merchant's key."""

    gateway: Gateway
    services: ScriptedServices
    client: TestClient[Any, Any]
    merchant_id: str
    secret: str

    async def ask(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> tuple[int, dict[str, Any]]:
        """Status and body; under the merchant's key unless `headers` say otherwise."""
        response = await self.send(method, path, json=json, headers=headers, **kwargs)
        return response.status, await response.json()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> ClientResponse:
        default = {"Authorization": f"Bearer {self.secret}"}
        if kwargs.get("json") is None:
            kwargs.pop("json", None)
        return await self.client.request(
            method, path, headers={**default, **(headers or {})}, **kwargs
        )

    def raw(self) -> ClientSession:
        return self.client.session


def an_order(**changes: Any) -> Order:
    return Order.model_validate({**examples.ORDER, **changes})


def a_link(**changes: Any) -> PaymentLink:
    return PaymentLink.model_validate({**examples.LINK, **changes})


def a_session(**changes: Any) -> CheckoutSession:
    return CheckoutSession.model_validate({**examples.SESSION, **changes})


def a_shown_link(**changes: Any) -> ShownLink:
    shown = {
        "payment_link": examples.PUBLIC_LINK["payment_link"],
        "resolved_line_items": examples.PUBLIC_LINK["resolved_line_items"],
        "merchant_id": examples.LINK["merchant_id"],
        "mode_environment": "test",
        "slug": "tea",
    }
    return ShownLink.model_validate({**shown, **changes})


def an_intent(**changes: Any) -> PaymentIntent:
    intent = {
        "payment_intent_id": f"pi_{ULID_A}",
        "amount_money": {"amount": 2500, "currency": "USD"},
        "status": "succeeded",
        "source": "api",
        "merchant_id": examples.LINK["merchant_id"],
        "mode_environment": "test",
        "created_at": NOON,
        "updated_at": NOON,
    }
    return PaymentIntent.model_validate({**intent, **changes})


@asynccontextmanager
async def a_shopfront(
    pool: Pool,
    *,
    scopes: tuple[str, ...] = ("all",),
    clock: Callable[[], datetime] = lambda: NOON,
    **fields: Any,
) -> AsyncIterator[Shopfront]:
    services = ScriptedServices()
    gateway = Gateway(services, pool, SECRET_KEY, clock=clock, **fields)
    merchant_id = await create_merchant(pool, "Corner Tea", NOON)
    _, secret = await create_api_key(pool, merchant_id, "test", scopes, "tests")
    async with TestClient(TestServer(create_app(gateway))) as client:
        yield Shopfront(gateway, services, client, merchant_id, secret)
