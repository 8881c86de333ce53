"""The buyer pages over services that answer by script: for what real ones rarely do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import ClientResponse

from services.gateway.pages import guard
from shared.contracts.orders import Order, ShowOrder
from shared.contracts.sessions import Attempt, CheckoutSession, ShowSession
from shared.db.pool import Pool
from shared.payments.registry import Providers
from tests.builders_gateway import SECRET_KEY, Shopfront, a_shopfront
from tests.builders_pages import NOON, SESSION, a_session, an_order

PATH: Final = f"/c/{SESSION}"
PAID: Final = {"status": "paid", "completed_at": NOON, "terminal_reason": "payment_succeeded"}


class PayingProvider:
    """As much of a provider as the pages need: it makes tokens."""

    name = "sandbox"

    async def tokenize(self, card: Any) -> str:
        del card
        return "tok_visa"


@asynccontextmanager
async def a_pages_shop(pool: Pool) -> AsyncIterator[Shopfront]:
    """A gateway whose cards can be tokenised; all else is as `stands` says."""
    provider: Any = PayingProvider()
    async with a_shopfront(pool, providers=Providers({"sandbox": provider})) as shop:
        yield shop


def stands(
    shop: Shopfront,
    session: CheckoutSession | None = None,
    attempt: Attempt | None = None,
    order: Order | Exception | None = None,
) -> None:
    """What sessions and orders say from now on."""
    shown = {"checkout_session": session or a_session(), "attempt": attempt}
    shop.services.answers[ShowSession] = shown
    shop.services.answers[ShowOrder] = order or an_order()


async def get(shop: Shopfront, path: str = PATH, **headers: str) -> ClientResponse:
    """One page, its redirect not followed."""
    return await shop.client.get(path, allow_redirects=False, headers=headers)


async def press(shop: Shopfront, **form: str) -> ClientResponse:
    """The page's form, filled in well unless said otherwise."""
    good = {
        "form_token": guard.form_token(SECRET_KEY, SESSION),
        "expected_amount": "1200",
        "expected_currency": "USD",
        "card_number": "4242",
        "card_exp": "12/30",
        "card_cvc": "123",
    }
    return await shop.client.post(f"{PATH}/pay", data=good | form, allow_redirects=False)
