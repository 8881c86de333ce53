"""An `Idempotency-Key` becomes the id of the message it causes, so that the bus's inbox keeps it.

API retries and redelivery are thereby one mechanism: the same id is handled once and answered
the same for 24 h. The body's hash travels along, so that another body under the key is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from ulid import ULID

from shared.errors import invalid

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_NAMESPACE: Final = UUID("0b5f6f3c-93f5-4f0a-9d5e-6f6c696e7421")


@dataclass(frozen=True, slots=True)
class Once:
    """The identity of a write: its message id and what it was asked with."""

    message_id: str
    body_hash: str

    def attempt_id(self) -> str:
        """The payment attempt of this write: the same key is the same attempt, for ever."""
        digest = hashlib.sha256(f"attempt {self.message_id}".encode()).digest()
        return f"pi_{ULID.from_bytes(digest[:16])}"


def key_of(given: str | None) -> str | None:
    """The client's key, if there is one: 1 to 255 visible characters."""
    if given is not None and not _KEY.fullmatch(given):
        raise invalid(HEADER, f"The {HEADER} has to be 1 to 255 visible ASCII characters.")
    return given


def once(key: str, *scope: str, body: Any) -> Once:
    """The identity of a write under `key`; `scope` is merchant, mode, method and path."""
    return Once(str(uuid5(_NAMESPACE, json.dumps([*scope, key]))), hash_of(body))


def hash_of(body: Any) -> str:
    """SHA-256 of the JSON value: neither spaces nor the order of keys make another request."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
