"""API keys: their shape, what they may do, and when they are refused. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts.types import ModeEnvironment
from shared.errors import Refusal, invalid

KeyType = Literal["internal", "external"]
KeyStatus = Literal["active", "revoked"]

SECRET: Final = re.compile(r"flint_(test|live)_[0-9a-f]{64}")
PREFIX_LENGTH: Final = len("flint_test_") + 8
_READ_WRITE: Final = (
    "checkouts.checkout_sessions",
    "checkouts.payment_links",
    "commerce.orders",
    "commerce.refunds",
    "commerce.coupons",
    "commerce.items",
    "commerce.subscription_plans",
    "commerce.subscriptions",
    "payments.payment_intents",
    "payments.payment_methods",
    "customers.customers",
    "webhooks.webhooks",
    "settings.settings",
    "accounts.api_keys",
    "analytics",
    "events.events",
)
SCOPES: Final = frozenset(
    {"all", *(f"{area}.{right}" for area in _READ_WRITE for right in ("read", "write"))}
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret: who it speaks for, in which mode, and what it may do."""

    api_key_id: str
    merchant_id: str
    mode_environment: ModeEnvironment
    name: str
    key_prefix: str
    scopes: tuple[str, ...]
    key_type: KeyType
    status: KeyStatus
    secret_hash: bytes
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


def presented(headers: Mapping[str, str]) -> str:
    """The secret a request shows; refuses two at once, none, and anything of another shape."""
    bearer, plain = headers.get("Authorization"), headers.get("X-API-Key")
    if bearer is not None and plain is not None:
        raise invalid("X-API-Key", "Send either the Authorization or the X-API-Key header.")
    if bearer is None and plain is None:
        raise _unauthenticated("API_KEY_REQUIRED", "An API key is required.")
    scheme, _, token = (bearer or f"Bearer {plain}").partition(" ")
    secret = token.strip()
    if scheme.lower() != "bearer" or not SECRET.fullmatch(secret):
        raise unknown_key()
    return secret


def hash_of(secret: str) -> bytes:
    """SHA-256: a plain fast hash is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def admit(key: ApiKey | None, secret_hash: bytes, now: datetime) -> ApiKey:
    """The key, if it is the one presented, not revoked and not expired."""
    if key is None or not hmac.compare_digest(key.secret_hash, secret_hash):
        raise unknown_key()
    if key.status == "revoked":
        raise _unauthenticated("API_KEY_REVOKED", "This API key has been revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise _unauthenticated("API_KEY_EXPIRED", "This API key has expired.")
    return key


def permit(key: ApiKey, scope: str) -> None:
    """Refuse what the key has no scope for. `write` does not include `read`."""
    if scope not in key.scopes and "all" not in key.scopes:
        raise Refusal(
            "forbidden",
            "SCOPE_REQUIRED",
            f"This API key lacks the scope '{scope}'.",
            next_actions=(f"Use a key with the scope '{scope}' or 'all'.",),
        )


def unknown_key() -> Refusal:
    """One answer for malformed and unknown keys."""
    return _unauthenticated("API_KEY_NOT_FOUND", "There is no such API key.")


def _unauthenticated(code: str, message: str) -> Refusal:
    return Refusal("unauthenticated", code, message)
