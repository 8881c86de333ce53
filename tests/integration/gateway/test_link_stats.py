"""A link's numbers: counted once from every fact, and mended to the unit while more come in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from services.gateway.api.link_stats import PaymentLinkStats, stats_of
from services.gateway.events import KEPT, record
from services.gateway.stats import store
from services.gateway.stats.rebuild import rebuild
from services.gateway.stats.store import View
from services.gateway.stats.visits import Visits
from shared.bus.tx import Tx
from shared.contracts.base import Context, Envelope
from shared.db.pool import Pool, connection, transaction
from tests.builders_gateway import NOON

MERCHANT, LINK, OTHER = "mer_1", "pl_1", "pl_2"
DAY = timedelta(days=1)


def said(topic: str, subject: str, *, link: str | None = LINK, sequence: int = 1,
         at: datetime = NOON, **data: Any) -> Envelope:  # fmt: skip
    return Envelope(
        id=f"evt_{topic}_{subject}_{sequence}",
        topic=topic,
        body=orjson.dumps({"payment_link_id": link, **data}),
        context=Context(MERCHANT, "test", "req_1"),
        source="orders",
        subject=subject,
        sequence=sequence,
        time=at,
    )


def sums(paid: int, currency: str = "USD", refunded: int = 0) -> dict[str, Any]:
    both = {"paid_money": paid, "refunded_money": refunded}
    return {name: {"amount": amount, "currency": currency} for name, amount in both.items()}


def paid(number: int, amount: int = 1200, currency: str = "USD", **more: Any) -> Envelope:
    return said("order.paid", f"ord_{number}", net_amounts=sums(amount, currency), **more)


def resolved(number: int, **more: Any) -> Envelope:
    return said("link.resolved", f"cs_{number}", **more)


def started(number: int, **more: Any) -> Envelope:
    return said("payment_intent.processing", f"pi_{number}", **more)


def view(number: int, *, link: str = LINK, at: datetime = NOON) -> View:
    return View(MERCHANT, link, f"nonce-{number}", at)


async def keep(pool: Pool, *facts: Envelope) -> None:
    async with transaction(pool) as db:
        await record(facts, Tx(db, NOON, Context()))


async def stats(pool: Pool, link: str = LINK) -> PaymentLinkStats:
    async with connection(pool) as db:
        return stats_of(link, await store.read(db, MERCHANT, link))


async def rebuilt(pool: Pool, now: datetime = NOON) -> int:
    return sum([wrong async for _, wrong in rebuild(pool, now)])


def numbers(found: PaymentLinkStats) -> tuple[int, int, int, int]:
    return found.view_count, found.resolve_count, found.attempt_count, found.paid_count


async def test_every_fact_counts_once_however_often_it_is_heard(pool: Pool):
    facts = [resolved(1), resolved(2), started(1), paid(1), resolved(9, link=OTHER)]

    await keep(pool, *facts, *facts)
    await asyncio.gather(*(keep(pool, *facts) for _ in range(4)))

    assert numbers(await stats(pool)) == (0, 2, 1, 1)
    assert numbers(await stats(pool, OTHER)) == (0, 1, 0, 0)


async def test_an_attempt_that_is_long_undecided_is_still_one(pool: Pool):
    await keep(pool, started(1), started(1, sequence=2), started(2), started(2, sequence=3))

    assert (await stats(pool)).attempt_count == 2


async def test_what_is_of_no_link_is_nobodys_number(pool: Pool):
    await keep(pool, paid(1, link=None), started(1, link=None))

    async with connection(pool) as db:
        assert await db.fetchval("SELECT count(*) FROM link_counts") == 0


async def test_money_is_told_by_currency_and_less_what_went_back(pool: Pool):
    refunds = [
        said("order.refunded", "ord_1", sequence=3, net_amounts=sums(1200, refunded=200),
             previous={"net_amounts": sums(1200)}),
        said("order.refunded", "ord_1", sequence=4, net_amounts=sums(1200, refunded=500),
             previous={"net_amounts": sums(1200, refunded=200)}),
    ]  # fmt: skip

    await keep(pool, paid(1), paid(2, 5000, "JPY"), paid(3, 300), paid(4, 0))
    await keep(pool, *refunds)

    found = await stats(pool)
    assert [tuple(one.model_dump().values()) for one in found.revenue] == [
        (5000, "JPY"),
        (1000, "USD"),
    ]
    assert [tuple(one.model_dump().values()) for one in found.refunds] == [(500, "USD")]
    assert found.paid_count == 4


async def test_a_view_is_one_however_many_processes_are_told_of_it(pool: Pool):
    first, second = Visits(pool), Visits(pool)
    for visits in (first, second):
        for number in (1, 2, 2):
            visits.note(view(number))

    assert all(await asyncio.gather(first.keep(), second.keep()))
    first.note(view(1))
    await first.keep()

    assert numbers(await stats(pool)) == (2, 0, 0, 0)


async def test_views_wait_while_the_database_is_away_and_only_so_many(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
):
    visits = Visits(pool)
    monkeypatch.setattr("services.gateway.stats.visits.WAITING_MAX", 3)
    for number in range(5):
        visits.note(view(number))

    async def away(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(store, "keep_views", away)
        assert not await visits.keep()
    assert await visits.keep()

    assert (await stats(pool)).view_count == 3


async def test_a_rate_is_told_once_somebody_has_looked(pool: Pool):
    await keep(pool, paid(1))
    before = await stats(pool)
    visits = Visits(pool)
    for number in range(3):
        visits.note(view(number))
    await visits.keep()

    assert before.conversion_rate is None
    assert (await stats(pool)).conversion_rate == 0.3333


async def test_a_rebuild_of_what_is_right_changes_nothing(pool: Pool):
    await keep(pool, resolved(1), paid(1), paid(2, 500, "JPY"), started(1))
    before = await stats(pool)

    assert await rebuilt(pool) == 0
    assert await stats(pool) == before


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM link_counts",
        "UPDATE link_counts SET count = count + 7, amount_minor = amount_minor + 7",
        "UPDATE link_counts SET count = 0, amount_minor = 0",
        "DELETE FROM link_counts WHERE measure = 'sale'",
        "UPDATE link_counts SET payment_link_id = 'pl_3' WHERE payment_link_id = 'pl_1'",
    ],
)
async def test_a_rebuild_mends_every_harm_to_the_unit(pool: Pool, harm: str):
    visits = Visits(pool)
    await keep(pool, resolved(1), resolved(2, at=NOON - 3 * DAY), paid(1), started(1))
    await keep(pool, paid(2, 999, "JPY", at=NOON - DAY), paid(3, 1, link=OTHER))
    visits.note(view(1))
    await visits.keep()
    before = [await stats(pool, link) for link in (LINK, OTHER, "pl_3")]
    async with connection(pool) as db:
        await db.execute(harm)
    assert [await stats(pool, link) for link in (LINK, OTHER, "pl_3")] != before

    assert await rebuilt(pool) > 0

    assert [await stats(pool, link) for link in (LINK, OTHER, "pl_3")] == before
    assert await rebuilt(pool) == 0


async def test_days_that_the_log_has_forgotten_keep_their_counts(pool: Pool):
    old = NOON - KEPT - DAY
    await keep(pool, paid(1, at=old), paid(2))
    async with connection(pool) as db:
        await db.execute("DELETE FROM events WHERE said_at = $1", old)

    assert await rebuilt(pool) == 0
    assert (await stats(pool)).paid_count == 2


@pytest.mark.parametrize("seed", range(3))
async def test_rebuilding_while_facts_come_in_loses_and_doubles_nothing(pool: Pool, seed: int):
    chance = random.Random(seed)
    facts = a_busy_day(chance)
    visits, views = Visits(pool), [view(number) for number in range(200)]
    chance.shuffle(facts)
    half = len(facts) // 2
    await keep(pool, *facts[:half])
    async with connection(pool) as db:
        await db.execute("UPDATE link_counts SET count = count * 2 + 1, amount_minor = 3")
        await db.execute("DELETE FROM link_counts WHERE measure = 'attempt'")

    async def say(own: Sequence[Envelope]) -> None:
        for begin in range(0, len(own), 7):
            await keep(pool, *own[begin : begin + 7])

    async def look() -> None:
        for begin in range(0, len(views), 20):
            for one in views[begin : begin + 20]:
                visits.note(one)
            await visits.keep()

    async def mend() -> None:
        for _ in range(3):
            await rebuilt(pool, NOON + timedelta(minutes=1))

    await asyncio.gather(
        *(say(facts[half + n :: 3] + facts[n:half:9]) for n in range(3)), look(), mend(), mend()
    )

    truth = Counter(fact.topic for fact in facts if b"pl_1" in fact.body)
    found = await stats(pool)
    assert numbers(found) == (200, truth["link.resolved"], truth["payment_intent.processing"],
                              truth["order.paid"])  # fmt: skip
    owed = sum(
        orjson.loads(fact.body)["net_amounts"]["paid_money"]["amount"]
        for fact in facts
        if fact.topic == "order.paid" and b"pl_1" in fact.body
    )
    assert [one.amount for one in found.revenue] == [owed]
    assert await rebuilt(pool) == 0


def a_busy_day(chance: random.Random) -> list[Envelope]:
    """Three hundred buyers of two links, over today and yesterday."""
    facts: list[Envelope] = []
    for number in range(300):
        more: dict[str, Any] = {
            "link": chance.choice((LINK, OTHER)),
            "at": NOON - chance.choice((0, 1)) * DAY,
        }
        facts.append(resolved(number, **more))
        if chance.random() < 0.7:
            facts.append(started(number, **more))
        if chance.random() < 0.5:
            facts.append(paid(number, chance.randrange(10_000), **more))
    return [replace(fact, context=Context(MERCHANT, "test", "req")) for fact in facts]
