"""Acknowledgements go together where nothing unsettled is before them, and alone where it is."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from shared.bus.acks import Acks


class Channel:
    """Keeps what was acknowledged, as a broker would count it."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bool]] = []

    async def basic_ack(self, delivery_tag: int, multiple: bool = False, wait: bool = True) -> None:
        assert not wait, "nobody waits for an acknowledgement"
        self.frames.append((delivery_tag, multiple))


async def test_what_is_settled_together_is_acknowledged_in_one_frame() -> None:
    acks = Acks(channel := Channel())
    for tag in (1, 2, 3):
        acks.taken(tag)

    for tag in (2, 1, 3):
        acks.settled(tag)
    await acks.written()

    assert channel.frames == [(3, True)]


async def test_one_behind_a_slow_delivery_goes_alone() -> None:
    acks = Acks(channel := Channel())
    for tag in (1, 2, 3):
        acks.taken(tag)

    acks.settled(2)
    acks.settled(3)
    await acks.written()
    acks.settled(1)
    await acks.written()

    assert channel.frames == [(2, False), (3, False), (1, False)]


async def test_a_delivery_given_back_is_never_acknowledged_with_the_others() -> None:
    acks = Acks(channel := Channel())
    for tag in (1, 2, 3):
        acks.taken(tag)

    acks.settled(1)
    acks.settled(3)
    await acks.written()
    acks.given_back(2)

    assert channel.frames == [(1, False), (3, False)]


@given(order=st.permutations(range(1, 13)), turns=st.sets(st.integers(1, 12)))
def test_in_any_order_each_is_acknowledged_once_and_none_before_it_is_settled(
    order: list[int], turns: set[int]
) -> None:
    async def settle_all() -> None:
        acks = Acks(channel := Channel())
        for tag in range(1, 13):
            acks.taken(tag)
        settled: set[int] = set()
        for number, tag in enumerate(order):
            acks.settled(tag)
            settled.add(tag)
            if number in turns:
                await acks.written()
                assert acknowledged(channel) <= settled
        await acks.written()
        assert acknowledged(channel) == set(range(1, 13))

    asyncio.run(settle_all())


def acknowledged(channel: Channel) -> set[int]:
    known: set[int] = set()
    for tag, is_multiple in channel.frames:
        fresh = set(range(1, tag + 1)) - known if is_multiple else {tag}
        assert not fresh & known, "a tag acknowledged twice closes the channel"
        known |= fresh
    return known
