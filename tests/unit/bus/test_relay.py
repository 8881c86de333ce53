"""What the relay says while nothing can be published: enough to be told, never a line a row."""

from __future__ import annotations

from typing import Any, cast

from structlog.testing import capture_logs

from shared.bus.outbox import OutboxRow
from shared.bus.relay import Postponed, Relay
from shared.contracts.base import Envelope
from shared.errors import Unavailable


def test_an_outage_is_one_line_for_each_growing_pause_with_the_count_of_its_rows():
    postponed = Postponed()

    with capture_logs() as lines:
        for second in range(60):
            for _ in range(100):
                postponed.add("order.paid", second + 1, "the broker cannot be reached")
            postponed.add("toy.made", 1, "the broker cannot be reached")
            postponed.tell(float(second))

    assert [line["rows"] for line in lines] == [101, 505, 1010, 2020]  # at 0, 5, 15 and 35 s
    assert lines[-1] == {
        "event": "outbox.postponed",
        "log_level": "warning",
        "rows": 2020,
        "topics": ["order.paid", "toy.made"],
        "tries_max": 36,
        "reason": "the broker cannot be reached",
    }


def test_the_next_outage_is_told_at_once():
    postponed = Postponed()

    with capture_logs() as lines:
        for second in (0.0, 5.0, 100.0):
            postponed.add("toy.made", 1, "refused")
            postponed.tell(second)
            postponed.tell(second + 1)
        postponed.tell(120.0)
        postponed.add("toy.made", 1, "refused")
        postponed.tell(121.0)

    assert len(lines) == 4


async def test_rows_nobody_can_take_are_counted_and_not_said_one_by_one():
    class Nobody:
        async def publish(self, *_: Any) -> None:
            raise Unavailable("the broker cannot be reached")

    no_pool = cast(Any, _NoPool())
    relay = Relay(no_pool, cast(Any, Nobody()), source="toys", instance="toys-1")
    rows = [OutboxRow(n, "event", Envelope(f"evt_{n}", "toy.made", b"{}")) for n in range(50)]

    with capture_logs() as lines:
        for row in rows:
            await relay._publish(row)
        relay._postponed.tell(1.0)

    assert [line["rows"] for line in lines if line["event"] == "outbox.postponed"] == [50]


class _NoPool:
    def acquire(self, **_: Any) -> Any:
        raise ConnectionError("no database either")
