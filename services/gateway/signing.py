"""Signed words of ours: page contexts, form tokens, cookies and list cursors.

Each kind has a salt of its own, so that none can be passed off as another. While a key is being
rotated two are read and the new one signs, so that no page a buyer has open stops working.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from itsdangerous import TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from shared import clock

# One key; or several, of which the last one signs.
SecretKey: TypeAlias = str | list[str]


class _Signer(TimestampSigner):
    """Stamps and reads the time as all of Flint does, not as this machine's clock."""

    def get_timestamp(self) -> int:
        return int(clock.unix_seconds())


_SIGNER: Final[Any] = _Signer


def signed(secret_key: SecretKey, salt: str) -> URLSafeSerializer:
    """Words without an age."""
    return URLSafeSerializer(secret_key, salt=salt)


def stamped(secret_key: SecretKey, salt: str) -> URLSafeTimedSerializer:
    """Words that are too old some time after they were signed."""
    return URLSafeTimedSerializer(secret_key, salt=salt, signer=_SIGNER)
