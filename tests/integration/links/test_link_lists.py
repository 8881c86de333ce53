"""Lists of many links: what is asked for is found, all of it and nothing else, and by an index."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest

from services.links import listing
from shared.bus.tx import Tx
from shared.contracts.base import Context
from shared.contracts.links import CreateLink, ListLinks, UpdateLink
from shared.contracts.lists import SortDirection
from shared.db import keyset
from shared.db.pool import connection
from tests.builders_links import NOON, params
from tests.support.desk import MERCHANT, Desk

MANY: Final = 12_000
WORDS: Final = (
    "tea",
    "Grüner Tee",
    "茶の湯",
    "🍵 cup",
    "100% off",
    "a_b",
    "O'Hara\\",
    "l'été",
    "NÃO",
)
SEED: Final = """
    INSERT INTO links (merchant_id, payment_link_id, mode_environment, template, status, slugs,
                       version, created_at, updated_at)
    SELECT $1, 'pl_' || lpad(n::text, 26, '0'), 'test',
           jsonb_build_object('name', 'Tea no. ' || n, 'mode',
                              CASE WHEN n % 500 = 0 THEN 'event' ELSE 'standard' END)
           || CASE WHEN n % 700 = 0 THEN '{"plan_id": "plan_01JZZZZZZZZZZZZZZZZZZZZZZA"}'
                   ELSE '{}' END::jsonb,
           CASE WHEN n % 300 = 0 THEN 'inactive' ELSE 'active' END, ARRAY['tea-' || n], 1,
           $2::timestamptz + n * interval '1 second',
           $2::timestamptz + ((n * 7919) % $3) * interval '1 second'
    FROM generate_series(1, $3::integer) AS n
