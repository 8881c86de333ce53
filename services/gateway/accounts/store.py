"""All SQL of merchants and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.gateway.accounts.domain import ApiKey
from shared.db.pool import Connection, Record

ADD_MERCHANT: Final = """
    INSERT INTO merchants (merchant_id, name, created_at) VALUES ($1, $2, $3)
"""
MERCHANT_NAME: Final = """
    SELECT name FROM merchants WHERE merchant_id = $1
"""
ADD_KEY: Final = """
    INSERT INTO api_keys (merchant_id, api_key_id, secret_hash, key_prefix, mode_environment,
                          name, scopes, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING merchant_id, api_key_id, secret_hash, key_prefix, mode_environment, name, scopes,
              key_type, status, expires_at, last_used_at, created_at
"""
KEY_BY_HASH: Final = """
    SELECT merchant_id, api_key_id, secret_hash, key_prefix, mode_environment, name, scopes,
           key_type, status, expires_at, last_used_at, created_at
    FROM api_keys WHERE secret_hash = $1
"""
REVOKE_KEY: Final = """
    UPDATE api_keys SET status = 'revoked', updated_at = $3
    WHERE merchant_id = $1 AND api_key_id = $2 AND status = 'active'
"""
# To the minute is exact enough, and keeps a busy key from writing its row all day.
TOUCH_KEY: Final = """
    UPDATE api_keys SET last_used_at = now()
    WHERE merchant_id = $1 AND api_key_id = $2
      AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


async def add_merchant(db: Connection, merchant_id: str, name: str, now: datetime) -> None:
    """A new merchant."""
    await db.execute(ADD_MERCHANT, merchant_id, name, now)


async def merchant_name(db: Connection, merchant_id: str) -> str | None:
    """The name a buyer sees, or None for an unknown merchant."""
    name: str | None = await db.fetchval(MERCHANT_NAME, merchant_id)
    return name


async def add_key(
    db: Connection,
    *,
    merchant_id: str,
    api_key_id: str,
    secret_hash: bytes,
    key_prefix: str,
    mode: str,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> ApiKey:
    """A new key; its secret is not stored."""
    row = await db.fetchrow(
        ADD_KEY,
        merchant_id,
        api_key_id,
        secret_hash,
        key_prefix,
        mode,
        name,
        scopes,
        expires_at,
    )
    assert row is not None, "INSERT … RETURNING gives its row"
    return _key(row)


async def key_by_hash(db: Connection, secret_hash: bytes) -> ApiKey | None:
    """The key with this secret, whatever its status."""
    row = await db.fetchrow(KEY_BY_HASH, secret_hash)
    return _key(row) if row else None


async def revoke_key(db: Connection, merchant_id: str, api_key_id: str, now: datetime) -> bool:
    """Whether there was an active key to revoke."""
    done: str = await db.execute(REVOKE_KEY, merchant_id, api_key_id, now)
    return done == "UPDATE 1"


async def touch_key(db: Connection, key: ApiKey) -> None:
    """Remember that it was used, at most once a minute."""
    await db.execute(TOUCH_KEY, key.merchant_id, key.api_key_id)


def _key(row: Record) -> ApiKey:
    return ApiKey(
        api_key_id=row["api_key_id"],
        merchant_id=row["merchant_id"],
        mode_environment=row["mode_environment"],
        name=row["name"],
        key_prefix=row["key_prefix"],
        scopes=tuple(row["scopes"]),
        key_type=row["key_type"],
        status=row["status"],
        secret_hash=row["secret_hash"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
