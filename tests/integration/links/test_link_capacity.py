"""Resolving, claiming and counting: what must hold when everybody comes at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from shared.contracts.base import Message
from shared.contracts.links import (
    ClaimSettled,
    CreateLink,
    DeactivateLink,
    GetLink,
    LinkExhausted,
    LinkReopened,
    LinkResolved,
    UpdateLink,
)
from shared.errors import Refusal
from tests.builders_links import NEVER, claiming, paid, params, releasing, resolving
from tests.support.desk import Desk, Told


async def a_link(links: Desk, **given: Any) -> str:
    return str((await links(CreateLink(params=params(**given)))).reply.payment_link_id)


async def counters(links: Desk) -> tuple[int, int]:
    (row,) = await links.rows("SELECT completed_count, claimed_count FROM links")
    return row["completed_count"], row["claimed_count"]


async def granted(links: Desk, message: Message) -> bool:
    return (await links(message)).only(ClaimSettled).is_granted


# Resolving


async def test_one_page_and_one_set_of_choices_is_one_session(links: Desk):
    link_id = await a_link(links)

    first = await links(resolving(link_id), merchant_id="")
    again = await links(resolving(link_id), merchant_id="")
    other = await links(resolving(link_id, context="ctx_2"), merchant_id="")

    fact = first.only(LinkResolved)
    assert fact.checkout_session_id == first.reply.checkout_session_id
    assert first.said[0].context.merchant_id == fact.merchant_id
    assert (again.reply, again.said) == (first.reply, [])
    assert other.reply != first.reply


async def test_a_double_click_opens_one_session(links: Desk):
    link_id = await a_link(links)

    tolds = await asyncio.gather(*(links(resolving(link_id)) for _ in range(8)))

    assert len({told.reply.checkout_session_id for told in tolds}) == 1
    assert sum(len(told.said) for told in tolds) == 1


async def test_a_resolved_page_stays_the_same_session_after_the_link_changed(links: Desk):
    link_id = await a_link(links)
    first = await links(resolving(link_id))
    await links(UpdateLink(payment_link_id=link_id, params={"name": "New"}))

    again = await links(resolving(link_id))
    with pytest.raises(Refusal) as caught:
        await links(resolving(link_id, context="ctx_2"))

    assert again.reply == first.reply
    assert caught.value.code == "PAYMENT_LINK_CHANGED_RETRY"


async def test_a_link_that_is_off_says_so_before_it_looks_at_the_page(links: Desk):
    link_id = await a_link(links)
    await links(DeactivateLink(payment_link_id=link_id))

    with pytest.raises(Refusal) as caught:
        await links(resolving(link_id, version=1))

    assert (caught.value.kind, caught.value.code) == ("conflict", "PAYMENT_LINK_INACTIVE")
    with pytest.raises(Refusal, match="No such payment link"):
        await links(resolving(NEVER))


# Claiming


async def test_ten_places_are_granted_to_exactly_ten_of_two_hundred(links: Desk):
    link_id = await a_link(links, max_completions=10)

    answers = await asyncio.gather(
        *(granted(links, claiming(link_id, number)) for number in range(200))
    )

    assert Counter(answers) == {True: 10, False: 190}
    assert await counters(links) == (0, 10)


async def test_an_attempt_gets_the_same_answer_for_ever(links: Desk):
    link_id = await a_link(links, max_completions=1)

    first = await links(claiming(link_id, 1))
    late = await links(claiming(link_id, 2))
    await links(releasing(link_id, 1))

    assert (await links(claiming(link_id, 2))).messages == late.messages
    assert late.only(ClaimSettled).refusal_code == "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    assert first.only(ClaimSettled).is_granted
    assert not await granted(links, claiming(link_id, 1))
    assert await granted(links, claiming(link_id, 3))


async def test_a_place_given_back_before_it_was_claimed_is_never_granted(links: Desk):
    link_id = await a_link(links, max_completions=1)

    await links(releasing(link_id, 1))

    assert not await granted(links, claiming(link_id, 1))
    assert await counters(links) == (0, 0)


async def test_one_order_holds_one_place_whatever_its_attempts_ask(links: Desk):
    link_id = await a_link(links, max_completions=5)

    first = await granted(links, claiming(link_id, 1, order=7))
    second = await links(claiming(link_id, 2, order=7))
    await links(releasing(link_id, 1, order=7))
    third = await granted(links, claiming(link_id, 3, order=7))

    assert (first, third) == (True, True)
    assert second.only(ClaimSettled).refusal_code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"
    assert await counters(links) == (0, 1)


async def test_a_sold_place_is_never_given_back(links: Desk):
    link_id = await a_link(links, max_completions=1)
    await links(claiming(link_id, 1))

    await links(paid(link_id, 1))
    await links(releasing(link_id, 1))

    assert await counters(links) == (1, 0)
    assert await granted(links, claiming(link_id, 1))


async def test_seats_are_claimed_all_or_none(links: Desk):
    event = {"mode": "event", "event_config": {"max_total_quantity": 5}}
    link_id = await a_link(links, **event)

    assert await granted(links, claiming(link_id, 1, seats=4))
    refused = await links(claiming(link_id, 2, seats=2))

    assert refused.only(ClaimSettled).refusal_code == "EVENT_SOLD_OUT"
    assert await granted(links, claiming(link_id, 3, seats=1))


async def test_a_claim_of_another_mode_or_an_unknown_link_is_refused(links: Desk):
    link_id = await a_link(links, max_completions=5)

    live = await links(claiming(link_id, 1), mode="live")
    unknown = await links(claiming(NEVER, 2))

    assert live.only(ClaimSettled).refusal_code == "RESOURCE_NOT_FOUND"
    assert unknown.only(ClaimSettled).refusal_code == "RESOURCE_NOT_FOUND"
    assert await counters(links) == (0, 0)


async def test_a_link_that_is_off_lets_its_open_sessions_finish(links: Desk):
    link_id = await a_link(links, max_completions=5)
    await links(DeactivateLink(payment_link_id=link_id))

    assert await granted(links, claiming(link_id, 1))


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_oversold_or_lost_in_any_order(links: Desk, seed: int):
    """Each order claims by two attempts, each asked twice; some give back, some are paid."""
    chance, places = random.Random(seed), 10
    link_id = await a_link(links, max_completions=places)
    mail: list[Message] = []
    for order in range(40):
        for attempt in (2 * order, 2 * order + 1):
            mail += [claiming(link_id, attempt, order=order)] * 2
            if chance.random() < 0.4:
                mail += [releasing(link_id, attempt, order=order)]
    chance.shuffle(mail)

    await asyncio.gather(*(links(message) for message in mail))
    held = await links.rows("SELECT order_id FROM claims WHERE state = 'held'")
    for row in held[: len(held) // 2]:
        await links(paid(link_id, int(row["order_id"].removeprefix("ord_"))))

    states = Counter(row["state"] for row in await links.rows("SELECT state FROM claims"))
    assert states["held"] + states["final"] <= places
    assert await counters(links) == (states["final"], states["held"])
    assert len({row["order_id"] for row in held}) == len(held)
    assert states.total() == 80


# Counting


async def sell(links: Desk, link_id: str, number: int, *, sold: int = 1) -> Told:
    await links(claiming(link_id, number, seats=sold))
    return await links(paid(link_id, number, sold=sold))


async def test_the_last_place_sold_exhausts_and_a_wider_cap_reopens(links: Desk):
    link_id = await a_link(links, max_completions=2)

    first, last = await sell(links, link_id, 1), await sell(links, link_id, 2)
    wider = await links(UpdateLink(payment_link_id=link_id, params={"max_completions": 3}))

    assert first.said == []
    assert last.only(LinkExhausted).completed_count == 2
    assert [type(fact) for fact in wider.messages][1:] == [LinkReopened]
    assert await granted(links, claiming(link_id, 3))


async def test_a_sale_of_something_else_is_not_counted(links: Desk):
    await a_link(links)

    await links(paid(None, 1))

    assert await counters(links) == (0, 0)


async def test_every_concurrent_sale_of_an_uncapped_link_is_counted(links: Desk):
    link_id = await a_link(links)

    await asyncio.gather(*(links(paid(link_id, number, sold=2)) for number in range(50)))

    link = (await links(GetLink(payment_link_id=link_id))).reply
    assert (link.completed_count, link.total_quantity_sold) == (50, 100)


async def test_what_was_offered_before_there_was_a_cap_is_still_sold_and_counted(links: Desk):
    link_id = await a_link(links)
    await links(UpdateLink(payment_link_id=link_id, params={"max_completions": 1}))

    await links(paid(link_id, 1))
    await links(paid(link_id, 2))

    assert await counters(links) == (2, 0)
    assert not await granted(links, claiming(link_id, 3))


async def test_a_cap_may_be_lowered_below_what_is_sold_and_held(links: Desk):
    link_id = await a_link(links, max_completions=5)
    await sell(links, link_id, 1)
    await sell(links, link_id, 2)
    await links(claiming(link_id, 3))

    lowered = await links(UpdateLink(payment_link_id=link_id, params={"max_completions": 1}))

    assert lowered.reply.is_sold_out
    assert not await granted(links, claiming(link_id, 4))
    await links(releasing(link_id, 3))
    assert await counters(links) == (2, 0)
