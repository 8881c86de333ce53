"""Views become answers: the HTML of a page with its headers, and redirects to our own pages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from services.gateway.door import REQUEST_ID, TRACEPARENT
from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages import views
from services.gateway.pages.locales import locale_of
from services.gateway.pages.render import render, security_headers
from shared.contracts.base import Context
from shared.contracts.configs import Theme
from shared.contracts.types import ModeEnvironment
from shared.errors import Refusal

TEMPLATES: Final[Mapping[type[views.View], str]] = {
    views.LinkPage: "link.html",
    views.CheckoutPage: "checkout.html",
    views.ThreeDSecurePage: "three_d_secure.html",
    views.ReceiptPage: "receipt.html",
    views.StatusPage: "status.html",
    views.ErrorPage: "error.html",
    views.HomePage: "home.html",
}


def page(
    request: web.Request, view: views.View, *, status: int = 200, locale: str = ""
) -> web.Response:
    """The view as HTML, in the reader's own number formats unless said otherwise."""
    nonce = secrets.token_urlsafe(16)
    spoken = locale or locale_of(request)
    html = render(TEMPLATES[type(view)], view, nonce=nonce, locale=spoken)
    headers = security_headers(nonce)
    answer = web.Response(text=html, status=status, content_type="text/html", headers=headers)
    answer.enable_compression()
    return answer


def see_other(path: str) -> web.Response:
    """303 to a page of ours: a path, so that it stays on the host the buyer came by."""
    assert path[:1] == "/" != path[1:2], "a path of our own: '//host' is somebody else's"
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


async def brand_of(
    gateway: Gateway, merchant_id: str, mode: ModeEnvironment, theme: Theme
) -> views.Brand:
    """Who is selling, as their page shows it."""
    return views.Brand(
        merchant_name=await gateway.merchant_name(merchant_id) or "Checkout",
        theme=theme.model_dump(exclude_none=True),
        is_test_mode=mode == "test",
    )


def context_of(
    request: web.Request, merchant_id: str = "", mode: ModeEnvironment = "test"
) -> Context:
    """A buyer's request on the bus: no merchant is known until a session or link names one."""
    return Context(merchant_id, mode, request[REQUEST_ID], request[TRACEPARENT])


def own_path(gateway: Gateway, url: str | None) -> str | None:
    """The path of an address of ours; None for anybody else's."""
    origin = gateway.public_url
    path = url[len(origin) :] if url and url.startswith(f"{origin}/") else ""
    return path if path and not path.startswith("//") else None  # "//host" is somebody else


def count(request: web.Request) -> None:
    """One write of this address against its limit. Raises the 429 when it had too many."""
    gateway = request.app[GATEWAY]
    wait_seconds = gateway.buyer_limit.take(gateway.client_address(request))
    if wait_seconds > 0:
        raise Refusal(
            "rate_limited",
            "RATE_LIMIT_EXCEEDED",
            "Too many requests in a short time.",
            retryable=True,
            retry_after_seconds=max(1, round(wait_seconds + 0.5)),
        )
