"""Tiers under load: several counters at once, all or nothing; and what refunds give back."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from services.audit.places import RULES
from shared.contracts.link_requests import ReplaceLineItemsParams
from shared.contracts.links import (
    ClaimSettled,
    CreateLink,
    GetLink,
    LinkExhausted,
    LinkReopened,
    PaymentLink,
    ReplaceLineItems,
    UpdateLink,
)
from tests.builders_links import claiming, paid, params, refunded, releasing, tea
from tests.support.desk import Desk, Told


def tier(key: str, most: int | None) -> dict[str, Any]:
    return tea(key=key, name=key, max_total_quantity=most)


async def gala(links: Desk, *, seats: int | None = None, **given: Any) -> str:
    """Ten tickets on the floor, four on the balcony, and as many to stand as the event lets in."""
    lines = [tier("floor", 10), tier("balcony", 4), tier("standing", None)]
    event = {"mode": "event", "line_items": lines, "event_config": {"max_total_quantity": seats}}
    link = (await links(CreateLink(params=params(**event | given)))).reply
    return str(link.payment_link_id)


def replacing(link_id: str, *lines: dict[str, Any]) -> ReplaceLineItems:
    asked = ReplaceLineItemsParams.model_validate({"line_items": list(lines)})
    return ReplaceLineItems(payment_link_id=link_id, params=asked)


async def show(links: Desk, link_id: str) -> PaymentLink:
    link: PaymentLink = (await links(GetLink(payment_link_id=link_id))).reply
    return link


async def granted(links: Desk, link_id: str, number: int, **wanted: int) -> bool:
    told = await links(claiming(link_id, number, **wanted))
    return told.only(ClaimSettled).is_granted


async def sell(links: Desk, link_id: str, number: int, **wanted: int) -> Told:
    assert await granted(links, link_id, number, **wanted)
    return await links(paid(link_id, number, **wanted))


async def taken(links: Desk) -> dict[str, tuple[int, int, int]]:
    """What is sold, held and given back, by tier."""
    maps = [f"tiers_{name}" for name in ("sold", "claimed", "returned")]
    (row,) = await links.rows("SELECT tiers_sold, tiers_claimed, tiers_returned FROM links")
    keys = {key for name in maps for key in row[name]}
    return {key: tuple(row[name].get(key, 0) for name in maps) for key in keys}


async def add_up(links: Desk) -> None:
    """What the audit asks of the links' own tables."""
    for rule, sql in RULES.items():
        assert await links.rows(sql) == [], rule


async def test_tickets_of_several_tiers_are_claimed_all_or_none(links: Desk):
    link_id = await gala(links)

    first = await granted(links, link_id, 1, floor=2, balcony=3)
    second = await granted(links, link_id, 2, floor=2, balcony=2)
    third = await granted(links, link_id, 3, floor=8, balcony=1, standing=50)

    assert (first, second, third) == (True, False, True)
    assert await taken(links) == {
        "floor": (0, 10, 0),
        "balcony": (0, 4, 0),
        "standing": (0, 50, 0),
    }
    await add_up(links)


async def test_a_tier_has_room_only_as_far_as_the_event_and_the_orders_have(links: Desk):
    link_id = await gala(links, seats=5, max_completions=2)

    assert await granted(links, link_id, 1, floor=4)
    no_seat = await links(claiming(link_id, 2, floor=1, standing=1))
    assert await granted(links, link_id, 3, standing=1)
    await links(UpdateLink(payment_link_id=link_id, params={"event_config": {}}))
    await links(
        UpdateLink(payment_link_id=link_id, params={"event_config": {"max_total_quantity": 99}})
    )
    no_place = await links(claiming(link_id, 4, floor=1))

    assert no_seat.only(ClaimSettled).refusal_code == "EVENT_SOLD_OUT"
    assert no_place.only(ClaimSettled).refusal_code == "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    await add_up(links)


async def test_tiers_are_sold_to_the_last_ticket_whatever_order_they_are_asked_in(links: Desk):
    link_id = await gala(links, seats=12)
    wanted = [{"floor": 1}, {"balcony": 1, "floor": 1}, {"floor": 1, "balcony": 1}, {"balcony": 1}]

    answers = await asyncio.gather(
        *(granted(links, link_id, number, **wanted[number % 4]) for number in range(80))
    )

    held = await taken(links)
    (row,) = await links.rows("SELECT claimed_count, claimed_quantity FROM links")
    assert held["balcony"] == (0, 4, 0)
    assert held["floor"][1] <= 10
    assert row["claimed_quantity"] == held["floor"][1] + 4 <= 12
    assert row["claimed_count"] == Counter(answers)[True]
    assert row["claimed_quantity"] == 12 or held["floor"][1] == 10
    await add_up(links)


async def test_a_claim_is_answered_the_same_for_ever_and_counted_once(links: Desk):
    link_id = await gala(links)
    asked = [claiming(link_id, number, balcony=2) for number in range(4)]

    first = await asyncio.gather(*(links(message) for message in asked * 3))
    again = await asyncio.gather(*(links(message) for message in asked))

    answers = {told.only(ClaimSettled).attempt_id: told.messages for told in again}
    assert all(answers[told.only(ClaimSettled).attempt_id] == told.messages for told in first)
    assert (await taken(links))["balcony"] == (0, 4, 0)


async def test_what_is_given_back_is_free_in_every_tier_it_was_held_in(links: Desk):
    link_id = await gala(links)
    await granted(links, link_id, 1, floor=10, balcony=4)

    await links(releasing(link_id, 1))
    await links(releasing(link_id, 1))

    assert set((await taken(links)).values()) == {(0, 0, 0)}
    assert await granted(links, link_id, 2, floor=10, balcony=4)
    await add_up(links)


