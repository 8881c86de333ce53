"""The outbox is a queue in PostgreSQL, and the inbox a memory: neither loses, blocks nor grows.

| rule | what it is | how it is covered |
|---|---|---|
| D15 | rows that commit late are skipped by `id >` | test_a_row_that_commits_after_… |
| D16 | bloat, old snapshots, publishing in the claim | the five tests after it |
| D17 | unbounded cleaning | test_the_inbox_is_cleaned_… |
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.bus import inbox, outbox
from shared.bus.service import CLEAN_INBOX
from shared.bus.tx import Said
from shared.db import cut as cutting
from shared.db.cut import cut, held_locks
from shared.db.pool import connection, transaction
from shared.errors import Unavailable
from tests.support.faults import effects_are, heard, nothing_left, rows, toy_ids
from tests.support.rigs import CONTEXT, Rig, call, eventually
from tests.support.toys import MakeToy, ToyMade, Toys


@pytest.fixture
def rig(local_rig: Rig) -> Rig:
    return local_rig


async def test_a_row_that_commits_after_a_higher_one_is_not_lost(rig: Rig, toys: Toys):
    """D15: rows are found by their state, never by "id >"."""
    await rig.start(toys.room())
    async with AsyncExitStack() as stack:
        late = await stack.enter_async_context(transaction(rig.pool))
        late_id = await say(late, ToyMade(toy_id="late"))

        await rig.emit(ToyMade(toy_id="early"))
        early_id = await rig.pool.fetchval("SELECT max(id) FROM outbox") or late_id + 1
        await eventually(lambda: effects_are(rig, heard(["early"])))
        await eventually(lambda: nothing_left(rig))
        assert late_id < early_id
        await late.execute("UPDATE outbox SET lease_until = NULL, lease_by = NULL")

    await eventually(lambda: effects_are(rig, heard(["early", "late"])))


async def test_a_leased_row_is_not_sent_by_a_second_relay_until_the_lease_ends(
    rig: Rig, toys: Toys, monkeypatch: pytest.MonkeyPatch
):
    """D16: the claim is committed before anything is published, and protects it."""
    monkeypatch.setattr(outbox, "LEASE_SECONDS", 3)
    await rig.emit(*(ToyMade(toy_id=f"t{number}") for number in range(10)))
    async with connection(rig.pool) as db:
        claimed = await outbox.claim(db, "a-relay-that-died", "toys")
        assert len(claimed) == 10
        assert await outbox.claim(db, "a-second-relay", "toys") == []

    await rig.start(toys.room())
    await asyncio.sleep(2)
    assert await toy_ids(rig) == []

    await eventually(lambda: effects_are(rig, heard([f"t{number}" for number in range(10)])))


async def test_two_relays_that_claim_at_once_share_the_rows(rig: Rig):
    """D16: SKIP LOCKED, and nobody waits for anybody."""
    await rig.emit(*(ToyMade(toy_id=f"t{number}") for number in range(300)))

    async with transaction(rig.pool) as one, transaction(rig.pool) as other:
        first = await outbox.claim(one, "one", "toys")
        second = await asyncio.wait_for(outbox.claim(other, "other", "toys"), 2)

    assert (len(first), len(second)) == (200, 100)
    assert not {row.id for row in first} & {row.id for row in second}


async def test_a_relay_holds_no_transaction_while_it_publishes(rig: Rig, toys: Toys):
    """D16: a listener that takes its time pins no snapshot on the outbox."""
    await rig.start(toys.room())
    await rig.emit(ToyMade(toy_id="slow", trouble="wait"))
    await asyncio.wait_for(toys.entered.wait(), 10)

    holders = """
        SELECT DISTINCT lock.pid FROM pg_locks AS lock JOIN pg_class ON relation = pg_class.oid
        WHERE relname = 'outbox' AND lock.pid <> pg_backend_pid()
    """
    assert await rows(rig, holders) == []
    toys.gate.set()


async def test_sessions_have_limits_for_statements_and_for_idle_transactions(rig: Rig):
    """D16."""
    async with connection(rig.pool) as db:
        limits = [
            await db.fetchval("SELECT current_setting($1)", name)
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]

    assert limits == ["5s", "10s"]


async def test_the_outbox_is_vacuumed_by_count_and_never_slowed_down(rig: Rig):
    """D16."""
    options = await rig.pool.fetchval("SELECT reloptions FROM pg_class WHERE relname = 'outbox'")

    assert set(options) == {
        "autovacuum_vacuum_scale_factor=0",
        "autovacuum_vacuum_threshold=1000",
        "autovacuum_vacuum_cost_delay=0",
    }


async def test_the_inbox_is_cleaned_in_batches_that_wait_for_nobody(rig: Rig, toys: Toys):
    """D17: what is old goes, 500 at a time; a locked row is left for the next time."""
    running = await rig.start(toys.room())
    await old_inbox_rows(rig, 700, days=31)
    await old_inbox_rows(rig, 10, days=29)
    await old_inbox_rows(rig, 5, days=2, reply=b"{}")
    left = "SELECT count(*) FROM inbox"

    async with transaction(rig.pool) as db:
        await db.execute("SELECT 1 FROM inbox WHERE message_id = 'old-31-0' FOR UPDATE")
        async with asyncio.timeout(5):
            assert await running.service.sweep_once(CLEAN_INBOX) == 100, "a full batch: once more"
            assert await rig.pool.fetchval(left) == 210
            assert await running.service.sweep_once(CLEAN_INBOX) == 0
        assert await rig.pool.fetchval(left) == 11
    await running.service.sweep_once(CLEAN_INBOX)

    assert await rig.pool.fetchval(left) == 10


async def test_cleaning_looks_at_no_row_that_has_to_stay(rig: Rig):
    """D17: else it gets slower by the day, runs into its timeout, and nothing is ever cleaned."""
    await rig.pool.execute(
        "INSERT INTO inbox (message_id, handler, handled_at)"
        " SELECT n, 'h', now() - interval '20 days' FROM generate_series(1, 100000) AS n"
    )
    await old_inbox_rows(rig, 40, days=2, reply=b"{}")
    await rig.pool.execute("ANALYZE inbox")

    async with transaction(rig.pool) as db:
        plan = await db.fetch(f"EXPLAIN (ANALYZE, TIMING off, SUMMARY off) {inbox.CLEAN}")

    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan on inbox" not in text, text
    removed = [int(count) for count in re.findall(r"Rows Removed by Filter: (\d+)", text)]
    assert sum(removed) < 100, text


async def say(db: Any, event: ToyMade) -> int:
    said = [Said(event, CONTEXT)]
    now = datetime.now(UTC)
    (row,) = await outbox.write(db, said, [], source="toys", now=now, lease_by="nobody")
    return row.id


async def old_inbox_rows(rig: Rig, count: int, *, days: int, reply: bytes | None = None) -> None:
    await rig.pool.executemany(
        "INSERT INTO inbox (message_id, handler, handled_at, reply) VALUES ($1, 'h', $2, $3)",
        [
            (f"old-{days}-{n}", datetime.now(UTC) - timedelta(days=days), reply)
            for n in range(count)
        ],
    )


async def test_while_a_backup_is_taken_what_was_sent_is_kept_and_not_sent_again(
    rig: Rig, toys: Toys
):
    running = await rig.start(toys.room())

    async with held_locks([rig.dsn], outbox.KEEP_SENT_KEY):
        await call(running, MakeToy(toy_id="bear"))
        await eventually(lambda: effects_are(rig, ["bear", "heard-bear"]))
        kept = "SELECT 1 FROM outbox WHERE lease_until > now() + interval '4 minutes'"

        async def is_kept() -> bool:
            return len(await rows(rig, kept)) == 1

        await eventually(is_kept)
        assert await rig.pool.fetchval("SELECT tries FROM outbox") == 0

    await eventually(lambda: nothing_left(rig))
    assert toys.seen.count("bear") == 1


async def test_two_backups_at_once_are_one_too_many(rig: Rig):
    async with held_locks([rig.dsn], outbox.KEEP_SENT_KEY):
        with pytest.raises(Unavailable, match="another backup is being taken"):
            async with held_locks([rig.dsn], outbox.KEEP_SENT_KEY):
                pass


async def test_a_cut_shows_one_moment_and_keeps_nobody_waiting(rig: Rig, toys: Toys):
    """Its snapshot does not see what was said after it, and sayers go on while it is held."""
    running = await rig.start(toys.room())
    await call(running, MakeToy(toy_id="before"))

    async with cut({"toys": rig.dsn}, {"toys": ("inbox", "outbox")}) as moment:
        await call(running, MakeToy(toy_id="after"))
        async with transaction(rig.pool) as db:
            await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await db.execute(f"SET TRANSACTION SNAPSHOT '{moment.snapshots['toys']}'")
            seen = [row[0] for row in await db.fetch("SELECT toy_id FROM toys")]

    assert "before" in seen
    assert "after" not in seen
    assert moment.paused_seconds < 2


async def test_without_a_quiet_moment_there_is_no_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cutting, "LOCK_TRIES", 2)
    async with transaction(rig.pool) as db:
        await db.execute("LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="No quiet moment"):
            async with cut({"toys": rig.dsn}, {"toys": ("inbox", "outbox")}):
                pass
