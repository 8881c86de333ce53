"""A buyer with a browser of their own: goes to pages, types, presses, and notes what went wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, Request, async_playwright, expect

Scheme = Literal["light", "dark"]
PAYS: Final = "4242424242424242"
EMAIL: Final = "ada@example.com"
AXE: Final = Path(__file__).parent / "vendor" / "axe.min.js"
SCREENSHOTS: Final = Path(__file__).resolve().parents[2] / "screenshots"
ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WAIT_MS: Final = 20_000
RECEIPT: Final = re.compile(r"/c/cs_\w+/receipt$")
CHECKOUT: Final = re.compile(r"/c/cs_\w+$")
CHALLENGE: Final = re.compile(r"/sandbox/3ds/sbx_\w+$")


def chromium() -> str | None:
    """Where Debian's browser is, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """One Chromium for many buyers."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        try:
            yield browser
        finally:
            await browser.close()


expect.set_options(timeout=WAIT_MS)


@dataclass
class Buyer:
    """One page of one browser profile. `faults` has to be empty when a test ends."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.page.goto(url)

    async def choose(self, url: str, **fields: str) -> None:
        """Open a link, fill in what is asked (`quantity_tin` is `quantity.tin`), go on."""
        await self.go(url)
        for name, value in fields.items():
            await self.type(name.replace("_", ".", 1), value)
        await self.press("Continue to payment")
        await expect(self.page).to_have_url(CHECKOUT)

    async def type(self, name: str, value: str) -> None:
        """Fill one field in."""
        await self.page.fill(f'[name="{name}"]', value)

    async def value(self, name: str) -> str:
        """What stands in a field."""
        return await self.page.input_value(f'[name="{name}"]')

    async def fill_card(self, number: str = PAYS, **fields: str) -> None:
        """The card, and whatever else the page asks for."""
        typed = {
            "card_number": number,
            "card_exp": "12 / 30",
            "card_cvc": "123",
            "card_name": "Ada Lovelace",
        }
        for name, value in (typed | fields).items():
            await self.type(name, value)

    async def pay(self, number: str = PAYS, email: str = EMAIL) -> None:
        """Fill in everything of the standard page, and press pay."""
        await self.fill_card(number, email=email)
        await self.press_pay()

    async def press_pay(self) -> None:
        """The one primary button."""
        await self.page.click(".button-pay")

    async def press(self, text: str) -> None:
        """A button by its words."""
        await self.page.get_by_role("button", name=text, exact=True).click()

    async def sees(self, text: str) -> None:
        """Wait until the text is there to be seen."""
        await expect(self.page.get_by_text(text).first).to_be_visible()

    async def is_at(self, where: re.Pattern[str], *, seconds: float = 20) -> None:
        """Wait until the address is of this kind."""
        await expect(self.page).to_have_url(where, timeout=seconds * 1000)

    async def has_receipt(self, *texts: str, seconds: float = 30) -> None:
        """Wait for the receipt, and see that it says so."""
        await self.is_at(RECEIPT, seconds=seconds)
        for text in ("Payment received", *texts):
            await self.sees(text)

    @property
    def session_id(self) -> str:
        """Of the page that is open."""
        found = re.search(r"/c/(cs_\w+)", self.page.url)
        assert found, self.page.url
        return found[1]

    async def violations(self) -> list[str]:
        """What axe says of the page as it is now."""
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    async def is_too_wide(self) -> bool:
        """Whether the page scrolls sideways."""
        script = "document.documentElement.scrollWidth > innerWidth"
        return bool(await self.page.evaluate(script))

    async def looks_on(self, width: int, scheme: Scheme) -> None:
        """Go on on another screen, by day (`light`) or by night."""
        await self.page.set_viewport_size({"width": width, "height": 800})
        await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    async def picture(self, name: str) -> None:
        """A picture for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@asynccontextmanager
async def a_buyer(browser: Browser, origin: str, **options: Any) -> AsyncIterator[Buyer]:
    """A buyer with a fresh profile; leaves without a fault or not at all."""
    context = await browser.new_context(reduced_motion="reduce", **options)
    buyer = watched(await context.new_page(), origin)
    try:
        yield buyer
        assert not buyer.faults, "\n".join(buyer.faults)
    finally:
        await context.close()


def watched(page: Page, origin: str, faults: list[str] | None = None) -> Buyer:
    """The page with its console, its errors and its requests under watch."""
    buyer = Buyer(page, origin, [] if faults is None else faults)
    page.set_default_timeout(WAIT_MS)

    def asked(request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme != "data" and f"{target.scheme}://{target.netloc}" != origin:
            buyer.faults.append(f"asked another origin: {request.url}")
        if request.method == "GET" and (EMAIL in request.url or "%40" in target.query):
            buyer.faults.append(f"typed data in an address: {request.url}")

    page.on("request", asked)
    page.on("pageerror", lambda error: buyer.faults.append(f"script: {error}"))
    page.on(
        "console",
        lambda said: (
            buyer.faults.append(f"console: {said.text} {said.location}")
            if said.type in ("error", "warning")
            else None
        ),
    )
    return buyer


def forgive(buyer: Buyer, *words: str) -> None:
    """Take faults off that the test itself provoked, such as the note of a 422 in the console."""
    buyer.faults[:] = [fault for fault in buyer.faults if not any(word in fault for word in words)]
