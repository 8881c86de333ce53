"""`/l/{slug}`: looking writes nothing, whoever looks; pressing the button opens a checkout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from services.gateway import resolution
from services.gateway.body import BODY_MAX
from services.gateway.gateway import GATEWAY
from services.gateway.pages import guard, prefill, remembered
from services.gateway.pages.answer import brand_of, context_of, count, page, see_other
from services.gateway.pages.choices import errors_of, read_choices
from services.gateway.pages.forms import Form, read_form, shown_again
from services.gateway.pages.link_view import link_page, unavailable_page
from services.gateway.pages.locales import locale_of
from services.gateway.pages.prefill import Carried
from services.gateway.pages.visitors import is_automatic
from services.gateway.pages.words import LINK_STATES
from services.gateway.resolution import ResolutionContext
from services.gateway.stats.store import View
from shared.contracts.links import Choices, Resolution, ResolveLink, ShowLink, ShownLink
from shared.errors import Refusal, not_found
from shared.telemetry.scope import about_session

# In any case; before lowering, which would turn the Kelvin sign into our k.
SLUG: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
PRICED: Final = ("amount.", "quantity.")  # the fields that a total is made of
CHANGED: Final = "PAYMENT_LINK_CHANGED_RETRY"
# Twenty answers of 4 096 characters do not fit into a usual form: as much as the API takes.
FORM_MAX: Final = BODY_MAX
OLD_PAGE: Final = "This page was open for too long. Please look at it once more before you go on."


@dataclass(frozen=True, slots=True)
class Opened:
    """A link as one buyer has it open: what its address brought along, what stands in its form."""

    shown: ShownLink
    carried: Carried
    form: Form
    locale: str


async def show(request: web.Request) -> web.Response:
    """The link's page. An old slug leads to the newest one, its query kept."""
    shown = await find(request)
    if shown.slug != request.match_info["slug"]:
        query = request.rel_url.raw_query_string
        location = f"/l/{shown.slug}" + (f"?{query}" if query else "")
        return web.Response(status=301, headers={"Location": location})
    locale = locale_of(request)
    values = prefill.values_of(request.query, shown, locale)
    carried = prefill.carried(request.query)
    return await _render(request, Opened(shown, carried, values, locale))


async def resolve(request: web.Request) -> web.Response:
    """The buyer's choices become a session. The same page sent twice is the same session."""
    guard.refuse_foreign(request)
    count(request)
    form = await read_form(request, FORM_MAX)
    return await _resolve_recent(request, form) or await _resolve(request, form)


async def _resolve_recent(request: web.Request, form: Form) -> web.Response | None:
    """With the link as it was shown a moment ago; None: anything unusual is looked at afresh."""
    recent = request.app[GATEWAY].recent_links.get(_slug_of(request))
    if recent is None:
        return None
    opened = _opened(request, recent, form)
    choices, errors = read_choices(form, recent, opened.carried, opened.locale)
    if errors or _is_update(form):
        return None
    try:
        found = await _resolved(request, opened, choices)
    except Refusal:
        return None
    return _to_checkout(request, opened.carried, choices, found)


async def _resolve(request: web.Request, form: Form) -> web.Response:
    opened = _opened(request, await find(request), form)
    if opened.shown.unavailable_reason is not None:
        return await _render(request, opened, 409)
    choices, errors = read_choices(form, opened.shown, opened.carried, opened.locale)
    if _is_update(form):
        errors = {name: said for name, said in errors.items() if name.startswith(PRICED)}
    if errors or _is_update(form):
        return await _once_more(request, opened, errors)
    try:
        found = await _resolved(request, opened, choices)
    except Refusal as refusal:
        return await _refused(request, opened, refusal)
    return _to_checkout(request, opened.carried, choices, found)


async def _once_more(
    request: web.Request, opened: Opened, errors: Mapping[str, str]
) -> web.Response:
    """The page again with each mistake, or with the total that was asked for.

    Of an old page, what has changed since comes first.
    """
    try:
        seen = _seen(request, opened.shown, opened.form)
    except Refusal as refusal:
        return await _refused(request, opened, refusal)
    if seen.version < opened.shown.version:
        return await _render(request, opened, 409, is_changed=True)
    return await _render(request, opened, 422 if errors else 200, errors=errors)


def _opened(request: web.Request, shown: ShownLink, form: Form) -> Opened:
    carried = prefill.carried(form)
    return Opened(shown, carried, form, carried.locale or locale_of(request))


def _is_update(form: Form) -> bool:
    """Whether only the total is asked for: what the button without scripts does."""
    return form.get("action") == "update"


