"""An outcome that stays unknown: a person is told, again and again, and nothing else happens."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.payments import ChargePayment
from tests.builders_orders import NOON
from tests.builders_payments import Case, charging, limited

MINUTE = timedelta(minutes=1)


def overdue_minutes(case: Case, *minutes: int) -> list[int]:
    """Those of the minutes, of which each brings no answer, in which a person is told."""
    told = []
    for minute in minutes:
        case = case.hear("unknown", now=NOON + minute * MINUTE)
        told += [minute] if case.last.is_overdue else []
        assert case.facts == []
        assert ChargePayment not in case.sweep(NOON + minute * MINUTE).calls
    return told


def test_a_person_is_told_after_ten_minutes_and_then_every_hour():
    assert overdue_minutes(charging(), *range(200)) == [10, 70, 130, 190]


@pytest.mark.parametrize("outcome", ["pending", "action_required"])
def test_a_provider_that_knows_the_payment_is_not_silent(outcome: str):
    case = charging().hear("unknown")
    known = case.hear(outcome, now=NOON + 9 * MINUTE, redirect_url="https://bank.example/3ds")

    assert overdue_minutes(known, *range(10, 30)) == [20]


def test_an_unknown_void_is_told_of_like_an_unknown_charge():
    case = limited().hear("authorized").place("EVENT_SOLD_OUT")

    assert overdue_minutes(case, *range(15)) == [10]
