"""`POST /c/{checkout_session_id}/pay`: one form, two buttons: pay it, or change the tip.

A form's token makes pressing pay twice one attempt: its nonce is the id of the message. What is
due the session knows; its order is asked for only by what shows it: another tip, the page again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages import guard, remembered
from services.gateway.pages.answer import context_of, count, own_path, see_other
from services.gateway.pages.checkout import payable
from services.gateway.pages.forms import Form, read_form, shown_again, whole_number
from services.gateway.pages.locales import locale_of
from services.gateway.pages.payer import has_accepted, missing_of_card, read_payer, refused_field
from services.gateway.pages.seeing import Seen, id_of, show_order, show_session, stage
from services.gateway.pages.tips import picked_tip
from services.gateway.pages.words import NOTICES
from shared.contracts.base import Context
from shared.contracts.orders import Order, OrderUpdated, ReviseOrder
from shared.contracts.sessions import (
    Attempt,
    CheckoutSession,
    PayAccepted,
    Payer,
    PaySession,
    SessionCompleted,
    ShownSession,
)
from shared.errors import Refusal, not_found
from shared.money import Money
from shared.payments.port import Card, PaymentProvider

OUTCOME_SECONDS: Final = 4.0  # after that, a page that says so is better than a busy button
DECIDED_SOON_SECONDS: Final = 0.15
COMPLETED: Final = SessionCompleted.topic
# Facts after which it is worth asking again how the attempt stands.
DECIDING: Final = frozenset(
    {
        COMPLETED,
        "checkout_session.invalidated",
        "payment_intent.payment_failed",
        "payment_intent.requires_action",
        "payment_intent.canceled",
    }
)
KNOWN_SECONDS: Final = 1.0
REVISED: Final = frozenset({OrderUpdated.topic})
TOTAL_CHANGED: Final = NOTICES["ORDER_CONFLICT"]
NO_PROVIDER: Final = "Cards cannot be taken here yet. You have not been charged."
TOO_MANY: Final = (
    "Too many payments failed on this page, so it takes no more. You have not been charged. "
    "Please ask the seller for a new link."
)
# Sessions' own states: its page tells them better than any sentence here.
_STATES: Final = ("CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING")


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button pressed on the page of a session that can be paid. `due` is what it shows."""

    request: web.Request
    session: CheckoutSession
    attempt: Attempt | None
    due: Money
    form: Form
    nonce: str

    @property
    def gateway(self) -> Gateway:
        """What every handler has at hand."""
        return self.request.app[GATEWAY]

    @property
    def context(self) -> Context:
        """For whom the request is: the session's merchant."""
        session = self.session
        return context_of(self.request, session.merchant_id, session.mode_environment)

    @property
    def path(self) -> str:
        """The session's page."""
        return f"/c/{self.session.checkout_session_id}"

    async def order(self) -> Order | None:
        """The order as it is now; None while orders has not made it yet."""
        return await show_order(self.gateway, self.session.order_id, context_of(self.request))

    async def again(
        self, status: int, *, errors: dict[str, str] | None = None, notice: str = ""
    ) -> web.Response:
        """The same page with what was typed, and what is wrong with it."""
        seen = Seen(self.session, self.attempt, await self.order())
        if seen.order is None:
            return see_other(self.path)
        values = shown_again(self.form)
        return await payable(
            self.request, seen, status=status, values=values, errors=errors, notice=notice
        )


async def press(request: web.Request) -> web.Response:
    """Pay or update. Whatever is not payable any more shows its own page instead."""
    checkout_session_id = id_of(request)
    guard.refuse_foreign(request)
    count(request)
    form = await read_form(request)
    gateway = request.app[GATEWAY]
    nonce = guard.nonce_of(gateway.secret_key, form.get("form_token", ""), checkout_session_id)
    shown = await show_session(gateway, checkout_session_id, context_of(request))
    if shown is None:  # The form's token says that its page was shown: it is nowhere on its way.
        raise not_found("checkout session")
    session, attempt = shown.checkout_session, shown.attempt
    if stage(session, attempt, gateway.clock()) != "open":
        return see_other(f"/c/{checkout_session_id}")
    pressed = Pressed(request, session, attempt, session.amount_money, form, nonce)
    return await (_update(pressed) if form.get("action") == "update" else _pay(pressed))


async def back_to_page(request: web.Request) -> web.Response:
    """A visit to the address that forms are sent to, such as a reload by hand."""
    return see_other(f"/c/{id_of(request)}")


async def _update(pressed: Pressed) -> web.Response:
    """Another tip: a new quote, shown before anything is charged."""
    session, order = pressed.session, await pressed.order()
    if order is not None and "tip" in pressed.form and session.tip.is_enabled:
        tip, wrong = picked_tip(pressed.form, session.tip, order, locale_of(pressed.request))
        if wrong:
            return await pressed.again(422, errors={"tip": wrong})
        command = ReviseOrder(order_id=order.order_id, expected_revision=order.revision, tip=tip)
        try:
            revised = await pressed.gateway.caller.call(command, context=pressed.context)
            await _until_known(pressed, revised.value)
        except Refusal as refusal:
            if refusal.code == "INVALID_TIP_AMOUNT":
                return await pressed.again(422, errors={"tip": refusal.message})
            if refusal.kind != "conflict":
                raise
    return see_other(pressed.path)


