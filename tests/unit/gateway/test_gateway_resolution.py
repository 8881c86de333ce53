"""Resolution contexts: ours, for this link, for two hours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.gateway import resolution
from shared.errors import Refusal
from tests.builders_gateway import NOON, SECRET_KEY, ULID_A, ULID_B

LINK = f"pl_{ULID_A}"


def test_a_context_says_which_version_of_which_link_was_seen():
    token = resolution.issue(SECRET_KEY, LINK, 7, NOON)

    read = resolution.read(SECRET_KEY, token, LINK, NOON)

    assert (read.payment_link_id, read.version) == (LINK, 7)
    assert len(read.nonce) >= 22  # 128 bits in base64


def test_two_openings_of_the_page_are_two_contexts():
    first, second = (
        resolution.read(SECRET_KEY, resolution.issue(SECRET_KEY, LINK, 1, NOON), LINK, NOON)
        for _ in range(2)
    )

    assert first.nonce != second.nonce


def test_it_works_for_two_hours_and_not_a_second_longer():
    token = resolution.issue(SECRET_KEY, LINK, 1, NOON)
    last = NOON + timedelta(hours=2) - timedelta(seconds=1)

    assert resolution.read(SECRET_KEY, token, LINK, last)
    assert resolution.expires_at(NOON) == NOON + timedelta(hours=2)
    with pytest.raises(Refusal, match="expired") as caught:
        resolution.read(SECRET_KEY, token, LINK, NOON + timedelta(hours=2))
    assert caught.value.code == "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED"


def test_another_links_context_is_refused():
    token = resolution.issue(SECRET_KEY, LINK, 1, NOON)

    with pytest.raises(Refusal, match="another payment link"):
        resolution.read(SECRET_KEY, token, f"pl_{ULID_B}", NOON)


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: "x" + t, lambda _: "", lambda _: "a.b"]
)
def test_a_changed_context_is_refused(spoil):
    token = spoil(resolution.issue(SECRET_KEY, LINK, 1, NOON))

    with pytest.raises(Refusal) as caught:
        resolution.read(SECRET_KEY, token, LINK, NOON)

    assert caught.value.code == "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID"


def test_a_context_signed_with_another_secret_is_refused():
    token = resolution.issue("another secret", LINK, 1, NOON)

    with pytest.raises(Refusal):
        resolution.read(SECRET_KEY, token, LINK, NOON)
