"""Rate limits: a burst at once, then a pace, and a bounded memory of who came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.rates import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_the_next_one_is_told_when_to_come():
    limit = RateLimit(10, 3, clock=Clock())

    waits = [limit.take("a") for _ in range(4)]

    assert waits[:3] == [0, 0, 0]
    assert 0 < waits[3] <= 0.1 + 1e-6


def test_keys_do_not_pay_for_each_other():
    limit = RateLimit(1, 1, clock=Clock())

    assert [limit.take("a"), limit.take("b")] == [0, 0]
    assert limit.take("a") > 0


def test_a_refused_request_takes_nothing():
    clock = Clock()
    limit = RateLimit(10, 1, clock=clock)
    limit.take("a")
    for _ in range(100):
        limit.take("a")

    clock.now += 0.1

    assert limit.take("a") == 0


def test_replicas_together_grant_what_one_alone_would():
    clock = Clock()
    limits = [RateLimit(10, 20, clock=clock) for _ in range(2)]
    for limit in limits:
        limit.share(2)

    at_once = sum(limit.take("a") == 0 for limit in limits for _ in range(50))
    clock.now += 1.0
    later = sum(limit.take("a") == 0 for limit in limits for _ in range(50))

    assert (at_once, later) == (20, 10)


def test_a_part_smaller_than_one_request_still_lets_one_pass_at_a_time():
    clock = Clock()
    limit = RateLimit(1, clock=clock)
    limit.share(3)

    assert limit.take("a") == 0
    assert limit.take("a") > 0
    clock.now += 3.0
    assert limit.take("a") == 0


def test_memory_is_bounded():
    limit = RateLimit(10, keys_max=100, clock=Clock())

    for number in range(1_000):
        limit.take(f"10.0.0.{number}")

    assert len(limit._next) == 100


@given(st.lists(st.floats(min_value=0, max_value=0.5), max_size=200))
def test_never_more_than_the_burst_and_the_pace_allow(pauses):
    clock = Clock()
    limit = RateLimit(20, 40, clock=clock)

    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += limit.take("a") == 0

    assert passed <= 40 + 20 * (clock.now - 1_000) + 1
