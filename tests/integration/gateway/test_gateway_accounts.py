"""Merchants and keys in the real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.gateway.accounts import directory
from services.gateway.accounts.directory import (
    Directory,
    create_api_key,
    create_merchant,
    revoke_api_key,
)
from shared.db.pool import Pool, connection
from shared.errors import Refusal
from tests.builders_gateway import NOON


async def a_key(pool: Pool, **kwargs):
    merchant_id = await create_merchant(pool, "Corner Tea", NOON)
    key, secret = await create_api_key(pool, merchant_id, "live", ["all"], "till", **kwargs)
    return key, {"X-API-Key": secret}


async def test_a_new_key_speaks_for_its_merchant_and_mode(pool: Pool):
    made, shown = await a_key(pool)

    found = await Directory(pool).key_of(shown, NOON)

    assert (found.merchant_id, found.mode_environment) == (made.merchant_id, "live")
    assert shown["X-API-Key"].startswith(found.key_prefix)
    assert len(found.key_prefix) == 19


async def test_the_secret_is_nowhere_in_the_database(pool: Pool):
    _, shown = await a_key(pool)

    async with connection(pool) as db:
        row = await db.fetchval("SELECT string_agg(k::text, ' ') FROM api_keys AS k")

    assert shown["X-API-Key"][19:] not in row


async def test_a_revoked_key_ends_within_two_seconds(pool: Pool, monkeypatch):
    assert directory.KEY_SECONDS <= 2
    monkeypatch.setattr(directory, "KEY_SECONDS", 0.0)
    key, shown = await a_key(pool)
    accounts = Directory(pool)
    await accounts.key_of(shown, NOON)

    assert await revoke_api_key(pool, key.merchant_id, key.api_key_id, NOON)

    with pytest.raises(Refusal) as caught:
        await accounts.key_of(shown, NOON)
    assert caught.value.code == "API_KEY_REVOKED"
    assert not await revoke_api_key(pool, key.merchant_id, key.api_key_id, NOON)


async def test_an_expired_key_ends_at_its_time(pool: Pool):
    _, shown = await a_key(pool, expires_at=NOON)
    accounts = Directory(pool)

    await accounts.key_of(shown, NOON - timedelta(seconds=1))

    with pytest.raises(Refusal) as caught:
        await accounts.key_of(shown, NOON)
    assert caught.value.code == "API_KEY_EXPIRED"


async def test_use_is_remembered_to_the_minute(pool: Pool, monkeypatch):
    monkeypatch.setattr(directory, "KEY_SECONDS", 0.0)
    _, shown = await a_key(pool)
    accounts = Directory(pool)
    written = "SELECT last_used_at, xmin::text FROM api_keys"

    await accounts.key_of(shown, NOON)
    async with connection(pool) as db:
        first = await db.fetchrow(written)
    await accounts.key_of(shown, NOON)
    async with connection(pool) as db:
        second = await db.fetchrow(written)

    assert first is not None
    assert first["last_used_at"] is not None
    assert first == second


async def test_a_scope_that_does_not_exist_makes_no_key(pool: Pool):
    merchant_id = await create_merchant(pool, "Corner Tea", NOON)

    with pytest.raises(ValueError, match="orders"):
        await create_api_key(pool, merchant_id, "test", ["orders"], "x")


async def test_the_name_of_nobody_is_empty(pool: Pool):
    key, _ = await a_key(pool)
    accounts = Directory(pool)

    assert await accounts.merchant_name(key.merchant_id) == "Corner Tea"
    assert await accounts.merchant_name("mer_nobody") == ""
