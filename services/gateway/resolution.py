"""Resolution contexts: a signed word of ours that a buyer saw this version of this link.

Nothing is stored: the token carries the link, its version and a nonce, and lives two hours. The
nonce makes "the same page and the same choices again" one session, and a copied form useless
for another link.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from itsdangerous import BadData

from services.gateway.signing import SecretKey, signed
from shared.errors import Refusal

LIFETIME: Final = timedelta(hours=2)
_SALT: Final = "flint.resolution-context"


@dataclass(frozen=True, slots=True)
class ResolutionContext:
    """What the token says. `nonce` is 128 random bits and names this opening of the page."""

    payment_link_id: str
    version: int
    nonce: str
    issued_at: int  # unix seconds


def issue(secret_key: SecretKey, payment_link_id: str, version: int, now: datetime) -> str:
    """A fresh token for a page that shows this version of the link."""
    body = [payment_link_id, version, secrets.token_urlsafe(16), int(now.timestamp())]
    return str(signed(secret_key, _SALT).dumps(body))


def expires_at(now: datetime) -> datetime:
    """When a token issued now stops working."""
    return now + LIFETIME


def read(
    secret_key: SecretKey, token: str, payment_link_id: str, now: datetime
) -> ResolutionContext:
    """What a token says. A bad or other link's one is refused, an expired one to be renewed."""
    try:
        link_id, version, nonce, issued_at = signed(secret_key, _SALT).loads(token)
    except (BadData, ValueError, TypeError):
        raise _refused("INVALID", "The 'resolution_context' is not one of ours.") from None
    if link_id != payment_link_id:
        raise _refused("INVALID", "The 'resolution_context' belongs to another payment link.")
    if now.timestamp() - issued_at >= LIFETIME.total_seconds():
        raise _refused("REFRESH_REQUIRED", "The 'resolution_context' has expired.")
    return ResolutionContext(link_id, version, nonce, issued_at)


def required() -> Refusal:
    """The answer to a resolve without a context."""
    return _refused("REQUIRED", "The 'resolution_context' field is required.")


def _refused(why: str, message: str) -> Refusal:
    return Refusal(
        "invalid",
        f"PAYMENT_LINK_RESOLUTION_CONTEXT_{why}",
        message,
        param="resolution_context",
        next_actions=("Take a fresh resolution_context from GET …/public.",),
    )
