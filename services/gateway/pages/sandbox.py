"""`/sandbox/3ds/{provider_ref}`: the sandbox bank's page, where a test decides how it ends."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY
from services.gateway.pages import guard, views
from services.gateway.pages.answer import context_of, count, own_path, page, see_other
from services.gateway.pages.checkout import brand
from services.gateway.pages.forms import read_form
from services.gateway.pages.link_view import amount_of
from services.gateway.pages.seeing import Seen, show_session
from shared.errors import invalid, not_found
from shared.payments.sandbox import Challenge, Sandbox

DECISIONS: Final = {"complete": True, "fail": False}
_RETURN: Final = re.compile(r"/c/(cs_[0-9A-Z]{26})/return")
_REF: Final = re.compile(r"sbx_[0-9A-Z]{26}")


async def show(request: web.Request) -> web.Response:
    """The challenge; one that is decided sends the buyer back."""
    challenge = await _bank(request).challenge(_ref(request))
    if challenge.state != "open":
        return see_other(_back(request, challenge))
    secret_key, ref = request.app[GATEWAY].secret_key, challenge.provider_ref
    view = views.ThreeDSecurePage(
        brand=await _brand(request, challenge),
        action=f"/sandbox/3ds/{ref}",
        form_token=guard.form_token(secret_key, ref),
        amount=amount_of(challenge.amount_money),
        card_last4=challenge.card_last_four,
    )
    return page(request, view)


async def decide(request: web.Request) -> web.Response:
    """The buyer's answer to the bank; only the first one counts."""
    ref = _ref(request)
    guard.refuse_foreign(request)
    count(request)
    form = await read_form(request)
    guard.nonce_of(request.app[GATEWAY].secret_key, form.get("form_token", ""), ref)
    outcome = form.get("outcome") or form.get("decision", "")
    if outcome not in DECISIONS:
        raise invalid("outcome", "The outcome is 'complete' or 'fail'.")
    challenge = await _bank(request).authenticate(ref, DECISIONS[outcome])
    return see_other(_back(request, challenge))


def _bank(request: web.Request) -> Sandbox:
    providers = request.app[GATEWAY].providers
    if providers is None or "sandbox" not in providers:
        raise not_found("challenge")
    return providers.sandbox


def _ref(request: web.Request) -> str:
    ref = request.match_info["provider_ref"]
    if not _REF.fullmatch(ref):
        raise not_found("challenge")
    return ref


def _back(request: web.Request, challenge: Challenge) -> str:
    """Where the payment came from; a payment over the API came from no page."""
    return own_path(request.app[GATEWAY], challenge.return_url) or "/"


async def _brand(request: web.Request, challenge: Challenge) -> views.Brand:
    """The merchant whose checkout asked for it, as far as the way back tells."""
    found = _RETURN.fullmatch(_back(request, challenge))
    if found is None:
        return views.Brand("Flint", is_test_mode=True)
    shown = await show_session(request.app[GATEWAY], found[1], context_of(request))
    if shown is None:
        return views.Brand("Flint", is_test_mode=True)
    return await brand(request, Seen(shown.checkout_session, shown.attempt, None))
