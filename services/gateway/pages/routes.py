"""Every page's route on one screen."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from services.gateway import live
from services.gateway.door import PAGE_ERRORS
from services.gateway.gateway import Gateway
from services.gateway.pages import checkout, link, pay, preview, receipt, sandbox, site

SESSION: Final = "/c/{checkout_session_id}"
CHALLENGE: Final = "/sandbox/3ds/{provider_ref}"


def page_routes(gateway: Gateway) -> list[web.RouteDef]:
    """The routes of the buyer pages. The bank's page is there only with the sandbox."""
    routes = [
        web.get("/", site.home),
        web.get("/static/{name}", site.static),
        web.get("/favicon.ico", site.favicon),
        web.get("/robots.txt", site.robots),
        web.get("/l/{slug}", link.show),
        web.post("/l/{slug}", link.resolve),
        web.post("/l/{slug}/visit", link.visit),
        web.get("/l/{slug}/preview.png", preview.show),
        web.get(SESSION, checkout.show),
        web.get(f"{SESSION}/pay", pay.back_to_page),
        web.post(f"{SESSION}/pay", pay.press),
        web.get(f"{SESSION}/return", checkout.come_back),
        web.get(f"{SESSION}/status", live.status, allow_head=False),
        web.get(f"{SESSION}/receipt", receipt.show),
        web.get(f"{SESSION}/receipt.ics", receipt.calendar),
    ]
    if gateway.providers is not None and "sandbox" in gateway.providers:
        routes += [web.get(CHALLENGE, sandbox.show), web.post(CHALLENGE, sandbox.decide)]
    return routes


def add_pages(app: web.Application, gateway: Gateway) -> None:
    """Routes, error pages, and an end for live streams when the process stops."""
    app.add_routes(page_routes(gateway))
    app[PAGE_ERRORS] = site.page_failure
    app[live.STREAMS] = live.Streams()
    app.on_shutdown.append(live.end_streams)
