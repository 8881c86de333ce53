"""`/c/{checkout_session_id}/receipt`: what was paid. Without the buyer's cookie it names nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY
from services.gateway.pages import remembered, tickets, views
from services.gateway.pages.answer import context_of, page, see_other
from services.gateway.pages.checkout import brand
from services.gateway.pages.checkout_view import filled_in
from services.gateway.pages.link_view import amount_of, legal_of, terms_of
from services.gateway.pages.seeing import Seen, id_of, look, standing
from services.gateway.pages.summary import answers_of, summary_of
from services.gateway.pages.words import wish_of
from shared.contracts.orders import Order
from shared.contracts.payments import GetPaymentIntent, PaymentIntent
from shared.errors import Refusal, Unavailable, not_found

# Long enough to see that it went well; then on to the merchant, who has their own page for it.
REDIRECT_SECONDS: Final = 3


async def show(request: web.Request) -> web.Response:
    """The receipt of a paid session; any other state has its own page."""
    checkout_session_id = id_of(request)
    seen = await look(request, checkout_session_id)
    if seen is None:
        raise not_found("checkout session")
    if seen.order is None or standing(seen, request.app[GATEWAY].clock()) != "paid":
        return see_other(f"/c/{checkout_session_id}")
    typed = remembered.recall(request, checkout_session_id)
    view = await _view(request, seen, seen.order, typed)
    answer = page(request, view)
    if typed.pop(remembered.PAYING, ""):
        remembered.keep(request, answer, checkout_session_id, typed)
        if view.success_url:  # Once, and only for the browser that paid.
            answer.headers["Refresh"] = f"{REDIRECT_SECONDS}; url={view.success_url}"
    return answer


async def calendar(request: web.Request) -> web.Response:
    """`/c/{id}/receipt.ics`: the event of the tickets, for a calendar."""
    checkout_session_id = id_of(request)
    seen = await look(request, checkout_session_id)
    order = seen.order if seen else None
    event = tickets.event_of(order) if order else None
    if order is None or event is None:
        raise not_found("calendar file")
    url = f"{request.app[GATEWAY].public_url}/c/{checkout_session_id}/receipt"
    file = tickets.calendar(order, event, url)
    if file is None:
        raise not_found("calendar file")
    headers = {
        "Content-Disposition": 'attachment; filename="event.ics"',
        "Cache-Control": "no-store",
    }
    return web.Response(
        body=file, content_type=tickets.CALENDAR_TYPE, charset="utf-8", headers=headers
    )


async def _view(
    request: web.Request, seen: Seen, order: Order, typed: Mapping[str, str]
) -> views.ReceiptPage:
    session, sums = seen.session, order.net_amounts
    intent = await _paid_by(request, seen)
    event = tickets.event_of(order)
    return views.ReceiptPage(
        brand=await brand(request, seen),
        order_number=order.order_number,
        paid_at=session.completed_at or session.updated_at,
        paid=amount_of(sums.total_money),
        summary=summary_of(order, sums.total_money),
        card_brand=(intent.payment_method_brand if intent else None) or "",
        card_last4=(intent.payment_method_last_four if intent else None) or "",
        buyer_email=typed.get("email", ""),
        answers=answers_of(session, typed),
        refunded=amount_of(sums.refunded_money) if sums.refunded_money.amount else None,
        wish=wish_of(order.donation_frequency),
        terms=terms_of(order.subscription_terms),
        tickets=tickets.shown(order.tickets),
        event_name=event.name if event else "",
        event=tickets.shown_event(event) if event else None,
        calendar_url=f"/c/{session.checkout_session_id}/receipt.ics"
        if event and event.event_date
        else "",
        success_url=filled_in(session.redirects.success_redirect_url, session),
        legal=legal_of(session.legal),
    )


async def _paid_by(request: web.Request, seen: Seen) -> PaymentIntent | None:
    """The payment that settled it; None for a free order, or while it cannot be read."""
    session, attempt = seen.session, seen.attempt
    if attempt is None or attempt.attempt_id not in session.payment_intent_ids:
        return None
    context = context_of(request, session.merchant_id, session.mode_environment)
    query = GetPaymentIntent(payment_intent_id=attempt.attempt_id)
    try:
        intent = (await request.app[GATEWAY].caller.call(query, context=context)).value
    except (Refusal, Unavailable):  # A receipt without the card's last digits is still one.
        return None
    return intent if intent.status == "succeeded" else None
