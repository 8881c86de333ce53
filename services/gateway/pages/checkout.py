"""`/c/{checkout_session_id}`: whatever has become of a checkout, its page says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from aiohttp import web

from services.gateway.gateway import GATEWAY
from services.gateway.pages import guard, remembered, views
from services.gateway.pages.answer import brand_of, context_of, own_path, page, see_other
from services.gateway.pages.checkout_view import checkout_page, ended_page, waiting_page
from services.gateway.pages.locales import locale_of
from services.gateway.pages.seeing import (
    Seen,
    Standing,
    id_of,
    is_young,
    look,
    look_patiently,
    standing,
)
from services.gateway.pages.words import PLACES_GONE
from shared.contracts.links import ShowLink
from shared.contracts.payments import ResumePayment
from shared.errors import Refusal, Unavailable, not_found

RETURN_SECONDS: Final = 4.0


async def show(request: web.Request) -> web.Response:
    """The page of a session in its present state."""
    checkout_session_id = id_of(request)
    seen = await look_patiently(request, checkout_session_id)
    now = request.app[GATEWAY].clock()
    if seen is None:
        if is_young(checkout_session_id, now):
            return await _preparing(request, None)
        raise not_found("checkout session")
    return await PAGES[standing(seen, now)](request, seen)


async def payable(
    request: web.Request,
    seen: Seen,
    *,
    status: int = 200,
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    notice: str = "",
) -> web.Response:
    """The form to pay with, filled in with what this browser typed before."""
    code = (seen.attempt.failure_code if seen.attempt else None) or ""
    if code in PLACES_GONE:
        gone = views.StatusPage(await brand(request, seen), PLACES_GONE[code])
        return page(request, gone)
    gateway, checkout_session_id = request.app[GATEWAY], seen.session.checkout_session_id
    view = checkout_page(
        seen,
        await brand(request, seen),
        form_token=guard.form_token(gateway.secret_key, checkout_session_id),
        now=gateway.clock(),
        locale=locale_of(request),
        recalled=remembered.recall(request, checkout_session_id),
        values=values or {},
        errors=errors,
        notice=notice,
    )
    return page(request, view, status=status)


async def ended(request: web.Request, seen: Seen) -> web.Response:
    """The page of a session that can no longer be paid."""
    start_again = await _start_again(request, seen)
    return page(request, ended_page(seen, await brand(request, seen), start_again))


async def come_back(request: web.Request) -> web.Response:
    """Back from the bank's page: its word is asked for now, and the session's page shows it."""
    checkout_session_id = id_of(request)
    seen = await look(request, checkout_session_id)
    if seen is None:
        raise not_found("checkout session")
    if seen.attempt and seen.attempt.status == "requires_action" and request.method == "GET":
        await _resume(request, seen, seen.attempt.attempt_id)
        seen = await _moved(request, seen)
    if standing(seen, request.app[GATEWAY].clock()) != "action" or seen.order is None:
        return see_other(f"/c/{checkout_session_id}")
    # Not sent back to the bank: its page would only send the buyer here again.
    waiting = await _waiting(request, seen)
    return page(request, replace(waiting, status_url=f"{waiting.status_url}?returned=1"))


async def brand(request: web.Request, seen: Seen) -> views.Brand:
    """Who is selling."""
    session = seen.session
    gateway, theme = request.app[GATEWAY], session.theme
    return await brand_of(gateway, session.merchant_id, session.mode_environment, theme)


async def _resume(request: web.Request, seen: Seen, attempt_id: str) -> None:
    context = context_of(request, seen.session.merchant_id, seen.session.mode_environment)
    command = ResumePayment(payment_intent_id=attempt_id)
    with suppress(Refusal):  # Settled meanwhile: the session's page knows.
        await request.app[GATEWAY].caller.call(command, context=context)


async def _moved(request: web.Request, seen: Seen) -> Seen:
    """The session once the bank's word has reached it, or as it is after `RETURN_SECONDS`."""
    gateway, checkout_session_id = request.app[GATEWAY], seen.session.checkout_session_id

    async def moved() -> Seen | None:
        found = await look(request, checkout_session_id)
        is_still_there = found is None or standing(found, gateway.clock()) == "action"
        return None if is_still_there else found

    return await gateway.hub.until(checkout_session_id, moved, seconds=RETURN_SECONDS) or seen


async def _to_receipt(_: web.Request, seen: Seen) -> web.Response:
    return see_other(f"/c/{seen.session.checkout_session_id}/receipt")


async def _wait(request: web.Request, seen: Seen) -> web.Response:
    return page(request, await _waiting(request, seen))


async def _waiting(request: web.Request, seen: Seen) -> views.CheckoutPage:
    recalled = remembered.recall(request, seen.session.checkout_session_id)
    return waiting_page(seen, await brand(request, seen), recalled)


async def _to_action(request: web.Request, seen: Seen) -> web.Response:
    """On to the bank's page. A foreign one is reached from a page of ours, not by a redirect: a
    browser that came by posting a form would refuse to follow it (form-action)."""
    url = seen.attempt.redirect_url if seen.attempt else None
    path = own_path(request.app[GATEWAY], url)
    if path is not None:
        return see_other(path)
    if seen.order is None or url is None:
        return await _preparing(request, seen)
    answer = await _wait(request, seen)
    answer.headers["Refresh"] = f"0; url={url}"
    return answer


async def _preparing(request: web.Request, seen: Seen | None) -> web.Response:
    brand_now = await brand(request, seen) if seen else views.FLINT
    return page(request, views.StatusPage(brand_now, "preparing"), status=202)


async def _start_again(request: web.Request, seen: Seen) -> str:
    """The payment link's page, if the session came from one that can still be used."""
    link_id = seen.session.payment_link_id
    if link_id is None:
        return ""
    query = ShowLink(payment_link_id=link_id)
    try:
        answer = await request.app[GATEWAY].caller.call(query, context=context_of(request))
    except (Refusal, Unavailable):  # The page is worth showing without the button.
        return ""
    shown = answer.value
    return f"/l/{shown.slug}" if shown.unavailable_reason is None else ""


PAGES: Final[Mapping[Standing, Callable[[web.Request, Seen], Awaitable[web.Response]]]] = {
    "preparing": _preparing,
    "open": payable,
    "processing": _wait,
    "action": _to_action,
    "paid": _to_receipt,
    "ended": ended,
}
