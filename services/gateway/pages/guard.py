"""Who may post: a form that we rendered, from a page of ours.

Two walls. The browser says where the request comes from (Sec-Fetch-Site, Origin); and the form
carries a signed token that is bound to what it is about. The token's nonce names this rendering
of the form, so that sending it twice is one and the same act.
"""

from __future__ import annotations

import secrets
from typing import Final

from aiohttp import web
from itsdangerous import BadData, URLSafeTimedSerializer

from services.gateway.errors import Failure, Turned
from services.gateway.gateway import GATEWAY
from services.gateway.signing import SecretKey, stamped

TOKEN_SECONDS: Final = 26 * 3600  # longer than any session lives
_SALT: Final = "flint.form-token"


def refuse_foreign(request: web.Request) -> None:
    """Turn away what a page of another site sends.

    Our own pages say `no-referrer`, which makes browsers write `Origin: null` on a form's post:
    then only Sec-Fetch-Site tells, and where that is missing too, the token has to.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "null")
    is_foreign_site = site not in (None, "same-origin", "none")
    is_foreign_origin = origin != "null" and origin not in _own_origins(request)
    if is_foreign_site or is_foreign_origin:
        raise Turned(Failure(403, "FOREIGN_ORIGIN", "The form was sent from another site."))


def _own_origins(request: web.Request) -> tuple[str, ...]:
    return request.app[GATEWAY].public_url, f"http://{request.host}", f"https://{request.host}"


def form_token(secret_key: SecretKey, subject: str) -> str:
    """A fresh token for one rendering of a form about `subject`."""
    return str(_signer(secret_key).dumps([subject, secrets.token_urlsafe(16)]))


def nonce_of(secret_key: SecretKey, token: str, subject: str) -> str:
    """The nonce of a token of ours for this subject; anything else is turned away."""
    try:
        named, nonce = _signer(secret_key).loads(token, max_age=TOKEN_SECONDS)
    except (BadData, ValueError, TypeError):
        raise Turned(_EXPIRED) from None
    if named != subject:
        raise Turned(_EXPIRED)
    return str(nonce)


_EXPIRED: Final = Failure(403, "FORM_TOKEN_INVALID", "This form has expired.")


def _signer(secret_key: SecretKey) -> URLSafeTimedSerializer:
    return stamped(secret_key, _SALT)
