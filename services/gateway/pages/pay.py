"""`POST /c/{checkout_session_id}/pay`: one form, two buttons: pay it, or change the tip.

A form's token makes pressing pay twice one attempt: its nonce is the id of the message.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages import guard, remembered
from services.gateway.pages.answer import context_of, count, own_path, see_other
from services.gateway.pages.checkout import payable
from services.gateway.pages.forms import Form, read_form, shown_again
from services.gateway.pages.payer import has_accepted, missing_of_card, read_payer, refused_field
from services.gateway.pages.seeing import Seen, id_of, look, show_session, standing
from services.gateway.pages.tips import picked_tip
from services.gateway.pages.words import NOTICES
from shared.contracts.base import Context
from shared.contracts.orders import Order, ReviseOrder
from shared.contracts.sessions import PayAccepted, Payer, PaySession, ShownSession
from shared.errors import Refusal, not_found
from shared.money import AMOUNT_MAX, Money, money
from shared.payments.port import Card, PaymentProvider

OUTCOME_SECONDS: Final = 6.0
TOTAL_CHANGED: Final = NOTICES["ORDER_CONFLICT"]
NO_PROVIDER: Final = "This shop cannot take card payments yet. You have not been charged."
# Sessions' own states: its page tells them better than any sentence here.
_STATES: Final = ("CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING")


async def press(request: web.Request) -> web.Response:
    """Pay or update. Whatever is not payable any more shows its own page instead."""
    checkout_session_id = id_of(request)
    guard.refuse_foreign(request)
    count(request)
    form = await read_form(request)
    secret_key = request.app[GATEWAY].secret_key
    nonce = guard.nonce_of(secret_key, form.get("form_token", ""), checkout_session_id)
    seen = await look(request, checkout_session_id)
    if seen is None:
        raise not_found("checkout session")
    if seen.order is None or standing(seen, request.app[GATEWAY].clock()) != "open":
        return see_other(f"/c/{checkout_session_id}")
    if form.get("action") == "update":
        return await _update(request, seen, seen.order, form)
    return await _pay(request, seen, form, nonce)


async def back_to_page(request: web.Request) -> web.Response:
    """A reload of the address that forms are sent to."""
    return see_other(f"/c/{id_of(request)}")


async def _pay(request: web.Request, seen: Seen, form: Form, nonce: str) -> web.Response:
    payer, errors = read_payer(form, seen.session)
    expected = _expected(form, seen)
    if expected is None:
        return await _again(request, seen, form, 409, notice=TOTAL_CHANGED)
    if expected.amount:
        errors |= missing_of_card(form)
    if errors:
        return await _again(request, seen, form, 422, errors=errors)
    provider = _provider_of(request.app[GATEWAY], seen)
    if provider is None and expected.amount:
        return await _again(request, seen, form, 422, notice=NO_PROVIDER)
    try:
        token = await _token_of(provider, form) if expected.amount else None
        accepted = await _start(
            request, seen, nonce, _command(request, seen, form, token, payer, expected)
        )
    except Refusal as refusal:
        return await _refused(request, seen, form, refusal)
    decided = await _outcome(request, seen, accepted)
    answer = see_other(_next_path(request.app[GATEWAY], accepted, decided))
    _remember(request, answer, seen, form)
    return answer
