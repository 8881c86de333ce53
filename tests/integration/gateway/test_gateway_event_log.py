"""The event log: kept once however often it is heard, and rung for whoever waits."""

from __future__ import annotations

import orjson

from services.gateway.events import KEPT, expire, record, ringing
from services.gateway.hub import Hub
from shared.bus.tx import Tx
from shared.contracts.base import Context, Envelope
from shared.db.pool import Pool, connection, transaction
from tests.builders_gateway import NOON

BODY = {
    "order_id": "ord_1",
    "paid_session_id": "cs_1",
    "payment_intent_id": "pi_1",
    "checkout_session_ids": ["cs_other"],
}
FACT = Envelope(
    id="evt_1",
    topic="order.paid",
    body=orjson.dumps(BODY),
    context=Context("mer_1", "test", "req_1"),
    source="orders",
    subject="ord_1",
    sequence=3,
    time=NOON,
)


async def keep(pool: Pool, *facts: Envelope) -> None:
    async with transaction(pool) as db:
        await record(facts, Tx(db, NOON, Context()))


async def test_a_fact_heard_twice_is_kept_once_as_it_was_said(pool: Pool):
    await keep(pool, FACT, FACT)
    await keep(pool, FACT)

    async with connection(pool) as db:
        rows = await db.fetch("SELECT event_id, sequence, said_at, data::text AS data FROM events")
    assert [(row["event_id"], row["sequence"], row["said_at"]) for row in rows] == [
        ("evt_1", 3, NOON)
    ]
    assert orjson.loads(rows[0]["data"]) == BODY


async def test_it_rings_for_everything_it_is_about():
    hub, rung = Hub(), []

    for key in ("ord_1", "cs_1", "pi_1", "cs_other"):
        with hub.listen(key) as bell:
            ringing(hub)(FACT)
            rung.append(await bell.wait(0.01))

    assert rung == [True] * 4


async def test_what_is_old_is_forgotten(pool: Pool):
    await keep(pool, FACT)

    async with transaction(pool) as db:
        kept = await expire(Tx(db, NOON + KEPT, Context()))
    async with transaction(pool) as db:
        gone = await expire(Tx(db, NOON + KEPT + KEPT / 1000, Context()))

    assert (kept, gone) == (0, 1)
