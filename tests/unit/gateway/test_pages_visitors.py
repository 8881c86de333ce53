"""Who looks at a page, by what the request says of itself."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from services.gateway.pages.visitors import is_automatic
from tests.support.visitors import BOTS, BROWSERS


def asks(method: str = "GET", agent: str = BROWSERS["chrome"], **headers: str) -> bool:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return is_automatic(make_mocked_request(method, "/l/tea", {"User-Agent": agent, **said}))


@pytest.mark.parametrize("agent", BROWSERS.values(), ids=BROWSERS)
def test_a_browser_that_shows_the_page_is_a_person(agent: str):
    assert not asks(agent=agent)


@pytest.mark.parametrize("agent", BOTS.values(), ids=BOTS)
def test_preview_bots_crawlers_scanners_and_libraries_are_not(agent: str):
    assert asks(agent=agent)


def test_no_name_at_all_is_a_program():
    assert is_automatic(make_mocked_request("GET", "/l/tea"))
    assert asks(agent=" ")


def test_a_browser_that_only_asks_for_the_headers_shows_nothing():
    assert asks("HEAD")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"Sec_Purpose": "prefetch;anonymous-client-ip"},
        {"Purpose": "prefetch"},
        {"X_Purpose": "preview"},
        {"X_moz": "prefetch"},
    ],
)
def test_a_page_fetched_ahead_is_not_looked_at_yet(headers: dict[str, str]):
    assert asks(**headers)


def test_a_name_without_end_is_read_only_so_far():
    assert not asks(agent=BROWSERS["chrome"] + " " + "x" * 600 + " bot")
