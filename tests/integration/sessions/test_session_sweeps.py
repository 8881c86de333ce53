"""What sessions does by itself: expire, ask again, forget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.sessions import store
from shared.contracts.orders import (
    PayOrder,
)
from shared.contracts.payments import (
    PaymentIntentProcessing,
)
from shared.contracts.sessions import (
    SessionExpired,
)
from shared.db.pool import Connection, connection
from shared.errors import Refusal
from tests.builders_links import NOON
from tests.builders_sessions import (
    cs,
    paying,
    pressed_pay,
    refused,
    resolved,
    said_of_intent,
    status,
)
from tests.support.desk import MERCHANT, Desk


async def test_sessions_expire_at_their_time_but_never_under_a_payment(sessions: Desk):
    short: dict[str, Any] = {"expiration": {"expiration_seconds": 60}}
    await sessions(resolved(1, **short))
    await sessions(resolved(2, **short))
    await sessions(resolved(3))
    attempt = await pressed_pay(sessions, 2)

    sessions.later(59)
    early = await sessions.sweep("sessions.expire")
    sessions.later(1)
    due = await sessions.sweep("sessions.expire")
    await sessions(refused(attempt, 2))
    waited = await sessions.sweep("sessions.expire")

    assert (early.reply, due.reply, waited.reply) == (0, 1, 1)
    assert due.only(SessionExpired).checkout_session_id == cs(1)
    assert due.said[0].context.merchant_id == MERCHANT
    assert waited.only(SessionExpired).checkout_session_id == cs(2)
    assert await status(sessions, 3) == "open"


async def test_a_session_past_its_time_cannot_be_paid_even_before_it_is_swept(sessions: Desk):
    await sessions(resolved(expiration={"expiration_seconds": 60}))
    sessions.later(60)

    with pytest.raises(Refusal) as caught:
        await sessions(paying())

    assert caught.value.code == "CHECKOUT_SESSION_NOT_OPEN"


async def test_silent_orders_are_asked_again_until_they_answer(sessions: Desk):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)

    sessions.later(19)
    early = await sessions.sweep("sessions.ask_again")
    sessions.later(1)
    due = await sessions.sweep("sessions.ask_again")
    at_once = await sessions.sweep("sessions.ask_again")
    await sessions(said_of_intent(PaymentIntentProcessing, attempt))
    sessions.later(3600)
    answered = await sessions.sweep("sessions.ask_again")

    assert (early.reply, due.reply, at_once.reply, answered.reply) == (0, 1, 0, 0)
    assert due.only(PayOrder).attempt_id == attempt
    assert due.only(PayOrder).payment_source_token == "tok_visa"
    assert due.said[0].context.merchant_id == MERCHANT


async def test_what_the_buyer_typed_is_gone_once_it_is_not_needed(sessions: Desk):
    await sessions(resolved())
    attempt = await pressed_pay(sessions)
    typed = "SELECT 1 FROM sessions WHERE sessions::text LIKE '%tok_visa%'"

    assert await sessions.rows(typed)
    await sessions(said_of_intent(PaymentIntentProcessing, attempt))

    assert await sessions.rows(typed) == []


FILL = """
    INSERT INTO sessions (merchant_id, checkout_session_id, mode_environment, order_id,
                          payment_link_id, source, status, amount, currency, frozen,
                          metadata, expires_at, created_at, updated_at)
    SELECT 'mer_' || n % 50, 'cs_' || n, 'test', 'ord_' || n, 'plink_' || n % 10000,
           'api', 'open', 1, 'USD',
           '{"configs": {}, "custom_fields": [], "custom_field_values": {}}', '{}',
           $1::timestamptz + n * interval '1 second', $1, $1
    FROM generate_series(1, 100000) AS n
"""


@asynccontextmanager
async def many_open(sessions: Desk, has_statistics: bool) -> AsyncIterator[Connection]:
    """100 000 open sessions, and plans that are made once for all arguments, as services keep."""
    async with connection(sessions.pool) as db:
        await db.execute("SET statement_timeout = 0")
        await db.execute(FILL, NOON, timeout=50)
        if has_statistics:
            await db.execute("ANALYZE sessions")
        await db.execute("SET plan_cache_mode = force_generic_plan")
        yield db
        await db.execute("RESET statement_timeout; RESET plan_cache_mode")


@pytest.mark.parametrize("has_statistics", [True, False])
async def test_expiry_reads_what_is_due_and_not_what_is_open(sessions: Desk, has_statistics: bool):
    async with many_open(sessions, has_statistics) as db:
        await db.execute(f"PREPARE due AS {store.LOCK_EXPIRED}")
        asked = f"EXECUTE due('{NOON + timedelta(seconds=10)}', 100)"
        plan = await db.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT) {asked}")
        text = "\n".join(row[0] for row in plan)
        await db.execute("DEALLOCATE due")

    assert "using sessions_to_expire" in text
    assert "actual" in text
    assert "rows=10" in text
    assert "Seq Scan" not in text
    assert "Sort" not in text


CLOSED = """
    INSERT INTO closed_links (merchant_id, payment_link_id, closed_at, heard_at)
    VALUES ('mer_7', 'plink_57', $1, $1)
"""


@pytest.mark.parametrize("has_statistics", [True, False])
async def test_closing_reads_the_sessions_of_closed_links_alone(
    sessions: Desk, has_statistics: bool
):
    async with many_open(sessions, has_statistics) as db:
        await db.execute(f"PREPARE closed AS {store.LOCK_OF_CLOSED_LINKS}")
        asked = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE closed(100)"
        nothing = orjson.loads(await db.fetchval(asked))[0]["Plan"]
        await db.execute(CLOSED, NOON)
        ten = orjson.loads(await db.fetchval(asked))[0]["Plan"]
        await db.execute("DEALLOCATE closed")

    assert (nothing["Actual Rows"], ten["Actual Rows"]) == (0, 10)
    assert _blocks(nothing) < 5
    assert _blocks(ten) < 60


def _blocks(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_a_full_batch_expires_at_once_and_says_each(sessions: Desk):
    for number in range(1, 121):
        await sessions(resolved(number, expiration={"expiration_seconds": 60}))
    sessions.later(60)

    first, second = await sessions.sweep("sessions.expire"), await sessions.sweep("sessions.expire")

    assert (first.reply, second.reply) == (100, 20)
    assert len({one.subject_id() for one in first.messages + second.messages}) == 120  # type: ignore[union-attr]
