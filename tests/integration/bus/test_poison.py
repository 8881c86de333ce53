"""F12: what nobody can handle is parked with its reason, and blocks nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
import pytest

from shared.bus.consuming import UNREADABLE_BYTES_MAX
from shared.bus.tx import Tx
from shared.bus.wire import CLOUDEVENTS, MESSAGE_BYTES_MAX, cloudevent
from shared.contracts.base import Envelope
from tests.support.faults import (
    a_fact,
    effects_are,
    heard,
    parked,
    rows,
    send_raw,
    waiting_in,
)
from tests.support.rigs import Rig, eventually
from tests.support.toys import ToyMade, Toys


@pytest.fixture
def rig(rabbit_rig: Rig) -> Rig:
    return rabbit_rig


GOOD: Final = {"x-event-id": "evt_x"}
EVENT: Final[dict[str, Any]] = {"content_type": CLOUDEVENTS, "headers": {}}
REQUEST: Final[dict[str, Any]] = {"type": "toy.made", "headers": GOOD}
POISON: Final[list[tuple[str, bytes, dict[str, Any]]]] = [
    ("malformed", b"not JSON", EVENT),
    ("malformed", b"[1, 2]", EVENT),
    ("malformed", b"null", EVENT),
    ("malformed", b'{"id": "evt_1", "type": "toy.made", "source": "/flint/toys"}', EVENT),
    ("malformed", cloudevent(a_fact("evt_2", "x")).replace(b'"test"', b'"play"'), EVENT),
    ("malformed", cloudevent(a_fact("evt_3", "x")), EVENT | {"headers": {"x-attempt": "many"}}),
    ("malformed", b"{}", {"type": "toy.made"}),
    ("malformed", b"{}", {"headers": GOOD}),
    ("malformed", b"x" * (MESSAGE_BYTES_MAX + 1), REQUEST),
    ("malformed", b"not JSON", REQUEST),
    ("malformed", b'{"toy_id": 5}', REQUEST),
    ("malformed", b"{}", REQUEST),
    ("unknown topic", b"{}", REQUEST | {"type": "toy.unheard_of"}),
    ("KeyError", b'{"toy_id": "x"}', REQUEST | {"type": "toy.lost"}),
]


async def test_poison_is_parked_with_its_reason_and_blocks_nobody(rig: Rig, toys: Toys):
    """F12: bad JSON, wrong types, unknown topics, missing headers, too large."""
    await rig.start(toys.room())

    for _, body, properties in POISON:
        await send_raw(rig, body, **properties)
    await rig.emit(ToyMade(toy_id="good"))
    await eventually(lambda: effects_are(rig, heard(["good"])))

    found: list[Any] = []

    async def all_parked() -> bool:
        found.extend(await parked(rig))
        return len(found) == len(POISON)

    await eventually(all_parked)
    reasons = {(letter.body, str(letter.headers["x-reason"])) for letter in found}
    for reason, body, _ in POISON:
        kept = body[:UNREADABLE_BYTES_MAX]
        assert any(b == kept and r.startswith(reason) for b, r in reasons), (reason, kept[:80])
    assert await waiting_in(rig, "toys.in") == 0


async def test_a_violated_constraint_is_a_bug_and_not_an_outage_that_blocks_the_rest(
    rig: Rig, toys: Toys
):
    """F12: a few looks, because another message may have won a race; then the parking queue."""
    await rig.pool.execute("INSERT INTO toys (toy_id) VALUES ('heard-twice')")
    await rig.start(toys.room())
    began = time.monotonic()

    await rig.emit(*(ToyMade(toy_id="twice") for _ in range(3)), ToyMade(toy_id="good"))

    await eventually(lambda: effects_are(rig, ["heard-good", "heard-twice"]), 10)
    letters: list[Any] = []

    async def all_parked() -> bool:
        letters.extend(await parked(rig))
        return len(letters) == 3

    await eventually(all_parked, 10)
    assert time.monotonic() - began < 10
    assert {str(letter.headers["x-reason"]) for letter in letters} == {
        "UniqueViolationError sqlstate 23505 toys_pkey"
    }
    assert {letter.headers["x-attempt"] for letter in letters} == {1}


async def test_a_record_that_cannot_be_kept_takes_no_other_with_it(rig: Rig, toys: Toys):
    """Records are kept many at a time; the bad one is parked by itself."""

    async def keep(envelopes: Sequence[Envelope], tx: Tx) -> None:
        names = [orjson.loads(envelope.body)["toy_id"] for envelope in envelopes]
        batches.append(names)
        toys.entered.set()
        await toys.gate.wait()  # meanwhile the rest gathers
        await tx.db.executemany("INSERT INTO toys VALUES ($1)", [(name,) for name in names])

    batches: list[list[str]] = []
    room = toys.room()
    others = {kind: handler for kind, handler in room.handlers.items() if kind is not ToyMade}
    await rig.start(replace(room, handlers=others, recorded=(ToyMade,), recorder=keep))
    names = [f"t{number}" for number in range(20)]

    await rig.emit(ToyMade(toy_id="first"))
    await asyncio.wait_for(toys.entered.wait(), 10)
    await rig.emit(*(ToyMade(toy_id=name) for name in names))
    await send_raw(rig, cloudevent(replace(a_fact("evt_bad", "a\x00b"), sequence=1)), **EVENT)
    await eventually(lambda: nothing_waits(rig))
    toys.gate.set()

    await eventually(lambda: effects_are(rig, ["first", *names]))
    letters: list[Any] = []

    async def one_parked() -> bool:
        letters.extend(await parked(rig))
        return bool(letters)

    await eventually(one_parked)
    assert len(batches[1]) == len(names) + 1, "the bad one was among them"
    assert [letter.headers["x-reason"] for letter in letters] == [
        "CharacterNotInRepertoireError sqlstate 22021"
    ]
    assert await waiting_in(rig, "toys.in") == 0


async def nothing_waits(rig: Rig) -> bool:
    return not await rows(rig, "SELECT 1 FROM outbox") and not await waiting_in(rig, "toys.in")
