"""Every page in every state, as a buyer sees it: PNGs in ./screenshots, and axe's opinion of each.

    python tests/browser/gallery.py [--axe] [--only NAME] [--out DIR]

No server: Playwright answers the browser's requests from the views below, headers included, so the
content security policy is in force too. Console errors, sideways scrolling and axe violations fail.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from services.gateway.pages.render import STATIC, render, security_headers  # noqa: E402
from tests.browser.samples import SAMPLES, Sample  # noqa: E402

ORIGIN = "https://flint.test"
NONCE = "c2FtcGxl"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Shot:
    sample: Sample
    width: int
    scheme: str

    @property
    def name(self) -> str:
        return f"{self.sample.name}-{self.width}-{self.scheme}"


def main() -> int:
    options = _options()
    out = ROOT / options.out
    out.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        faults = [
            f"{shot.name}: {fault}"
            for shot in _shots(options.only, axe=options.axe)
            for fault in _take(browser, shot, out, axe=options.axe)
        ]
    print("\n".join(faults) or "no faults")
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--axe", action="store_true", help="also check accessibility, at 320 px too"
    )
    parser.add_argument("--only", default="", help="samples whose name contains this")
    parser.add_argument("--out", default="screenshots")
    return parser.parse_args()


def _shots(only: str, *, axe: bool) -> Iterator[Shot]:
    widths = (1280, 375, 320) if axe else (1280, 375)
    for sample in SAMPLES:
        if only in sample.name:
            for width in widths:
                yield Shot(sample, width, "light")
                yield Shot(sample, width, "dark")


def _take(browser: Browser, shot: Shot, out: Path, *, axe: bool) -> list[str]:
    context = browser.new_context(
        viewport={"width": shot.width, "height": 860 if shot.width > 900 else 740},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        reduced_motion="reduce",
        bypass_csp=axe,  # axe is injected; the run without it proves the policy
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.route("**/*", lambda route: _answer(route, shot.sample))
    page.goto(f"{ORIGIN}/{shot.sample.name}", wait_until="load")
    for selector in shot.sample.clicks:
        page.click(selector)
    page.screenshot(path=out / f"{shot.name}.png", full_page=True)
    faults += _faults_of(page, axe=axe)
    context.close()
    return faults


def _answer(route: Route, sample: Sample) -> None:
    path = urlsplit(route.request.url).path
    if path.startswith("/static/"):
        asset = STATIC / Path(path).name
        route.fulfill(body=asset.read_bytes(), content_type=TYPES[asset.suffix])
    elif path == f"/{sample.name}":
        html = render(sample.template, sample.view, nonce=NONCE, locale=sample.locale)
        route.fulfill(body=html, headers=security_headers(NONCE), content_type="text/html")
    elif path.endswith("/status"):
        route.fulfill(body=": still waiting\n\n", content_type="text/event-stream")
    elif path.endswith("/visit"):
        route.fulfill(status=204)
    else:
        route.abort()


def _faults_of(page: Page, *, axe: bool) -> list[str]:
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    faults = [f"scrolls sideways by {overflow} px"] if overflow > 0 else []
    if axe:
        page.add_script_tag(path=AXE)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        faults += [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
    return faults


if __name__ == "__main__":
    sys.exit(main())