async def _until_known(pressed: Pressed, order: Order) -> None:
    """Until the session has heard of the new total: whoever has seen that can be sure from then on
    that no page with an older one, wherever it is open, starts a payment."""
    due, checkout_session_id = order.net_amounts.balance_money, pressed.session.checkout_session_id

    async def knows() -> bool | None:
        shown = await show_session(pressed.gateway, checkout_session_id, pressed.context)
        session = shown.checkout_session if shown else None
        is_waited_for = session and session.status == "open" and session.amount_money != due
        return None if is_waited_for else True

    if pressed.due != due:
        hub = pressed.gateway.hub
        await hub.until(checkout_session_id, knows, seconds=KNOWN_SECONDS, topics=REVISED)


async def _pay(pressed: Pressed) -> web.Response:
    if not _is_expected(pressed.form, pressed.due):
        order = await pressed.order()  # a session learns of another total a moment later
        if order is None or not _is_expected(pressed.form, order.net_amounts.balance_money):
            return await pressed.again(409, notice=TOTAL_CHANGED)
        pressed = replace(pressed, due=order.net_amounts.balance_money)
    payer, errors = read_payer(pressed.form, pressed.session)
    if pressed.due.amount:
        errors |= missing_of_card(pressed.form)
    if errors:
        return await pressed.again(422, errors=errors)
    provider = _provider_of(pressed)
    if pressed.due.amount and provider is None:
        return await pressed.again(422, notice=NO_PROVIDER)
    try:
        token = await _token_of(pressed, provider)
        accepted = await _start(pressed, payer, token)
    except Refusal as refusal:
        return await _refused(pressed, refusal)
    answer = see_other(await _next_path(pressed, accepted))
    remembered.keep(
        pressed.request,
        answer,
        accepted.checkout_session_id,
        shown_again(pressed.form),
        remembered.PAYING,
    )
    return answer


def _is_expected(form: Form, due: Money) -> bool:
    """Whether the page that the buyer pressed pay on showed what is due now."""
    shown = form.get("expected_amount"), form.get("expected_currency")
    return shown == (str(due.amount), due.currency)


def _provider_of(pressed: Pressed) -> PaymentProvider | None:
    """Who takes the money: the sandbox in test mode, nobody yet in live mode."""
    providers = pressed.gateway.providers
    is_test = pressed.session.mode_environment == "test"
    return providers.get("sandbox") if providers is not None and is_test else None


async def _token_of(pressed: Pressed, provider: PaymentProvider | None) -> str | None:
    """The card as the provider's token. From here on nobody knows its number."""
    if provider is None or not pressed.due.amount:
        return None
    form = pressed.form
    card = Card(number=form["card_number"], exp=form["card_exp"], cvc=form["card_cvc"])
    return await provider.tokenize(card)


async def _start(pressed: Pressed, payer: Payer, token: str | None) -> PayAccepted:
    checkout_session_id = pressed.session.checkout_session_id
    command = PaySession(
        checkout_session_id=checkout_session_id,
        payment_source_token=token,
        expected_amount_money=pressed.due,
        order_revision=whole_number(pressed.form.get("order_revision", "")),
        payer=payer,
        has_accepted_terms=has_accepted(pressed.form),
        return_url=f"{pressed.gateway.public_url}/c/{checkout_session_id}/return",
    )
    message_id = f"pay:{checkout_session_id}:{pressed.nonce}"
    caller = pressed.gateway.caller
    answer = await caller.call(command, context=pressed.context, message_id=message_id)
    return answer.value


async def _refused(pressed: Pressed, refusal: Refusal) -> web.Response:
    if refusal.code in _STATES:
        return see_other(pressed.path)
    if refusal.kind == "not_found":
        raise refusal
    if refusal.kind == "rate_limited":
        return await pressed.again(429, notice=TOO_MANY)
    if refusal.param and refusal.param.startswith("card_"):
        return await pressed.again(422, errors={refusal.param: refusal.message})
    errors = refused_field(refusal.param)
    notice = "" if errors else NOTICES.get(refusal.code, refusal.message)
    status = 409 if refusal.kind == "conflict" else 422
    return await pressed.again(status, errors=errors, notice=notice)


async def _next_path(pressed: Pressed, accepted: PayAccepted) -> str:
    """Where the buyer goes once this attempt is decided; the page itself if that takes long."""
    gateway, checkout_session_id = pressed.gateway, accepted.checkout_session_id

    async def decided() -> str | None:
        shown = await show_session(gateway, checkout_session_id, pressed.context)
        attempt = shown.attempt if shown else None
        is_running = (
            attempt is not None
            and attempt.attempt_id == accepted.attempt_id
            and attempt.status == "processing"
        )
        return None if is_running else _path_of(pressed, shown)

    path = await gateway.hub.until(
        checkout_session_id,
        decided,
        seconds=OUTCOME_SECONDS,
        topics=DECIDING,
        told={COMPLETED: f"{pressed.path}/receipt"},
        pause_seconds=DECIDED_SOON_SECONDS,
    )
    return path or pressed.path


def _path_of(pressed: Pressed, shown: ShownSession | None) -> str:
    """A bank of another origin is reached from our own page."""
    path = pressed.path
    if shown is None:
        return path
    if shown.checkout_session.status == "paid":
        return f"{path}/receipt"
    if shown.attempt and shown.attempt.status == "requires_action":
        return own_path(pressed.gateway, shown.attempt.redirect_url) or path
    return path
