"""Who a request speaks for: keys and merchant names, read from the gateway's own database."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from services.gateway.accounts import domain, store
from services.gateway.accounts.cache import Cache
from services.gateway.accounts.domain import ApiKey
from shared.contracts.types import ModeEnvironment
from shared.db.pool import Pool, connection
from shared.ids import new_id

KEY_SECONDS: Final = 2.0  # A revoked key works no longer than this.
NAME_SECONDS: Final = 60.0


class Directory:
    """Keys and merchant names, remembered for a moment."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keys: Cache[bytes, ApiKey | None] = Cache(self._key, seconds=KEY_SECONDS)
        self._names: Cache[str, str | None] = Cache(self._name, seconds=NAME_SECONDS)

    async def key_of(self, headers: Mapping[str, str], now: datetime) -> ApiKey:
        """The valid key a request shows; raises the refusal that says why there is none."""
        secret_hash = domain.hash_of(domain.presented(headers))
        return domain.admit(await self._keys.get(secret_hash), secret_hash, now)

    async def merchant_name(self, merchant_id: str) -> str:
        """What buyers know the merchant as; empty for an unknown one."""
        return await self._names.get(merchant_id) or ""

    async def _key(self, secret_hash: bytes) -> ApiKey | None:
        async with connection(self._pool) as db:
            key = await store.key_by_hash(db, secret_hash)
            if key is not None:
                await store.touch_key(db, key)
        return key

    async def _name(self, merchant_id: str) -> str | None:
        async with connection(self._pool) as db:
            return await store.merchant_name(db, merchant_id)


async def create_merchant(pool: Pool, name: str, now: datetime) -> str:
    """A new merchant; answers its id."""
    merchant_id = new_id("mer")
    async with connection(pool) as db:
        await store.add_merchant(db, merchant_id, name, now)
    return merchant_id


async def create_api_key(
    pool: Pool,
    merchant_id: str,
    mode: ModeEnvironment,
    scopes: Sequence[str],
    name: str,
    *,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can read again."""
    unknown = sorted(set(scopes) - domain.SCOPES)
    if unknown:
        raise ValueError(f"unknown scopes: {', '.join(unknown)}")
    secret = f"flint_{mode}_{secrets.token_hex(32)}"
    async with connection(pool) as db:
        key = await store.add_key(
            db,
            merchant_id=merchant_id,
            api_key_id=new_id("key"),
            secret_hash=domain.hash_of(secret),
            key_prefix=secret[: domain.PREFIX_LENGTH],
            mode=mode,
            name=name,
            scopes=list(scopes),
            expires_at=expires_at,
        )
    return key, secret


async def revoke_api_key(pool: Pool, merchant_id: str, api_key_id: str, now: datetime) -> bool:
    """Whether there was an active key to revoke; it stops working within `KEY_SECONDS`."""
    async with connection(pool) as db:
        return await store.revoke_key(db, merchant_id, api_key_id, now)
