"""Refusal, outage or bug: one table decides what becomes of every failure (D5, D6, D8, P5)."""

from __future__ import annotations

import asyncpg
import pytest
from pydantic import TypeAdapter, ValidationError

from shared.bus.fate import (
    ATTEMPTS_MAX,
    RETRY_DELAYS_SECONDS,
    Fate,
    fate,
    retry_delay,
    retry_level,
)
from shared.bus.transport import NotConfirmed, RetryLater, Unroutable
from shared.db.pool import is_outage, reason
from shared.errors import DeadlineExceeded, Refusal, Unavailable


def a_validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(int).validate_python("four")
    return raised.value


REFUSAL = Refusal("conflict", "SOLD_OUT", "Nothing left.")

# Whatever says "the database is not there, or could not decide": trying the whole again helps.
DATABASE_OUTAGES = [
    asyncpg.ConnectionDoesNotExistError("gone in the middle"),  # D5: the first error
    asyncpg.InterfaceError("connection is closed"),  # D5: and what the rollback says then
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.TooManyConnectionsError("sorry"),
    asyncpg.AdminShutdownError("terminated by an administrator"),
    asyncpg.CrashShutdownError("another process crashed"),
    asyncpg.QueryCanceledError("statement timeout"),
    asyncpg.IdleInTransactionSessionTimeoutError("idle"),
    asyncpg.LockNotAvailableError("locked"),
    asyncpg.DiskFullError("full"),
    asyncpg.SerializationError("40001"),  # D6
    asyncpg.DeadlockDetectedError("40P01"),  # D6
    asyncpg.InvalidCachedStatementError("the table changed"),  # D8
    ConnectionRefusedError(111, "refused"),
    TimeoutError(),  # D1, D2
]
OUTAGES = [
    *DATABASE_OUTAGES,
    Unavailable("the provider is silent"),
    DeadlineExceeded("no answer"),
    NotConfirmed("no confirmation"),
    RetryLater("not now"),
]
BUGS = [
    KeyError("toy"),
    AssertionError("never"),
    asyncpg.UniqueViolationError("twice"),
    asyncpg.CheckViolationError("negative"),
    asyncpg.CharacterNotInRepertoireError("NUL"),
    asyncpg.DataError("out of range"),
    Unroutable("nobody is bound"),
]


def name_of(error: BaseException) -> str:
    return type(error).__name__


def test_success_is_acknowledged():
    assert fate(None, attempt=1) is Fate.ACK


@pytest.mark.parametrize("attempt", [1, ATTEMPTS_MAX, ATTEMPTS_MAX + 5])
def test_a_refusal_is_an_answer_and_never_retried(attempt: int):
    assert fate(REFUSAL, attempt=attempt) is Fate.REFUSE


@pytest.mark.parametrize("outage", OUTAGES, ids=name_of)
def test_an_outage_is_retried_until_the_attempts_are_used_up(outage: Exception):
    fates = [fate(outage, attempt=attempt) for attempt in range(1, ATTEMPTS_MAX + 2)]

    assert fates == [Fate.RETRY] * (ATTEMPTS_MAX - 1) + [Fate.BURY] * 2


@pytest.mark.parametrize("bug", BUGS, ids=name_of)
def test_a_bug_is_buried_at_once(bug: Exception):
    assert fate(bug, attempt=1) is Fate.BURY


def test_a_malformed_message_is_buried_at_once():
    assert fate(a_validation_error(), attempt=1) is Fate.BURY


@pytest.mark.parametrize("error", DATABASE_OUTAGES, ids=name_of)
def test_a_database_outage_is_told_from_a_bug_by_one_function(error: Exception):
    assert is_outage(error)


@pytest.mark.parametrize("error", [*BUGS, REFUSAL], ids=name_of)
def test_what_trying_again_cannot_mend_is_no_database_outage(error: Exception):
    assert not is_outage(error)


def test_the_delays_are_5_30_and_300_seconds_three_times_each():
    delays = [retry_delay(attempt) for attempt in range(1, ATTEMPTS_MAX)]

    assert RETRY_DELAYS_SECONDS == (5.0, 30.0, 300.0)
    assert delays == [5.0] * 3 + [30.0] * 3 + [300.0] * 3


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_longest_delay_is_the_last_there_is(levels: int):
    assert retry_level(ATTEMPTS_MAX, levels) == levels - 1


def test_a_database_error_is_named_without_the_values_it_echoes():
    class Echoing(asyncpg.UniqueViolationError):
        constraint_name = "customers_email"
        detail = "Key (email)=(ada@example.com) already exists."

    error = Echoing("duplicate key value (ada@example.com) violates a constraint")

    assert reason(error) == "Echoing sqlstate 23505 customers_email"
