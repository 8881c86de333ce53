"""A merchant with very many links: lists and searches stay quick, and no link is slower for it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

from shared.db.pool import Pool, open_pool
from tests.bench import buyers
from tests.bench.buyers import Stall, rate_of, times_of
from tests.bench.client import Connection
from tests.support.shops import Shop

DIFFERENT: Final = 10_000
SEED_SECONDS: Final = 600.0
CLIENTS: Final = 16
ROUNDS: Final = 10

# As if it had been created over the API, one a second, in the two years before now.
SEED: Final = """
    INSERT INTO links (merchant_id, payment_link_id, mode_environment, template, status, slugs,
                       version, created_at, updated_at)
    SELECT $1, 'pl_0' || lpad(n::text, 25, '0'), 'test',
           jsonb_build_object(
               'name', (ARRAY['Green tea', 'Black coffee', 'Darjeeling', 'Oolong', 'Poster',
                              'Ticket', 'Workshop'])[1 + n % 7] || ' no. ' || n,
               'description', 'Batch ' || md5(n::text),
               'mode', 'standard',
               'customer', jsonb_build_object('require_email', true),
               'line_items', jsonb_build_array(jsonb_build_object(
                   'key', 'tin', 'name', 'Tin', 'quantity', 1,
                   'allow_quantity_adjustment', true, 'max_quantity', 10,
                   'amount_money', jsonb_build_object('amount', 1200, 'currency', 'USD')))),
           CASE WHEN n % 10000 = 0 THEN 'inactive' ELSE 'active' END, ARRAY['bench-' || n], 1,
           now() - ($2::bigint - n) * interval '1 second',
           now() - ((n * 7919) % $2::bigint) * interval '1 second'
    FROM generate_series(1, $2::bigint) AS n
"""
SLUGS: Final = """
    INSERT INTO slugs (slug, merchant_id, payment_link_id, created_at)
    SELECT slugs[1], merchant_id, payment_link_id, created_at FROM links
    WHERE slugs[1] LIKE 'bench-%' AND status = 'active' ORDER BY created_at DESC LIMIT $1
"""
INDEXES: Final = """
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes
    WHERE tablename = 'links' AND indexname <> 'links_pkey'
"""
NEWEST: Final = """
    SELECT slug, payment_link_id FROM slugs WHERE slug LIKE 'bench-%' LIMIT $1
"""


async def seeded(shop: Shop, count: int) -> list[Stall]:
    """So many links of the shop's merchant; the stalls of the newest few thousand."""
    pool = await open_pool(
        shop.database_url("links"), name="bench", size=1, command_seconds=SEED_SECONDS
    )
    try:
        return await _seeded(shop, pool, count)
    finally:
        await pool.close()


async def _seeded(shop: Shop, pool: Pool, count: int) -> list[Stall]:
    merchant_id = await pool.fetchval("SELECT min(merchant_id) FROM links")
    indexes = await pool.fetch(INDEXES)
    for index in indexes:  # made at once they cost a third of what row by row they would
        await pool.execute(f"DROP INDEX {index['name']}")
    await pool.execute(SEED, merchant_id, count)
    await pool.execute("SET maintenance_work_mem = '256MB'")
    for index in indexes:
        await pool.execute(index["definition"])
    await pool.execute(SLUGS, DIFFERENT)
    await pool.execute("VACUUM ANALYZE links")
    stall = buyers.stall_of(shop)
    return [
        Stall(shop, stall.port, stall.secret_key, row["slug"], row["payment_link_id"])
        for row in await pool.fetch(NEWEST, DIFFERENT)
    ]


def questions(count: int, times: int) -> dict[str, list[str]]:
    """What a merchant asks of their list, as query strings by kind."""
    chance = random.Random(1)
    numbers = [chance.randrange(1, count) for _ in range(times)]
    later = [{"created_before": f"{year}-06-01T00:00:00Z"} for year in (2025, 2026, 2027)]
    absent = ("nowhere", "zz", "ж", "🍵", "?!")
    kinds: dict[str, list[dict[str, str]]] = {
        "the newest": [{}] * times,
        "filtered": [{"status": "inactive"}, {"mode": "event"}, {"has_plan": "true"}] * times,
        "from some day on, or by change": [*later, {"sort_field": "updated_at"}] * times,
        "a common word": [{"query": word} for word in ("tea", "TICKET", "o", "oo")] * times,
        "one number or code": [{"query": f"no. {n}"} for n in numbers]
        + [{"query": f"{n:05x}"[:5]} for n in numbers],
        "what is not there": [{"query": word} for word in absent] * times,
    }
    return {kind: [urlencode(one) for one in asked][:times] for kind, asked in kinds.items()}


async def ask(line: Connection, shop: Shop, query: str) -> None:
    answer = await line.get(f"/v1/payment-links?{query}", Authorization=f"Bearer {shop.api_key}")
    assert answer.status == 200, (query, answer.body[:300])


async def asking(line: Connection, shop: Shop, queries: list[str]) -> list[float]:
    """Milliseconds of each question, one after the other."""
    left = iter(queries)
    return await times_of(len(queries), lambda: ask(line, shop, next(left)))


async def rates(hot: Stall, different: list[Stall], count: int) -> tuple[float, float]:
    """Opened and resolved a second: always the same link, and always another one."""
    others = itertools.cycle(different)

    def buying(pick: Callable[[], Stall]) -> Callable[[Connection], Awaitable[None]]:
        async def buy(line: Connection) -> None:
            stall = pick()
            answer = await line.get(f"/l/{stall.slug}")
            assert answer.status == 200, answer.body[:300]
            await buyers.resolve(line, stall)

        return buy

    async def at_once() -> bool:
        return True

    await rate_of(hot, 200, CLIENTS, buying(lambda: next(others)), at_once)  # warm
    found: dict[bool, list[float]] = {True: [], False: []}
    for is_hot in (True, False, False, True) * ROUNDS:  # whatever else runs here hits both
        buy = buying((lambda: hot) if is_hot else (lambda: next(others)))
        part = count // (2 * ROUNDS)
        found[is_hot].append(await rate_of(hot, part, CLIENTS, buy, at_once))
    return (_together(found[True]), _together(found[False]))


def _together(each: list[float]) -> float:
    return len(each) / sum(1 / one for one in each)
