"""Tokens, cookies and addresses: what is ours, what is not, and what a browser may keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.errors import Turned
from services.gateway.gateway import GATEWAY, Gateway
from services.gateway.pages import guard, remembered
from services.gateway.pages.answer import own_path, see_other
from services.gateway.pages.locales import accepted, known_tag, locale_of
from shared import clock
from shared.clock import Clock
from tests.builders_pages import SESSION

SECRET = "a secret of at least thirty-two characters"
OTHER = "cs_01JBBBBBBBBBBBBBBBBBBBBBBB"
OURS = "https://pay.example.com"


def a_gateway() -> Gateway:
    nothing: Any = None
    return Gateway(caller=nothing, pool=nothing, secret_key=SECRET, public_url=OURS)


def a_request(method: str = "POST", path: str = "/", **headers: str) -> web.Request:
    app = web.Application()
    app[GATEWAY] = a_gateway()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, path, headers=named, app=app)


# ---- where a form comes from ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OURS},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_our_own_page_passes(headers: Mapping[str, str]):
    guard.refuse_foreign(a_request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://pay.example.com.evil.example"},
        {"Origin": OURS, "Sec_Fetch_Site": "cross-site"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_turned_away(headers: Mapping[str, str]):
    with pytest.raises(Turned) as turned:
        guard.refuse_foreign(a_request(**headers))

    assert turned.value.failure.status == 403


# ---- form tokens ---------------------------------------------------------------------------------


def test_a_token_opens_for_its_subject_and_names_one_rendering():
    one, two = guard.form_token(SECRET, SESSION), guard.form_token(SECRET, SESSION)

    assert guard.nonce_of(SECRET, one, SESSION) == guard.nonce_of(SECRET, one, SESSION)
    assert guard.nonce_of(SECRET, one, SESSION) != guard.nonce_of(SECRET, two, SESSION)


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", guard.form_token(SECRET, OTHER), guard.form_token("other " * 8, SESSION)],
    ids=["none", "one word", "three words", "another session's", "another key's"],
)
def test_any_other_token_is_turned_away(token: str):
    with pytest.raises(Turned):
        guard.nonce_of(SECRET, token, SESSION)


@given(st.text(max_size=200))
def test_no_text_whatever_passes_for_a_token(text: str):
    with pytest.raises(Turned):
        guard.nonce_of(SECRET, text, SESSION)


def test_a_token_older_than_any_session_is_turned_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "CLOCK", Clock(wall=lambda: 1_000_000_000.0))
    token = guard.form_token(SECRET, SESSION)
    monkeypatch.undo()

    with pytest.raises(Turned):
        guard.nonce_of(SECRET, token, SESSION)


# ---- the buyer's cookie --------------------------------------------------------------------------


def test_a_browser_gets_back_what_it_typed_and_nothing_of_the_card():
    typed = {"email": "ada@example.com", "card_name": "Ada", "billing.city": "London"}
    secrets = {"card_number": "4242424242424242", "card_exp": "12/30", "card_cvc": "123"}

    sealed = remembered.seal(SECRET, SESSION, typed | secrets | {"anything": "else"})

    assert remembered.opened(SECRET, sealed, SESSION) == typed


def test_a_mark_is_never_made_of_a_form_s_field_and_stays_when_more_is_kept():
    forged = remembered.seal(SECRET, SESSION, {remembered.ANSWERED: "1"})
    marked = remembered.seal(SECRET, SESSION, {}, remembered.ANSWERED)
    request, answer = a_request(Cookie=f"{remembered.COOKIE}={marked}"), web.Response()

    remembered.keep(request, answer, SESSION, {"email": "ada@example.com"}, remembered.PAYING)

    assert remembered.opened(SECRET, forged, SESSION) == {}
    kept = remembered.opened(SECRET, answer.cookies[remembered.COOKIE].value, SESSION)
    assert kept.keys() == {"email", remembered.PAYING, remembered.ANSWERED}


def test_a_cookie_of_another_session_or_signature_says_nothing():
    sealed = remembered.seal(SECRET, SESSION, {"email": "ada@example.com"})

    assert remembered.opened(SECRET, sealed, OTHER) == {}
    assert remembered.opened("other " * 8, sealed, SESSION) == {}
    tampered = ("A" if sealed[0] != "A" else "B") + sealed[1:]
    assert remembered.opened(SECRET, tampered, SESSION) == {}
    assert remembered.opened(SECRET, guard.form_token(SECRET, SESSION), SESSION) == {}


def test_an_old_cookie_says_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "CLOCK", Clock(wall=lambda: 1_000_000_000.0))
    sealed = remembered.seal(SECRET, SESSION, {"email": "ada@example.com"})
    monkeypatch.undo()

    assert remembered.opened(SECRET, sealed, SESSION) == {}


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_the_cookie(text: str):
    assert remembered.opened(SECRET, text, SESSION) == {}


def test_the_cookie_is_for_this_session_s_pages_and_for_no_script():
    request, answer = a_request(), web.Response()

    remembered.keep(request, answer, SESSION, {"email": "ada@example.com"})

    cookie = answer.cookies[remembered.COOKIE]
    assert cookie["path"] == f"/c/{SESSION}"
    assert cookie["httponly"] is True
    assert cookie["secure"] is True
    assert cookie["samesite"] == "Lax"


def test_a_cookie_too_big_for_browsers_leaves_the_addresses_out():
    noise = {f"{kind}.{part}": f"{i}{part}" * 60 for i, kind in enumerate(("billing", "shipping"))
             for part in remembered.ADDRESS_PARTS}  # fmt: skip
    wild = {name: "".join(chr(0x4E00 + (n * 7919 + len(name) * 13) % 20_000) for n in range(250))
            for name in noise}  # fmt: skip
    request, answer = a_request(), web.Response()

    remembered.keep(request, answer, SESSION, {"email": "ada@example.com"} | wild)

    sealed = answer.cookies[remembered.COOKIE].value
    assert len(sealed) <= remembered.COOKIE_MAX
    assert remembered.opened(SECRET, sealed, SESSION) == {"email": "ada@example.com"}


# ---- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, path",
    [
        (f"{OURS}/c/{SESSION}/return", f"/c/{SESSION}/return"),
        (f"{OURS}//evil.example/x", None),
        (f"{OURS}.evil.example/x", None),
        ("https://bank.example/3ds", None),
        (OURS, None),
        ("", None),
        (None, None),
    ],
)
def test_only_an_address_of_ours_becomes_a_path(url: str | None, path: str | None):
    assert own_path(a_gateway(), url) == path


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example/", ""])
def test_we_redirect_to_nobody_else(path: str):
    with pytest.raises(AssertionError):
        see_other(path)


# ---- locales -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, locale",
    [
        ("de-CH,de;q=0.9,en;q=0.8", "de_CH"),
        ("en;q=0.5,fr;q=0.9", "fr"),
        ("xx,ja;q=0.5", "ja"),
        ("en-US,en;q=0.9", "en_US"),
        ("*", "en"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("de;q=x,fr", "fr"),
        ("", "en"),
    ],
)
def test_the_first_language_we_can_count_in_is_taken(header: str, locale: str):
    assert accepted(header) == locale


@given(st.text(max_size=300))
def test_no_header_whatever_breaks_a_page(header: str):
    assert accepted(header)
    assert known_tag(header) is None or header.isascii()


def test_a_locale_asked_for_by_name_wins_over_the_browser_s():
    asked = a_request("GET", "/l/tea?locale=fr", Accept_Language="de")
    nonsense = a_request("GET", "/l/tea?locale=nonsense", Accept_Language="de")

    assert locale_of(asked) == "fr"
    assert locale_of(nonsense) == "de"