async def visit(request: web.Request) -> web.Response:
    """A gesture on the link's page: somebody looks at it. Always 204, nobody waits for it."""
    guard.refuse_foreign(request)
    count(request)
    form = await read_form(request)
    shown = request.app[GATEWAY].recent_links.get(_slug_of(request)) or await find(request)
    with suppress(Refusal):  # a page that lay open for hours is no visit of now
        if not is_automatic(request):
            _note(request, shown, _seen(request, shown, form))
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


def _note(request: web.Request, shown: ShownLink, seen: ResolutionContext) -> None:
    gateway = request.app[GATEWAY]
    gateway.visits.note(View(shown.merchant_id, seen.payment_link_id, seen.nonce, gateway.clock()))


async def find(request: web.Request) -> ShownLink:
    """The link behind the slug in the path, whatever case it is in; raises not_found."""
    if not SLUG.fullmatch(request.match_info["slug"]):
        raise not_found("payment link")
    slug = _slug_of(request)
    gateway, query = request.app[GATEWAY], ShowLink(slug=slug)
    try:
        shown = (await gateway.caller.call(query, context=context_of(request))).value
    except Refusal:
        count(request)  # who tries names has only so many tries
        raise
    gateway.recent_links.put(slug, shown)
    return shown


def _slug_of(request: web.Request) -> str:
    return request.match_info["slug"].lower()


async def _resolved(request: web.Request, opened: Opened, choices: Choices) -> Resolution:
    shown, seen = opened.shown, _seen(request, opened.shown, opened.form)
    command = ResolveLink(
        payment_link_id=shown.payment_link.payment_link_id,
        context_id=seen.nonce,
        context_version=seen.version,
        choices=choices,
        client_reference_id=opened.carried.client_reference_id,
        utm=dict(opened.carried.utm),
        locale=opened.carried.locale,
    )
    context = context_of(request, shown.merchant_id, shown.mode_environment)
    found = (await request.app[GATEWAY].caller.call(command, context=context)).value
    _note(request, shown, seen)
    return found


def _seen(request: web.Request, shown: ShownLink, form: Form) -> ResolutionContext:
    """Which page was sent, by its token; a missing, forged or expired one is refused."""
    gateway, link_id = request.app[GATEWAY], shown.payment_link.payment_link_id
    token = form.get("resolution_context")
    if not token:
        raise resolution.required()
    return resolution.read(gateway.secret_key, token, link_id, gateway.clock())


async def _refused(request: web.Request, opened: Opened, refusal: Refusal) -> web.Response:
    """The page again, with what was typed and the 'no' beside its field."""
    if refusal.code == CHANGED or refusal.code in LINK_STATES:
        fresh = replace(opened, shown=await find(request))
        errors = errors_of(refusal, fresh.shown)  # of one tier that has just sold out
        return await _render(request, fresh, 409, errors=errors, is_changed=refusal.code == CHANGED)
    if refusal.param == "resolution_context":
        return await _render(request, opened, 400, notice=OLD_PAGE)
    if refusal.kind in ("not_found", "rate_limited"):
        raise refusal
    errors = errors_of(refusal, opened.shown)
    return await _render(
        request, opened, 422, errors=errors, notice="" if errors else refusal.message
    )


def _to_checkout(
    request: web.Request, carried: Carried, choices: Choices, found: Resolution
) -> web.Response:
    """303 to the checkout, which shows this browser alone what it brought along and answered."""
    about_session(found.checkout_session_id)
    answer = see_other(f"/c/{found.checkout_session_id}")
    brought = {"email": carried.email or "", "card_name": carried.name or ""}
    marks = (remembered.ANSWERED,) if choices.custom_field_values else ()
    if marks or any(brought.values()):
        remembered.keep(request, answer, found.checkout_session_id, brought, *marks)
    if carried.locale:
        remembered.keep_locale(request, answer, found.checkout_session_id, carried.locale)
    return answer


async def _render(
    request: web.Request,
    opened: Opened,
    status: int = 200,
    *,
    errors: Mapping[str, str] | None = None,
    notice: str = "",
    is_changed: bool = False,
) -> web.Response:
    gateway, shown, link = request.app[GATEWAY], opened.shown, opened.shown.payment_link
    brand = await brand_of(gateway, shown.merchant_id, shown.mode_environment, link.theme)
    if shown.unavailable_reason is not None:
        ended = unavailable_page(shown, brand, shown.unavailable_reason)
        return page(request, ended, status=status)
    now = gateway.clock()
    token = resolution.issue(gateway.secret_key, link.payment_link_id, shown.version, now)
    view = link_page(
        shown,
        brand,
        resolution_context=token,
        carried=opened.carried,
        values=shown_again(opened.form),
        errors=errors,
        notice=notice,
        is_changed=is_changed,
        locale=opened.locale,
    )
    return page(request, view, status=status, locale=opened.locale)
