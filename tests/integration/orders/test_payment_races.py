"""Whatever arrives at the same time, again, or twice: one payment goes on and money moves once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from shared.contracts.base import Message
from shared.contracts.orders import AttemptRefused, OrderPaid
from shared.contracts.payments import (
    ChargePayment,
    ChargeSettled,
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentSucceeded,
)
from tests.builders_orders import Shop, claim_settled, from_page, resolved


async def books(shop: Shop) -> list[tuple[str, str]]:
    return [(entry.attempt_id, entry.kind) async for entry in shop.sandbox.entries()]


async def opened(shop: Shop, *amounts: int, **more: Any):
    link = resolved(*amounts, **more)
    await shop.tell(link)
    shop.events.clear()
    return link


def kinds(shop: Shop) -> list[type]:
    return [type(event) for event in shop.events]


async def test_of_twenty_payments_at_once_one_goes_on(shop: Shop):
    link = await opened(shop)
    attempts = [from_page(link) for _ in range(20)]

    answers = await asyncio.gather(*(shop.tell(pay) for pay in attempts))

    assert all(answer.reply.order.order_id == link.order_id for answer in answers)
    assert len(shop.said(OrderPaid)) == 1
    assert len(shop.said(AttemptRefused)) == 19
    assert len(await books(shop)) == 1


async def test_the_same_payment_twenty_times_is_one(shop: Shop):
    link = await opened(shop)
    pay = from_page(link)

    await asyncio.gather(*(shop.tell(pay) for _ in range(20)))

    assert kinds(shop) == [PaymentIntentProcessing, PaymentIntentSucceeded, OrderPaid]
    assert len(await books(shop)) == 1


async def test_the_same_answer_twenty_times_pays_once(shop: Shop):
    link = await opened(shop)
    told = await shop.desk(from_page(link))
    settled = await _answers(shop, told.messages)

    await asyncio.gather(*(shop.tell(one) for one in settled * 20))

    assert kinds(shop) == [PaymentIntentSucceeded, OrderPaid]


async def test_a_decline_and_the_next_payment_do_not_block_each_other(shop: Shop):
    link = await opened(shop)
    first = from_page(link, "tok_declined")
    settled = await _answers(shop, (await shop.desk(first)).messages)

    async with asyncio.timeout(10):  # a deadlock would take longer
        await asyncio.gather(
            *(shop.tell(one) for one in settled * 5),
            *(shop.tell(from_page(link)) for _ in range(5)),
            *(shop.sweep() for _ in range(5)),
        )

    assert len(shop.said(PaymentIntentFailed)) == 1
    assert len(shop.said(OrderPaid)) <= 1


async def test_a_place_granted_twice_is_captured_once(shop: Shop):
    link = await opened(shop, is_limited=True)
    claims: list[Any] = []
    shop.refuses = claims.append
    await shop.tell(from_page(link))

    await shop.tell(claim_settled(claims[0]))

    assert len(shop.said(OrderPaid)) == 1
    assert [kind for _, kind in await books(shop)] == ["authorize", "capture"]


async def _answers(shop: Shop, messages: Sequence[Message]) -> list[ChargeSettled]:
    charges = [one for one in messages if isinstance(one, ChargePayment)]
    return [await shop.desk.room.effects[ChargePayment](one) for one in charges]  # type: ignore[misc]  # it answers with nothing else
