"""Claims against a model, over a real database: whatever happens in whatever order, sums are exact.

Each step is one message, or several at once; after each of them the counters are compared with
what the answers say, and with the caps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.audit.places import RULES
from services.links.room import room
from shared.contracts.links import ClaimPlace, ClaimSettled, CreateLink, UpdateLink
from shared.db.pool import open_pool
from tests.builders_links import NOON, claiming, paid, params, refunded, releasing, tea
from tests.support.desk import Desk

CAPS: Final = {"floor": 6, "balcony": 3}
ORDERS: Final = 12
Wanted = dict[str, int]
T = TypeVar("T")

wanted = st.fixed_dictionaries(
    {}, optional={key: st.integers(1, 3) for key in ("floor", "balcony", "standing")}
).filter(bool)
orders = st.integers(0, ORDERS - 1)
which = st.integers(0, 999)


def one_of(things: Sequence[T], number: int) -> T:
    """The `number`th, counted round: what is drawn must not depend on who won a race."""
    return things[number % len(things)]


@dataclass
class Sale:
    """What an order took, by which attempt, and what became of it."""

    attempt: int
    order: int
    taken: Wanted
    state: str = "held"  # then `sold`, then `returned`; or `released`


@dataclass
class Books:
    """What must be true of the link."""

    seats: int = 9
    places: int = 7
    sales: list[Sale] = field(default_factory=list)

    def count(self, *states: str) -> tuple[int, Counter[str]]:
        """Orders and tickets by tier in these states."""
        sales = [sale for sale in self.sales if sale.state in states]
        tickets: Counter[str] = Counter()
        for sale in sales:
            tickets.update(sale.taken)
        return len(sales), tickets

    def has_room_for(self, asked: Wanted) -> bool:
        """Whether a claim has to be granted now."""
        places, tickets = self.count("held", "sold")
        tiers = all(tickets[key] + asked.get(key, 0) <= most for key, most in CAPS.items())
        seats = tickets.total() + sum(asked.values()) <= self.seats
        return places < self.places and seats and tiers


class Claims(RuleBasedStateMachine):
    """One link after another, each with a life of its own."""

    desk: Desk
    runner: asyncio.Runner
    number = 0  # of the last attempt, over all examples

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.base = Claims.number
        self.answers: dict[int, tuple[ClaimPlace, bool]] = {}
        lines = [tea(key=key, name=key, max_total_quantity=most) for key, most in CAPS.items()]
        asked = params(
            mode="event",
            line_items=[*lines, tea(key="standing", name="Standing")],
            max_completions=self.books.places,
            event_config={"max_total_quantity": self.books.seats},
            release_on_refund=True,
        )
        self.link_id = self.tell(CreateLink(params=asked)).reply.payment_link_id

    def tell(self, message: Any) -> Any:
        return self.runner.run(self.desk(message))

    def order(self, number: int) -> int:
        return self.base * ORDERS + number

    def has_a_place(self, order: int) -> bool:
        mine = [sale for sale in self.books.sales if sale.order == self.order(order)]
        return any(sale.state != "released" for sale in mine)

    def asks(self, order: int, asked: Wanted) -> ClaimPlace:
        Claims.number += 1
        return claiming(self.link_id, Claims.number, order=self.order(order), **asked)

    def learn(self, message: ClaimPlace, is_granted: bool) -> None:
        number = int(message.attempt_id.removeprefix("pi_"))
        self.answers[number] = (message, is_granted)
        if is_granted:
            order = int(message.order_id.removeprefix("ord_"))
            self.books.sales.append(Sale(number, order, dict(message.quantities)))

    @rule(order=orders, asked=wanted)
    def claim(self, order: int, asked: Wanted) -> None:
        expected = not self.has_a_place(order) and self.books.has_room_for(asked)
        message = self.asks(order, asked)

        is_granted = self.tell(message).only(ClaimSettled).is_granted

        assert is_granted == expected
        self.learn(message, is_granted)

    @rule(many=st.lists(st.tuples(orders, wanted), min_size=2, max_size=6))
    def claim_at_once(self, many: list[tuple[int, Wanted]]) -> None:
        messages = [self.asks(order, asked) for order, asked in many]

        async def ask() -> list[Any]:
            return await asyncio.gather(*(self.desk(message) for message in messages * 2))

        told = self.runner.run(ask())

        answers = [one.only(ClaimSettled).is_granted for one in told]
        assert answers[: len(messages)] == answers[len(messages) :], "asked twice, one answer"
        for message, is_granted in zip(messages, answers, strict=False):
            self.learn(message, is_granted)

    @precondition(lambda self: self.answers)
    @rule(which=which)
    def release(self, which: int) -> None:
        """Of any attempt: only what is held comes back."""
        number = one_of(sorted(self.answers), which)
        message, _ = self.answers[number]
        order = int(message.order_id.removeprefix("ord_"))
        self.tell(releasing(self.link_id, number, order=order))
        for sale in self.books.sales:
            if sale.attempt == number and sale.state == "held":
                sale.state = "released"

    @rule(which=which)
    def pay(self, which: int) -> None:
        sales = [sale for sale in self.books.sales if sale.state == "held"]
        if sales:
            sale = one_of(sales, which)
            self.tell(paid(self.link_id, sale.order, **sale.taken))
            sale.state = "sold"

    @rule(which=which)
    def refund(self, which: int) -> None:
        sales = [sale for sale in self.books.sales if sale.state in ("sold", "returned")]
        if sales:  # A second time it changes nothing.
            sale = one_of(sales, which)
            self.tell(refunded(self.link_id, sale.order, of_tiers=sale.taken))
            sale.state = "returned"

    @precondition(lambda self: self.answers)
    @rule(which=which)
    def ask_again(self, which: int) -> None:
        number = one_of(sorted(self.answers), which)
        message, was_granted = self.answers[number]
        state = next((one.state for one in self.books.sales if one.attempt == number), "")
        answer = self.tell(message).only(ClaimSettled).is_granted
        assert answer == (was_granted and state != "released")

    @rule(seats=st.integers(1, 14), places=st.integers(1, 10))
    def change_the_caps(self, seats: int, places: int) -> None:
        event = {"max_total_quantity": seats}
        changes = {"max_completions": places, "event_config": event}
        link = self.tell(UpdateLink(payment_link_id=self.link_id, params=changes)).reply
        self.books.seats, self.books.places = seats, places
        sold, tickets = self.books.count("sold")
        below = {one.param for one in link.warnings}
        assert ("max_completions" in below) == (sold > places)
        assert ("event_config.max_total_quantity" in below) == (tickets.total() > seats)

    @invariant()
    def counters_say_what_the_answers_said(self) -> None:
        sql = "SELECT * FROM links WHERE payment_link_id = $1"
        (row,) = self.runner.run(self.desk.rows(sql, self.link_id))
        held, held_of = self.books.count("held")
        sold, sold_of = self.books.count("sold", "returned")
        back, back_of = self.books.count("returned")
        assert (row["claimed_count"], row["claimed_quantity"]) == (held, held_of.total())
        assert (row["completed_count"], row["total_quantity_sold"]) == (sold, sold_of.total())
        assert (row["returned_count"], row["returned_quantity"]) == (back, back_of.total())
        maps = zip(("claimed", "sold", "returned"), (held_of, sold_of, back_of), strict=True)
        for name, count in maps:
            assert Counter(row[f"tiers_{name}"]) == count

    @invariant()
    def no_tier_is_sold_twice(self) -> None:
        _, tickets = self.books.count("held", "sold")
        assert all(tickets[key] <= most for key, most in CAPS.items())

    def teardown(self) -> None:
        for name, sql in RULES.items():
            assert self.runner.run(self.desk.rows(sql)) == [], name


async def _open(dsn: str) -> Desk:
    return Desk(room(), await open_pool(dsn, name="claims", size=8), NOON)


def test_no_order_of_events_sells_a_place_twice_or_loses_one(claims_database: str):
    with asyncio.Runner() as runner:
        Claims.runner, Claims.desk = runner, runner.run(_open(claims_database))
        quick = settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Claims, settings=quick)
        runner.run(Claims.desk.pool.close())
