"""Which 'no' is an answer for good, and which one is only of the moment."""

from __future__ import annotations

import pytest

from shared.bus.inbox import is_kept
from shared.errors import Refusal, not_found, required


@pytest.mark.parametrize("refusal", [Refusal("conflict", "ORDER_CLOSED", "."), required("email")])
def test_a_no_that_will_not_change_is_kept(refusal: Refusal) -> None:
    assert is_kept(refusal)


@pytest.mark.parametrize(
    "refusal",
    [
        not_found("order"),
        Refusal("rate_limited", "RATE_LIMIT_EXCEEDED", "."),
        Refusal("conflict", "IDEMPOTENCY_KEY_REUSED", "."),
    ],
)
def test_a_no_of_the_moment_is_not(refusal: Refusal) -> None:
    assert not is_kept(refusal)
