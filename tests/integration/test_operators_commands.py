"""`flint outbox` and `flint migrate`, as an operator sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from services.operating import migrate_all, show_migrations
from services.outboxes import list_outboxes, replay_buried, show_message
from services.rooms import DATABASES, migration_folders
from shared.bus import backlog, outbox
from shared.bus.tx import Said
from shared.config import Settings, load
from shared.contracts.orders import OrderUnpayable
from shared.db.migrate import MigrationError
from shared.db.pool import Pool, open_pool, transaction
from shared.errors import Refusal
from tests.conftest import FreshDatabase
from tests.support.rigs import CONTEXT


@pytest.fixture
async def dsns(fresh_database: FreshDatabase) -> dict[str, str]:
    """All databases, migrated."""
    folders = migration_folders()
    return {name: await fresh_database(*folders[name]) for name in DATABASES}


@pytest.fixture
async def behind(
    dsns: dict[str, str], fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The same, but for the gateway's, which is empty."""
    for name, dsn in (dsns | {"gateway": await fresh_database()}).items():
        monkeypatch.setenv(f"FLINT_{name.upper()}_DATABASE_URL", dsn)
    return load(["databases"])


@pytest.fixture
def settings(dsns: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, dsn in dsns.items():
        monkeypatch.setenv(f"FLINT_{name.upper()}_DATABASE_URL", dsn)
    return load(["databases"])


@pytest.fixture
async def orders(dsns: dict[str, str]) -> AsyncIterator[Pool]:
    pool = await open_pool(dsns["orders"], name="orders", size=2)
    yield pool
    await pool.close()


async def said(pool: Pool, count: int) -> list[str]:
    """Facts in the outbox that nobody has published; their ids."""
    event = OrderUnpayable(order_id="ord_canary", checkout_session_id="cs_1", reason="order_closed")
    async with transaction(pool) as db:
        facts = [Said(event, CONTEXT)] * count
        now = datetime.now(UTC)
        rows = await outbox.write(db, facts, [], source="orders", now=now, lease_by="nobody")
    return [row.envelope.id for row in rows]


async def test_the_outbox_tells_how_much_waits_since_when_and_why(
    settings: Settings, orders: Pool, capsys: pytest.CaptureFixture[str]
):
    first, *_ = await said(orders, 7)
    async with transaction(orders) as db:
        row = await db.fetchval("SELECT id FROM outbox WHERE message_id = $1", first)
        await outbox.postpone(db, row, 60, "the broker cannot be reached")

    await list_outboxes(settings, ["links", "orders"], 2, is_json=False)
    lines = capsys.readouterr().out.splitlines()
    await list_outboxes(settings, ["orders"], 2, is_json=True)
    report = json.loads(capsys.readouterr().out)["orders"]

    assert lines[0] == "links: 0 waiting; 0 dead letters"
    assert lines[1].startswith("orders: 7 waiting, the oldest since 0 s")
    assert lines[2].strip().startswith(f"{first}  order.unpayable")
    assert lines[2].endswith("the broker cannot be reached")
    assert len(lines) == 4
    assert report["depth"] == 7
    assert report["oldest"][0]["reason"] == "the broker cannot be reached"


async def test_one_message_is_shown_without_its_body(
    settings: Settings, orders: Pool, capsys: pytest.CaptureFixture[str]
):
    (message_id,) = await said(orders, 1)

    await show_message(settings, message_id, is_json=False)

    shown = capsys.readouterr().out
    assert "service: orders" in shown
    assert "topic: order.unpayable" in shown
    assert "ord_canary" not in shown
    with pytest.raises(Refusal, match="it may have left"):
        await show_message(settings, "evt_none", is_json=False)


async def test_a_dead_letter_goes_back_into_the_outbox_as_it_was_said(
    settings: Settings, orders: Pool, capsys: pytest.CaptureFixture[str]
):
    first, second = await said(orders, 2)
    async with transaction(orders) as db:
        await db.execute("UPDATE outbox SET lease_until = NULL, lease_by = NULL")
        rows = await outbox.claim(db, "us", "orders")
    before = [row.envelope for row in rows]
    async with transaction(orders) as db:
        for row in rows:
            await outbox.park(db, row, "outbox", "no queue is bound to order.unpayable")

    await list_outboxes(settings, ["orders"], 5, is_json=False)
    assert "no queue is bound to order.unpayable" in capsys.readouterr().out
    await replay_buried(settings, first)
    await replay_buried(settings, "")

    async with transaction(orders) as db:
        after = [row.envelope for row in await outbox.claim(db, "us", "orders")]
        assert (await backlog.backlog_of(db)).dead == 0
    assert sorted(one.id for one in after) == sorted([first, second])
    assert sorted(after, key=lambda one: one.id) == sorted(before, key=lambda one: one.id)
    with pytest.raises(Refusal):
        await replay_buried(settings, first)


async def test_migrate_says_what_is_behind_and_brings_it_up_to_date(
    behind: Settings, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(MigrationError, match=r"lacks bus/0001_bus.sql and \d more: run"):
        await list_outboxes(behind, ["gateway"], 5, is_json=False)
    was_usable = await show_migrations(behind, is_json=False)
    before = capsys.readouterr().out
    await migrate_all(behind)
    applied = capsys.readouterr().out
    is_usable = await show_migrations(behind, is_json=True)
    after = json.loads(capsys.readouterr().out)

    assert not was_usable
    assert "links: up to date" in before
    assert "gateway: behind (bus/0001_bus.sql, " in before
    assert "gateway: applied gateway/0001_gateway.sql (0." in applied
    assert "orders: up to date" in applied
    assert is_usable
    assert {facts["state"] for facts in after.values()} == {"up to date"}


async def test_one_database_that_is_newer_leaves_all_of_them_as_they_are(
    behind: Settings, dsns: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    db = await asyncpg.connect(dsns["sandbox"])
    await db.execute("INSERT INTO schema_migrations VALUES ('payments/0099_next.sql', 'x')")
    await db.close()

    with pytest.raises(MigrationError, match=r"newer than this flint.*payments/0099_next\.sql"):
        await migrate_all(behind)

    is_usable = await show_migrations(behind, is_json=False)
    shown = capsys.readouterr().out
    assert not is_usable
    assert "gateway: behind" in shown
    assert "sandbox: newer (payments/0099_next.sql)" in shown


async def test_several_starts_at_once_migrate_once_and_say_so(
    behind: Settings, capsys: pytest.CaptureFixture[str]
):
    await asyncio.gather(*(migrate_all(behind) for _ in range(3)))

    applied = [line for line in capsys.readouterr().out.splitlines() if "applied" in line]
    assert len(applied) == len(set(applied)) > 0
    assert len({line.split()[2] for line in applied}) == len(applied)