"""


async def seeded(links: Desk) -> None:
    async with connection(links.pool) as db:
        await db.execute(SEED, MERCHANT, NOON, MANY)
        await db.execute("ANALYZE links")


async def names(links: Desk, **asked: Any) -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    after = None
    while True:
        page = (await links(ListLinks(**asked, after=after))).reply
        found += [row.name for row in page.rows]
        after = page.next
        if after is None:
            return found


def number_of(name: str) -> int:
    return int(name.rsplit(" ", 1)[1])


async def test_any_part_of_any_text_is_found_in_any_case_at_once(links: Desk):
    chance = random.Random(1)
    texts: list[tuple[str, str | None]] = []
    for _ in range(40):
        name = " ".join(chance.choices(WORDS, k=2))
        description = " ".join(chance.choices(WORDS, k=3)) if chance.random() < 0.5 else None
        links.later(1)
        await links(CreateLink(params=params(name=name, description=description)))
        texts.append((name, description))

    for _ in range(60):
        whole = chance.choice(texts)[chance.randrange(2)] or chance.choice(WORDS)
        at = chance.randrange(len(whole))
        wanted = whole[at : at + chance.randint(1, 6)]
        wanted = chance.choice((str, str.upper, str.lower))(wanted)
        truth = [
            name
            for name, description in reversed(texts)
            if any(wanted.lower() in (text or "").lower() for text in (name, description))
        ]
        assert await names(links, query=wanted, page_size=7) == truth, wanted


async def test_what_stands_across_name_and_description_is_no_find(links: Desk):
    await links(CreateLink(params=params(name="abc", description="def")))

    assert await names(links, query="cd") == []
    assert await names(links, query="abcdef") == []


async def test_a_changed_text_is_found_by_its_new_words_alone(links: Desk):
    made = (await links(CreateLink(params=params(name="Old tea")))).reply
    await links(UpdateLink(payment_link_id=made.payment_link_id, params={"name": "New coffee"}))

    assert await names(links, query="old") == []
    assert await names(links, query="COFFEE") == ["New coffee"]


async def test_another_merchants_or_modes_links_are_not_found(links: Desk):
    await links(CreateLink(params=params(name="Mine")))
    twin = "mer_00ZZZZZZZZZZZZZZZZZZZZZZZA"  # the same last letters as ours
    await links(CreateLink(params=params(name="Mine of a twin")), merchant_id=twin)
    await links(CreateLink(params=params(name="Mine for real")), mode="live")

    assert await names(links, query="mine") == ["Mine"]


async def test_rare_and_common_finds_are_all_there_in_their_order(links: Desk):
    await seeded(links)
    by_update = sorted(range(1, MANY + 1), key=lambda n: (n * 7919) % MANY, reverse=True)

    rare = await names(links, query="no. 77", page_size=100)
    asc = await names(links, query="no. 77", page_size=100, sort_direction="asc")
    updated = await names(links, query="no. 77", page_size=100, sort_field="updated_at")
    both = await names(links, query="00", status="inactive", page_size=100)

    expected = [n for n in range(MANY, 0, -1) if str(n).startswith("77")]
    assert [number_of(name) for name in rare] == expected
    assert asc == rare[::-1]
    assert [number_of(name) for name in updated] == [n for n in by_update if n in set(expected)]
    assert [number_of(name) for name in both] == [
        n for n in range(MANY, 0, -1) if n % 300 == 0 and "00" in str(n)
    ]


@pytest.mark.parametrize("sort_field", listing.SORTS)
async def test_filters_and_times_are_right_in_every_combination(links: Desk, sort_field: str):
    await seeded(links)
    begin, end = NOON + timedelta(seconds=900), NOON + timedelta(seconds=3_900)

    def kept(n: int) -> bool:
        updated = (n * 7919) % MANY
        return n % 300 == 0 and n % 500 != 0 and n % 700 != 0 and 900 < updated < 3_900

    found = await names(
        links,
        status="inactive",
        mode="standard",
        has_plan=False,
        updated_after=begin,
        updated_before=end,
        sort_field=sort_field,
    )

    numbers = [number_of(name) for name in found]
    assert sorted(numbers) == [n for n in range(1, MANY + 1) if kept(n)]
    by: dict[str, Any] = {"created_at": int, "updated_at": lambda n: (n * 7919) % MANY}
    assert numbers == sorted(numbers, key=by[sort_field], reverse=True)


ASKED: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "status": {"status": "inactive"},
    "mode": {"mode": "event"},
    "plan": {"has_plan": True},
    "all three": {"status": "inactive", "mode": "event", "has_plan": True},
    "created": {"created_after": NOON + timedelta(seconds=MANY - 9)},
    "updated": {
        "updated_after": NOON + timedelta(seconds=50),
        "updated_before": NOON + timedelta(seconds=60),
    },
    "text": {"query": "no. 7777"},
    "a text of nobody": {"query": "nowhere"},
    "two letters": {"query": "zz"},
    "signs": {"query": "?!."},
    "text and status": {"query": "no. 7777", "status": "active"},
}


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("sort_field", listing.SORTS)
async def test_whatever_is_asked_for_few_rows_are_read(
    links: Desk, sort_field: str, direction: SortDirection
):
    await seeded(links)
    read: dict[str, int] = {}

    for name, asked in ASKED.items():
        msg = ListLinks(**asked, sort_field=sort_field, sort_direction=direction)
        read[name] = await rows_read(links, msg)

    assert max(read.values()) <= 2 * listing.NEAR + 200, read


async def rows_read(links: Desk, msg: ListLinks) -> int:
    """Rows of the table that the plan took into its hands, as PostgreSQL counts them itself."""
    statements, more = listing.way(msg)
    sql = statements[msg.sort_field, msg.sort_direction]
    async with connection(links.pool) as db:
        tx = Tx(db, links.now, Context(MERCHANT, "test"))
        args = (*keyset.common(tx, msg), msg.page_size + 1, *more)
        plan = await db.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    return _scanned(orjson.loads(plan)[0]["Plan"])


def _scanned(node: dict[str, Any]) -> int:
    own = 0
    if node.get("Relation Name") == "links":
        assert node["Node Type"] != "Seq Scan" or not node["Actual Loops"], "reads the whole table"
        dropped = node.get("Rows Removed by Filter", 0)
        own = int((node["Actual Rows"] + dropped) * node["Actual Loops"])
    return own + sum(_scanned(child) for child in node.get("Plans", ()))


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_range_of_time_is_walked_from_its_edge_through_all_its_pages(
    links: Desk, direction: SortDirection
):
    await seeded(links)
    after, before = NOON + timedelta(seconds=2_000), NOON + timedelta(seconds=2_500)
    edges = {"created_after": after, "created_before": before, "sort_direction": direction}

    numbers = [number_of(name) for name in await names(links, **edges, page_size=30)]
    read = await rows_read(links, ListLinks.model_validate(edges))

    assert sorted(numbers) == list(range(2_001, 2_500))
    assert numbers == sorted(numbers, reverse=direction == "desc")
    assert read <= 50
