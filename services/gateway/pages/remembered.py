"""What a buyer typed, kept by that buyer's own browser: a signed cookie for one session's pages.

Never anything of the card but the name on it. Nobody else who has the page's address sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from itsdangerous import BadData, URLSafeTimedSerializer

from services.gateway.gateway import GATEWAY
from services.gateway.pages import locales
from services.gateway.signing import SecretKey, stamped

COOKIE: Final = "flint_buyer"
KEPT_SECONDS: Final = 2 * 3600
VALUE_MAX: Final = 250  # characters
COOKIE_MAX: Final = 3_800  # browsers drop what is over 4 kB, name and attributes included
ADDRESS_PARTS: Final = ("name", "line1", "line2", "city", "state", "postal_code", "country")
KEPT: Final = (
    "email",
    "phone",
    "card_name",
    "accept_terms",
    *(f"{kind}.{part}" for kind in ("billing", "shipping") for part in ADDRESS_PARTS),
)
# Marks are ours to set: no field of a form, whatever it is called, becomes one.
PAYING: Final = "_paying"  # set by pressing pay, taken off by the receipt: this browser paid
ANSWERED: Final = "_answered"  # the answers to the merchant's questions came from this browser
_SALT: Final = "flint.buyer"


def recall(request: web.Request, checkout_session_id: str) -> dict[str, str]:
    """What this browser typed on this session's pages; nothing for a cookie that is not ours."""
    return opened(
        request.app[GATEWAY].secret_key, request.cookies.get(COOKIE, ""), checkout_session_id
    )


def keep(
    request: web.Request,
    answer: web.Response,
    checkout_session_id: str,
    values: Mapping[str, str],
    *marks: str,
) -> None:
    """Let the browser keep it. When it is too much, the addresses are left out."""
    secret_key = request.app[GATEWAY].secret_key
    if ANSWERED in recall(request, checkout_session_id):
        marks = (*marks, ANSWERED)
    sealed = seal(secret_key, checkout_session_id, values, *marks)
    if len(sealed) > COOKIE_MAX:
        short = {name: value for name, value in values.items() if "." not in name}
        sealed = seal(secret_key, checkout_session_id, short, *marks)
    _set(request, answer, COOKIE, sealed, checkout_session_id)


def keep_locale(
    request: web.Request, answer: web.Response, checkout_session_id: str, locale: str
) -> None:
    """The locale that was asked for by the link's address holds for the session's pages too."""
    _set(request, answer, locales.COOKIE, locale, checkout_session_id)


def seal(
    secret_key: SecretKey, checkout_session_id: str, values: Mapping[str, str], *marks: str
) -> str:
    """The cookie's text: signed, bound to the session, only the fields that may be kept."""
    kept = {name: values[name][:VALUE_MAX] for name in KEPT if values.get(name)}
    kept |= dict.fromkeys(marks, "1")
    return str(_signer(secret_key).dumps([checkout_session_id, kept]))


def opened(secret_key: SecretKey, sealed: str, checkout_session_id: str) -> dict[str, str]:
    """What a cookie says; nothing when it is forged, old, or another session's."""
    try:
        named, values = _signer(secret_key).loads(sealed, max_age=KEPT_SECONDS)
    except (BadData, ValueError, TypeError):
        return {}
    return dict(values) if named == checkout_session_id else {}


def _set(
    request: web.Request, answer: web.Response, name: str, value: str, checkout_session_id: str
) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=KEPT_SECONDS,
        path=f"/c/{checkout_session_id}",
        httponly=True,
        samesite="Lax",
        secure=request.app[GATEWAY].public_url.startswith("https://"),
    )


def _signer(secret_key: SecretKey) -> URLSafeTimedSerializer:
    return stamped(secret_key, _SALT)
