"""When a backup may be taken: everything that was published before has certainly been heard."""

from __future__ import annotations

from services.snapshots import CLOSED, Calm
from shared.bus.topology import QueueSpec

SPECS = [
    QueueSpec(name, "quorum", ())
    for name in ("orders.in", "orders.in.retry.1", "orders.in.parking", "orders.rpc", "links.in")
]
EMPTY = {"orders.in": 0, "orders.in.retry.1": 0, "links.in": 0}


def test_it_waits_as_long_as_a_message_can_be_held():
    calm = Calm(SPECS, 65)

    assert not calm.see(EMPTY, 100)
    assert not calm.see(EMPTY, 164.9)
    assert calm.see(EMPTY, 165)


def test_each_queue_has_to_be_seen_empty_once_and_not_at_the_same_time():
    calm = Calm(SPECS, 0)

    assert not calm.see(EMPTY | {"orders.in": 7}, 1)
    assert calm.see(EMPTY | {"links.in": 3}, 2)


def test_a_retry_under_way_begins_it_all_again():
    """It comes back to its queue later, behind what was published after the beginning."""
    calm = Calm(SPECS, 10)

    calm.see(EMPTY, 1)
    assert not calm.see(EMPTY | {"orders.in.retry.1": 1}, 9)
    assert not calm.see(EMPTY | {"orders.in": 1}, 20)
    assert not calm.see(EMPTY, 30)
    assert calm.see(EMPTY, 40)


def test_questions_and_dead_letters_are_waited_for_by_nobody():
    calm = Calm(SPECS, 0)

    assert calm.taken == {"orders.in", "links.in"}
    assert calm.delayed == {"orders.in.retry.1"}


def test_every_service_is_closed_for_the_moment():
    assert set(CLOSED) == {"links", "sessions", "orders", "gateway"}
