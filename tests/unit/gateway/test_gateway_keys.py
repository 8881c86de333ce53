"""API keys: how they are shown, refused, scoped and remembered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.gateway.accounts import domain
from services.gateway.accounts.cache import Cache
from services.gateway.accounts.domain import ApiKey
from shared.errors import Refusal
from tests.builders_gateway import NOON, ULID_A

SECRET = "flint_test_" + "0f" * 32
KEY = ApiKey(
    api_key_id=f"key_{ULID_A}",
    merchant_id=f"mer_{ULID_A}",
    mode_environment="test",
    name="tests",
    key_prefix=SECRET[: domain.PREFIX_LENGTH],
    scopes=("commerce.orders.read",),
    key_type="external",
    status="active",
    secret_hash=domain.hash_of(SECRET),
    created_at=NOON,
)


def code(call, *args):
    with pytest.raises(Refusal) as caught:
        call(*args)
    return caught.value.kind, caught.value.code


def test_a_secret_comes_as_bearer_or_in_its_own_header():
    assert domain.presented({"Authorization": f"Bearer {SECRET}"}) == SECRET
    assert domain.presented({"Authorization": f"bearer {SECRET}"}) == SECRET
    assert domain.presented({"X-API-Key": SECRET}) == SECRET


def test_both_at_once_are_refused_as_a_wrong_request():
    both = {"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET}

    assert code(domain.presented, both)[0] == "invalid"


def test_none_is_required():
    assert code(domain.presented, {}) == ("unauthenticated", "API_KEY_REQUIRED")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk_test_1"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": SECRET},
        {"X-API-Key": ""},
        {"X-API-Key": SECRET.upper()},
        {"X-API-Key": SECRET + "0"},
    ],
)
def test_a_malformed_key_is_as_unknown_as_an_unknown_one(headers):
    assert code(domain.presented, headers) == ("unauthenticated", "API_KEY_NOT_FOUND")


def test_only_the_right_active_unexpired_key_is_admitted():
    mine, other = KEY.secret_hash, domain.hash_of("x")
    expired = replace(KEY, expires_at=NOON)

    assert domain.admit(KEY, mine, NOON) == KEY
    assert domain.admit(expired, mine, NOON - timedelta(seconds=1)) == expired
    assert code(domain.admit, None, mine, NOON)[1] == "API_KEY_NOT_FOUND"
    assert code(domain.admit, KEY, other, NOON)[1] == "API_KEY_NOT_FOUND"
    assert code(domain.admit, replace(KEY, status="revoked"), mine, NOON)[1] == "API_KEY_REVOKED"
    assert code(domain.admit, expired, mine, NOON)[1] == "API_KEY_EXPIRED"


def test_a_scope_is_exact_and_all_is_everything():
    domain.permit(KEY, "commerce.orders.read")
    domain.permit(replace(KEY, scopes=("all",)), "commerce.orders.write")

    assert code(domain.permit, KEY, "commerce.orders.write") == ("forbidden", "SCOPE_REQUIRED")


def test_every_scope_of_the_contract_exists():
    assert {"all", "analytics.read", "checkouts.payment_links.write"} <= domain.SCOPES
    assert len(domain.SCOPES) == 33


class Reads:
    def __init__(self) -> None:
        self.count = 0
        self.now = 0.0

    async def load(self, key: str) -> str:
        self.count += 1
        await asyncio.sleep(0)
        return f"{key}{self.count}"

    def clock(self) -> float:
        return self.now


async def test_many_askers_share_one_read_and_it_is_kept_for_its_time():
    reads = Reads()
    cache = Cache(reads.load, seconds=2, clock=reads.clock)

    first = await asyncio.gather(*(cache.get("a") for _ in range(20)))
    reads.now = 1.9
    kept = await cache.get("a")
    reads.now = 2.0
    fresh = await cache.get("a")

    assert (set(first), kept, fresh) == ({"a1"}, "a1", "a2")


async def test_a_failed_read_is_not_kept():
    fails = [True]

    async def load(key: str) -> str:
        if fails.pop() if fails else False:
            raise ConnectionError("away")
        return key

    cache = Cache(load, seconds=2)
    with pytest.raises(ConnectionError):
        await cache.get("a")

    assert await cache.get("a") == "a"


async def test_the_memory_is_bounded():
    reads = Reads()
    cache = Cache(reads.load, seconds=60, size=10)

    for number in range(100):
        await cache.get(str(number))

    assert len(cache._kept) == 10