async def test_a_sale_counts_its_tiers_and_the_last_one_of_all_exhausts_the_event(links: Desk):
    lines = [tier("floor", 2), tier("balcony", 1)]
    link_id = await gala(links, line_items=lines)

    first = await sell(links, link_id, 1, balcony=1)
    last = await sell(links, link_id, 2, floor=2)

    assert first.said == []
    fact = last.only(LinkExhausted)
    assert (fact.remaining_quantity, fact.total_quantity_sold, fact.completed_count) == (0, 3, 2)
    assert await taken(links) == {"floor": (2, 0, 0), "balcony": (1, 0, 0)}


async def test_two_last_tickets_sold_at_once_are_one_exhausted_event(links: Desk):
    lines = [tier(f"tier-{number}", 1) for number in range(6)]
    link_id = await gala(links, line_items=lines)
    sales = [{f"tier-{number}": 1} for number in range(6)]
    for number, sale in enumerate(sales):
        assert await granted(links, link_id, number, **sale)

    told = await asyncio.gather(
        *(links(paid(link_id, number, **sale)) for number, sale in enumerate(sales))
    )

    said = [type(message) for one in told for message in one.messages]
    assert said == [LinkExhausted]


async def test_a_wider_tier_reopens_and_a_smaller_one_says_what_is_beyond_it(links: Desk):
    link_id = await gala(links, line_items=[tier("floor", 2)])
    await sell(links, link_id, 1, floor=2)

    async def cap(most: int) -> Told:
        return await links(replacing(link_id, tier("floor", most)))

    wider, smaller = await cap(3), await cap(1)

    assert [type(fact) for fact in wider.messages][1:] == [LinkReopened]
    assert wider.reply.warnings == []
    assert [type(fact) for fact in smaller.messages][1:] == [LinkExhausted]
    (warning,) = smaller.reply.warnings
    assert (warning.code, warning.param) == ("CAP_BELOW_SOLD", "line_items[0].max_total_quantity")
    assert not await granted(links, link_id, 2, floor=1)
    await add_up(links)


async def test_a_tier_that_is_taken_off_the_link_keeps_what_it_sold(links: Desk):
    link_id = await gala(links)
    await sell(links, link_id, 1, balcony=4)
    await granted(links, link_id, 2, floor=1)

    await links(replacing(link_id, tier("terrace", 5)))
    await links(paid(link_id, 2, floor=1))
    await links(replacing(link_id, tier("balcony", 5)))

    assert (await taken(links))["floor"] == (1, 0, 0)
    assert (await show(links, link_id)).remaining_quantity == 1
    await add_up(links)


# Refunds


async def test_a_whole_refund_gives_the_place_back_only_where_the_link_says_so(links: Desk):
    keeps = await gala(links, line_items=[tier("floor", 1)])
    frees = await gala(links, line_items=[tier("floor", 1)], release_on_refund=True)
    await sell(links, keeps, 1, floor=1)
    await sell(links, frees, 2, floor=1)

    kept = await links(refunded(keeps, 1, of_tiers={"floor": 1}))
    part = await links(refunded(frees, 2, is_whole=False, of_tiers={"floor": 1}))
    freed = await links(refunded(frees, 2, of_tiers={"floor": 1}))
    again = await links(refunded(frees, 2, of_tiers={"floor": 1}))

    assert (kept.said, part.said, again.said) == ([], [], [])
    assert freed.only(LinkReopened).active_count == 0
    link = await show(links, frees)
    assert (link.completed_count, link.active_count) == (1, 0)
    assert (link.total_quantity_sold, link.remaining_quantity) == (1, 1)
    assert await granted(links, frees, 3, floor=1)
    assert not await granted(links, keeps, 4, floor=1)
    await add_up(links)


async def test_a_refund_heard_before_its_sale_adds_up_the_same(links: Desk):
    link_id = await gala(links, release_on_refund=True, max_completions=1)
    await granted(links, link_id, 1, floor=2)

    await links(refunded(link_id, 1, of_tiers={"floor": 2}))
    await links(paid(link_id, 1, floor=2))

    link = await show(links, link_id)
    assert (link.completed_count, link.active_count, link.is_sold_out) == (1, 0, False)
    assert (await taken(links))["floor"] == (2, 0, 2)
    assert await granted(links, link_id, 2, floor=10)


async def test_a_refund_of_something_else_or_of_the_other_mode_gives_nothing_back(links: Desk):
    link_id = await gala(links, release_on_refund=True)
    await sell(links, link_id, 1, floor=2)

    assert (await links(refunded(None, 1, of_tiers={}))).said == []
    assert (await show(links, link_id)).active_count == 1


async def test_what_came_back_may_be_sold_below_a_lowered_cap(links: Desk):
    link_id = await gala(links, release_on_refund=True, max_completions=3)
    for number in range(3):
        await sell(links, link_id, number, standing=1)
    await links(UpdateLink(payment_link_id=link_id, params={"max_completions": 2}))

    await links(refunded(link_id, 0, of_tiers={"standing": 1}))
    full = await granted(links, link_id, 7, standing=1)
    await links(refunded(link_id, 1, of_tiers={"standing": 1}))
    free = await granted(links, link_id, 8, standing=1)

    assert (full, free) == (False, True)
    assert (await show(links, link_id)).warnings == []
    await add_up(links)
