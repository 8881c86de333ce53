"""How a session ends, and that it ends once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.sessions.domain import Session
from shared.contracts.orders import OrderPaid, OrderUpdated
from shared.contracts.sessions import (
    SessionClosed,
    SessionCompleted,
    SessionExpired,
    SessionInvalidated,
)
from shared.errors import Refusal
from tests.builders_links import NOON
from tests.builders_sessions import (
    DAY,
    LATER,
    a_session,
    cs,
    failed,
    paid_through,
    paying_session,
    said_of_order,
)


def test_a_paid_order_completes_its_session_once():
    session, facts = paying_session().order_paid(paid_through(1, "pi_1"), LATER)
    again, silence = session.order_paid(paid_through(1, "pi_1"), LATER)

    assert [type(fact) for fact in facts] == [SessionCompleted]
    assert (session.status, session.terminal_reason) == ("paid", "payment_succeeded")
    assert session.completed_at == LATER
    assert facts[0].previous == {
        "status": "open",
        "terminal_reason": None,
        "is_payment_in_progress": True,
        "payment_intent_ids": [],
        "completed_at": None,
    }
    assert (again, silence) == (session, [])


def test_an_order_that_owed_nothing_is_paid_without_a_payment():
    session, _ = paying_session().order_paid(paid_through(1, "pi_1", amount=0), LATER)

    assert (session.terminal_reason, session.payment_intent_ids) == ("no_payment_required", ())


def test_money_of_an_attempt_that_was_given_up_still_pays():
    session, _ = failed(paying_session("pi_1"))
    session, facts = session.order_paid(paid_through(1, "pi_1"), LATER)

    assert [type(fact) for fact in facts] == [SessionCompleted]
    assert session.attempt is not None
    assert (session.attempt.status, session.attempt.failure_code) == ("succeeded", None)


def test_an_order_paid_elsewhere_leaves_nothing_to_pay_here():
    elsewhere = said_of_order(OrderPaid, paid_session_id=cs(2), attempt_id="pi_2", paid_money=1200)

    session, facts = a_session().order_paid(elsewhere, LATER)

    assert [type(fact) for fact in facts] == [SessionInvalidated]
    assert session.terminal_reason == "order_paid_elsewhere"


def test_an_end_waits_for_the_payment_in_flight_and_happens_when_it_fails():
    session, facts = paying_session().invalidate("order_closed", NOON)
    repeated, _ = session.invalidate("order_paid_elsewhere", NOON)

    ended, told = failed(repeated)

    assert (session.status, facts) == ("open", [])
    assert repeated is session
    assert (ended.status, ended.terminal_reason) == ("invalidated", "order_closed")
    assert [type(fact) for fact in told] == [SessionInvalidated]


def test_an_end_that_waits_is_forgotten_when_the_payment_succeeds():
    session, _ = paying_session().invalidate("order_closed", NOON)

    session, facts = session.order_paid(paid_through(1, "pi_1"), LATER)

    assert (session.status, session.owed_end) == ("paid", None)
    assert [type(fact) for fact in facts] == [SessionCompleted]


def test_time_runs_out_only_at_its_time_and_never_under_a_payment():
    session, late = a_session(), NOON + DAY

    assert session.expire(late - timedelta(seconds=1)) == (session, [])
    assert paying_session().expire(late)[0].status == "open"
    expired, facts = session.expire(late)

    assert (expired.status, expired.expired_at) == ("expired", late)
    assert [type(fact) for fact in facts] == [SessionExpired]
    assert expired.expire(late) == (expired, [])


def test_closing_repeats_safely_and_keeps_the_first_reason():
    closed, facts = a_session().close("sold in the shop", NOON)

    assert [type(fact) for fact in facts] == [SessionClosed]
    assert (closed.terminal_reason, closed.closed_reason) == ("api", "sold in the shop")
    assert closed.close("again", LATER) == (closed, [])


@pytest.mark.parametrize(
    "session, code",
    [
        (paying_session(), "CHECKOUT_PAYMENT_RESOLVING"),
        (a_session().expire(NOON + DAY)[0], "CHECKOUT_SESSION_NOT_OPEN"),
        (a_session().invalidate("superseded", NOON)[0], "CHECKOUT_SESSION_NOT_OPEN"),
    ],
)
def test_what_is_not_merely_open_cannot_be_closed(session: Session, code: str):
    with pytest.raises(Refusal) as caught:
        session.close(None, NOON)

    assert (caught.value.kind, caught.value.code) == ("conflict", code)


def test_a_deactivated_link_takes_its_idle_sessions_along():
    closed, facts = a_session().close_with_link(NOON)

    assert (closed.status, [type(fact) for fact in facts]) == ("closed", [SessionClosed])
    assert paying_session().close_with_link(NOON)[1] == []
    assert closed.close_with_link(NOON) == (closed, [])


def test_a_newer_session_takes_over_unless_a_payment_is_in_flight():
    assert a_session().supersede(NOON)[0].terminal_reason == "superseded"
    with pytest.raises(Refusal, match="being processed"):
        paying_session().supersede(NOON)


def test_only_a_newer_revision_of_the_order_changes_what_is_due():
    newer = said_of_order(OrderUpdated, revision=3, balance_money=900)
    older = said_of_order(OrderUpdated, revision=2, balance_money=1500)

    session = a_session().order_revised(newer, LATER).order_revised(older, LATER)

    assert (session.amount_money.amount, session.order_revision) == (900, 3)


def test_an_ended_session_keeps_the_amount_it_ended_with():
    ended, _ = a_session().close(None, NOON)

    assert ended.order_revised(said_of_order(OrderUpdated, revision=9), LATER) is ended


def test_metadata_merges_in_every_status():
    session = replace(a_session(), metadata={"a": "1", "b": "2"})
    ended, _ = session.close(None, NOON)

    assert ended.described({"a": None, "c": "3"}, LATER).metadata == {"b": "2", "c": "3"}
    assert ended.described({}, LATER) is ended
    with pytest.raises(Refusal, match="At most 50"):
        session.described({str(number): "x" for number in range(49)}, LATER)
