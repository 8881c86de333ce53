"""The time that is stored and compared: the machine's own, unless the database knows better."""

from __future__ import annotations

import pytest

from shared.clock import Clock

HOUR = 3_600.0
NOON = 1_800_000_000.0


class Machine:
    """A machine whose two clocks are ours to set."""

    def __init__(self) -> None:
        self.wall = NOON
        self.steady = 50.0
        self.clock = Clock(wall=lambda: self.wall, steady=lambda: self.steady)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_before_any_database_was_asked_the_machine_is_believed(machine: Machine):
    assert machine.clock.seconds() == NOON
    assert machine.clock.ahead_seconds() == 0


def test_a_clock_that_agrees_is_used_to_the_microsecond(machine: Machine):
    machine.clock.learn(NOON + 1.9, asked_at=machine.steady)

    assert machine.clock.seconds() == NOON
    assert machine.clock.ahead_seconds() == 0


@pytest.mark.parametrize("off", [HOUR, -HOUR, 3.0])
def test_a_wrong_clock_is_not_used(machine: Machine, off: float):
    machine.wall += off

    machine.clock.learn(NOON, asked_at=machine.steady)
    machine.passes(60)

    assert machine.clock.seconds() == NOON + 60
    assert machine.clock.ahead_seconds() == off


def test_a_clock_that_is_set_while_we_run_changes_nothing(machine: Machine):
    machine.clock.learn(NOON, asked_at=machine.steady)

    machine.wall -= HOUR
    machine.passes(10)

    assert machine.clock.seconds() == NOON + 10
    assert machine.clock.ahead_seconds() == -HOUR


def test_a_clock_that_was_mended_is_used_again(machine: Machine):
    machine.wall += HOUR
    machine.clock.learn(NOON, asked_at=machine.steady)

    machine.wall = NOON + 0.5

    assert machine.clock.seconds() == NOON + 0.5
    assert machine.clock.ahead_seconds() == 0


def test_an_answer_counts_for_the_middle_of_its_way(machine: Machine):
    machine.wall += HOUR
    asked_at = machine.steady
    machine.passes(0.8)

    machine.clock.learn(NOON, asked_at)

    assert machine.clock.seconds() == pytest.approx(NOON + 0.4, abs=1e-3)


def test_an_answer_that_took_too_long_tells_nothing(machine: Machine):
    asked_at = machine.steady
    machine.passes(1.1)

    machine.clock.learn(NOON - HOUR, asked_at)

    assert machine.clock.seconds() == machine.wall
