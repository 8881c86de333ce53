"""Signed words: what a rotation of the key may not break, and what it has to end."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from itsdangerous import BadSignature, SignatureExpired

from services.gateway import resolution, signing
from services.gateway.pages import guard, remembered
from services.gateway.signing import SecretKey
from shared import clock
from shared.clock import Clock
from shared.errors import Refusal

OLD, NEW = "old" * 12, "new" * 12
NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
ROTATING: SecretKey = [OLD, NEW]


def test_while_a_key_is_rotated_what_either_signed_is_read():
    for signer in (OLD, NEW):
        token = resolution.issue(signer, "pl_1", 3, NOON)
        form = guard.form_token(signer, "cs_1")
        cookie = remembered.seal(signer, "cs_1", {"email": "ada@example.com"})

        assert resolution.read(ROTATING, token, "pl_1", NOON).version == 3
        assert guard.nonce_of(ROTATING, form, "cs_1")
        assert remembered.opened(ROTATING, cookie, "cs_1") == {"email": "ada@example.com"}


def test_the_new_key_signs_so_that_the_old_one_can_be_taken_away():
    token = resolution.issue(ROTATING, "pl_1", 3, NOON)

    assert resolution.read(NEW, token, "pl_1", NOON).version == 3


def test_once_the_old_key_is_gone_its_words_are_worth_nothing():
    token = resolution.issue(OLD, "pl_1", 3, NOON)

    with pytest.raises(Refusal):
        resolution.read(NEW, token, "pl_1", NOON)


def test_words_of_one_kind_are_not_read_as_another():
    word = signing.signed(NEW, "one").dumps(["x"])

    with pytest.raises(BadSignature):
        signing.signed(NEW, "other").loads(word)


def test_their_age_is_told_by_the_databases_time(monkeypatch: pytest.MonkeyPatch):
    """A gateway whose clock is an hour behind must not take every form for one of the future."""
    words = signing.stamped(NEW, "form").dumps(["cs_1"])
    monkeypatch.setattr(clock, "CLOCK", Clock(wall=lambda: time.time() + 7_000))

    assert signing.stamped(NEW, "form").loads(words, max_age=7_200) == ["cs_1"]
    with pytest.raises(SignatureExpired):
        signing.stamped(NEW, "form").loads(words, max_age=6_900)
