"""Links that go and take their open sessions along, but none with a payment in flight."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.contracts.links import LinkDeactivated
from shared.contracts.payments import PaymentIntentFailed
from shared.contracts.sessions import SessionClosed
from tests.builders_links import NEVER, NOON, a_link
from tests.builders_sessions import cs, pressed_pay, resolved, said_of_intent, status
from tests.support.desk import MERCHANT, Desk


def deactivated(*, close: bool = True, at: Any = NOON) -> LinkDeactivated:
    link = a_link(status="inactive", updated_at=at)
    shown = link.shown().model_dump()
    return LinkDeactivated.model_validate(shown | {"close_open_sessions": close})


async def test_a_deactivated_link_closes_its_idle_sessions_if_told_so(sessions: Desk):
    for number in (1, 2):
        await sessions(resolved(number))
    await sessions(resolved(3, link=NEVER[:-1] + "1"))
    await sessions(resolved(4, resolved_at=NOON + timedelta(seconds=5)))
    await pressed_pay(sessions, 2)

    await sessions(deactivated(close=False))
    kept = await sessions.sweep("sessions.close_with_links")
    await sessions(deactivated())
    told = await sessions.sweep("sessions.close_with_links")

    assert (kept.reply, told.reply) == (0, 1)
    assert told.only(SessionClosed).checkout_session_id == cs(1)
    assert told.said[0].context.merchant_id == MERCHANT
    assert [await status(sessions, number) for number in (1, 2, 3, 4)] == [
        "closed", "open", "open", "open",
    ]  # fmt: skip


async def test_a_session_that_gets_here_after_its_link_was_closed_is_closed_too(sessions: Desk):
    await sessions(deactivated())
    await sessions.sweep("sessions.close_with_links")

    await sessions(resolved())
    sessions.later(10)
    await sessions.sweep("sessions.close_with_links")

    assert await status(sessions) == "closed"
    sessions.later(61)
    await sessions.sweep("sessions.close_with_links")
    assert await sessions.rows("SELECT 1 FROM closed_links") == []


async def test_a_payment_that_fails_long_after_its_link_was_closed_leaves_nothing_open(
    sessions: Desk,
):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)
    await sessions(deactivated())

    sessions.later(600)
    await sessions.sweep("sessions.close_with_links")
    held = await status(sessions)
    await sessions(said_of_intent(PaymentIntentFailed, attempt))
    await sessions.sweep("sessions.close_with_links")
    await sessions.sweep("sessions.close_with_links")

    assert (held, await status(sessions)) == ("open", "closed")
    assert await sessions.rows("SELECT 1 FROM closed_links") == []
