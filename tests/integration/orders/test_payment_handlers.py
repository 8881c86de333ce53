"""Payments over real databases: the orders room on one, the sandbox's books on another."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from shared.contracts.base import Message
from shared.contracts.orders import (
    AttemptRefused,
    CloseOrder,
    CloseOrderParams,
    GetOrder,
    Order,
    OrderClosed,
    OrderPaid,
    ReviseOrder,
    TipInput,
)
from shared.contracts.payments import (
    ChargePayment,
    GetPaymentIntent,
    LookUpPayment,
    PaymentIntent,
    PaymentIntentCanceled,
    PaymentIntentFailed,
    PaymentIntentProcessing,
    PaymentIntentRequiresAction,
    PaymentIntentSucceeded,
    ResumePayment,
)
from shared.errors import Refusal, Unavailable
from tests.builders_orders import (
    Shop,
    creating,
    from_page,
    paying,
    resolved,
    session_expired,
    usd,
)


async def order_of(shop: Shop, order_id: str) -> Order:
    order = (await shop.desk(GetOrder(order_id=order_id))).reply
    assert isinstance(order, Order)
    return order


async def intent_of(shop: Shop, attempt_id: str) -> PaymentIntent:
    intent = (await shop.desk(GetPaymentIntent(payment_intent_id=attempt_id))).reply
    assert isinstance(intent, PaymentIntent)
    return intent


async def books(shop: Shop) -> list[tuple[str, str]]:
    return [(entry.attempt_id, entry.kind) async for entry in shop.sandbox.entries()]


async def opened(shop: Shop, *amounts: int, **more: Any):
    link = resolved(*amounts, **more)
    await shop.tell(link)
    shop.events.clear()
    return link


async def refused(shop: Shop, message: Message, **to: str) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await shop.desk(message, **to)
    return refusal.value


def kinds(shop: Shop) -> list[type]:
    return [type(event) for event in shop.events]


@pytest.mark.parametrize(
    "token, code",
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_incorrect_cvc", "incorrect_cvc"),
        ("tok_nonsense", "payment_failed"),
    ],
)
@pytest.mark.parametrize("is_limited", [False, True])
async def test_a_declined_card_leaves_the_order_to_be_paid_with_another(
    shop: Shop, token, code, is_limited
):
    link = await opened(shop, is_limited=is_limited)
    first, second = from_page(link, token), from_page(link)

    await shop.tell(first)
    await shop.tell(second)

    assert kinds(shop) == [
        PaymentIntentProcessing,
        PaymentIntentFailed,
        PaymentIntentProcessing,
        PaymentIntentSucceeded,
        OrderPaid,
    ]
    assert shop.said(PaymentIntentFailed)[0].failure_code == code
    order = await order_of(shop, link.order_id)
    assert order.payment_intent_ids == [first.attempt_id, second.attempt_id]
    assert {attempt_id for attempt_id, _ in await books(shop)} == {second.attempt_id}


async def test_a_limited_offer_is_captured_only_after_its_place_is_claimed(shop: Shop):
    link = await opened(shop, 500, 700, is_limited=True)
    asked: list[tuple[Any, Any]] = []

    def look(claim):
        asked.append((claim.quantities, claim.payment_link_id))

    shop.refuses = look
    pay = from_page(link)
    await shop.tell(pay)

    assert asked == [({"line-1": 1, "line-2": 1}, link.payment_link_id)]
    assert await books(shop) == [(pay.attempt_id, "authorize"), (pay.attempt_id, "capture")]
    assert kinds(shop) == [PaymentIntentProcessing, PaymentIntentSucceeded, OrderPaid]


async def test_who_comes_too_late_for_a_place_is_voided(shop: Shop):
    link = await opened(shop, is_limited=True)
    shop.refuses = lambda _: "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    pay = from_page(link)

    await shop.tell(pay)

    assert await books(shop) == [(pay.attempt_id, "authorize"), (pay.attempt_id, "void")]
    (canceled,) = shop.said(PaymentIntentCanceled)
    assert canceled.failure_code == "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    assert canceled.checkout_session_id == link.checkout_session_id
    assert (await order_of(shop, link.order_id)).status == "open"
    assert shop.released == []


@pytest.mark.parametrize("is_limited", [False, True])
async def test_a_lost_answer_is_asked_for_and_the_money_is_taken_once(shop: Shop, is_limited):
    link = await opened(shop, is_limited=is_limited)
    pay = from_page(link, "tok_unknown")
    await shop.tell(pay)
    before = (await intent_of(shop, pay.attempt_id)).status

    for _ in range(4):
        shop.desk.later(3)
        await shop.sweep()

    assert before == "processing"
    assert (await order_of(shop, link.order_id)).status == "paid"
    assert Counter(kind for _, kind in await books(shop)) == (
        {"authorize": 1, "capture": 1} if is_limited else {"charge": 1}
    )


async def test_no_second_charge_starts_while_the_outcome_is_unknown(shop: Shop):
    link = await opened(shop)
    await shop.tell(from_page(link, "tok_unknown"))

    refusal = await refused(shop, paying(link.order_id))
    await shop.tell(from_page(link))

    assert refusal.code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"
    assert [fact.failure_code for fact in shop.said(AttemptRefused)] == [refusal.code]
    assert len(await books(shop)) == 1


async def test_a_crash_between_charge_and_record_is_mended_by_the_sweep(shop: Shop):
    link = await opened(shop)
    told = await shop.desk(from_page(link))
    (charge,) = [one for one in told.messages if isinstance(one, ChargePayment)]
    await shop.desk.room.effects[ChargePayment](charge)  # done, and its answer never arrives

    assert await shop.sweep() == 0  # not before it is late
    shop.desk.later(15)
    assert await shop.sweep() == 1

    assert (await order_of(shop, link.order_id)).status == "paid"
    assert await books(shop) == [(charge.attempt_id, "charge")]


async def test_a_charge_that_was_never_sent_is_sent_by_the_sweep_under_its_key(shop: Shop):
    link = await opened(shop)
    told = await shop.desk(from_page(link))
    assert [type(one) for one in told.messages] == [PaymentIntentProcessing, ChargePayment]

    shop.desk.later(15)
    await shop.sweep()

    assert (await order_of(shop, link.order_id)).status == "paid"
    assert len(await books(shop)) == 1


async def test_a_buyer_who_confirms_at_the_bank_has_paid_when_they_are_back(shop: Shop):
    link = await opened(shop)
    pay = from_page(link, "tok_3ds")
    await shop.tell(pay)
    (asked,) = shop.said(PaymentIntentRequiresAction)
    assert asked.next_action_url is not None
    provider_ref = asked.next_action_url.rpartition("/")[2]
    challenge = await shop.sandbox.challenge(provider_ref)
    await shop.sandbox.authenticate(provider_ref, True)

    await shop.tell(ResumePayment(payment_intent_id=pay.attempt_id))

    assert challenge.return_url == pay.return_url
    assert kinds(shop)[-2:] == [PaymentIntentSucceeded, OrderPaid]
    assert (await intent_of(shop, pay.attempt_id)).next_action_url is None


async def test_a_buyer_who_fails_at_the_bank_may_try_again(shop: Shop):
    link = await opened(shop, is_limited=True)
    pay = from_page(link, "tok_3ds")
    await shop.tell(pay)
    url = shop.said(PaymentIntentRequiresAction)[0].next_action_url or ""
    await shop.sandbox.authenticate(url.rpartition("/")[2], False)

    shop.desk.later(2)
    await shop.sweep()

    assert shop.said(PaymentIntentFailed)[0].failure_code == "authentication_required"
    assert (await order_of(shop, link.order_id)).status == "open"


async def test_a_buyer_who_never_comes_back_is_given_up_on_for_good(shop: Shop):
    link = await opened(shop)
    pay = from_page(link, "tok_3ds")
    await shop.tell(pay)
    url = shop.said(PaymentIntentRequiresAction)[0].next_action_url or ""

    shop.desk.later(15 * 60)
    await shop.sweep()
    too_late = await shop.sandbox.authenticate(url.rpartition("/")[2], True)

    assert shop.said(PaymentIntentFailed)[0].failure_code == "payment_action_expired"
    assert (await intent_of(shop, pay.attempt_id)).status == "expired"
    assert too_late.state == "canceled"
    assert await books(shop) == []


async def test_a_page_may_ask_for_its_payment_but_only_for_one_that_is_there(shop: Shop):
    with pytest.raises(Refusal, match="No such payment intent"):
        await shop.desk(ResumePayment(payment_intent_id="pi_none"))


async def test_another_merchant_and_another_mode_neither_see_nor_pay(shop: Shop):
    link = await opened(shop)
    pay = from_page(link)
    await shop.tell(pay)

    for to in ({"merchant_id": "mer_other"}, {"mode": "live"}):
        get = GetPaymentIntent(payment_intent_id=pay.attempt_id)
        assert (await refused(shop, get, **to)).code == "RESOURCE_NOT_FOUND"
        assert (await refused(shop, paying(link.order_id), **to)).code == "RESOURCE_NOT_FOUND"


async def test_a_payment_for_an_order_still_on_its_way_waits_for_it(shop: Shop):
    link = resolved()

    with pytest.raises(Unavailable):
        await shop.tell(from_page(link))
    await shop.tell(link)
    await shop.tell(from_page(link))

    assert (await order_of(shop, link.order_id)).status == "paid"


async def test_what_the_page_saw_is_what_is_charged_or_nothing(shop: Shop):
    link = await opened(shop, 1000)
    tip = TipInput(percent=10)
    await shop.tell(ReviseOrder(order_id=link.order_id, expected_revision=1, tip=tip))

    await shop.tell(from_page(link, expected_amount_money=usd(1000)))
    await shop.tell(from_page(link, expected_amount_money=usd(1100)))

    assert [fact.failure_code for fact in shop.said(AttemptRefused)] == ["ORDER_CONFLICT"]
    assert shop.said(OrderPaid)[0].net_amounts.paid_money == usd(1100)


async def test_an_order_under_payment_is_neither_closed_nor_revised(shop: Shop):
    link = await opened(shop)
    await shop.tell(from_page(link, "tok_3ds"))
    tip = ReviseOrder(order_id=link.order_id, expected_revision=1, tip=TipInput(percent=10))
    close = CloseOrder(order_id=link.order_id, params=CloseOrderParams())

    for message in (tip, close):
        assert (await refused(shop, message)).code == "ORDER_PAYMENT_ATTEMPT_ACTIVE"


async def test_a_page_that_ends_under_a_payment_closes_its_order_after_the_failure(shop: Shop):
    link = await opened(shop)
    await shop.tell(from_page(link, "tok_3ds"))
    await shop.tell(session_expired(link.order_id, link.checkout_session_id, link.payment_link_id))
    assert (await order_of(shop, link.order_id)).status == "open"

    shop.desk.later(15 * 60)
    await shop.sweep()

    assert kinds(shop)[-2:] == [PaymentIntentFailed, OrderClosed]


@pytest.mark.parametrize("is_limited", [False, True])
async def test_nothing_due_is_paid_without_an_intent(shop: Shop, is_limited):
    link = await opened(shop, 0, is_limited=is_limited)
    pay = from_page(link, None)

    await shop.tell(pay)
    await shop.tell(pay)

    assert kinds(shop) == [OrderPaid]
    assert shop.said(OrderPaid)[0].attempt_id == pay.attempt_id
    assert (await order_of(shop, link.order_id)).payment_intent_ids == []
    get = GetPaymentIntent(payment_intent_id=pay.attempt_id)
    assert (await refused(shop, get)).code == "RESOURCE_NOT_FOUND"
    assert await books(shop) == []


async def test_nothing_due_and_no_place_left_is_refused(shop: Shop):
    link = await opened(shop, 0, is_limited=True)
    shop.refuses = lambda _: "EVENT_SOLD_OUT"
    pay = from_page(link, None)

    await shop.tell(pay)
    await shop.tell(pay)

    (no,) = shop.said(AttemptRefused)
    assert (no.attempt_id, no.failure_code) == (pay.attempt_id, "EVENT_SOLD_OUT")
    assert (await order_of(shop, link.order_id)).status == "open"


async def test_an_empty_order_is_not_paid(shop: Shop):
    asked = creating().params.model_copy(update={"line_items": []})
    order = (await shop.tell(creating().model_copy(update={"params": asked}))).reply

    assert (await refused(shop, paying(order.order_id))).param == "line_items"


async def test_the_sweep_asks_once_and_only_for_what_is_due(shop: Shop):
    links = [await opened(shop) for _ in range(3)]
    for link in links:
        await shop.desk(from_page(link))
    shop.desk.later(15)

    rounds = await asyncio.gather(*(shop.desk.sweep("payments.resume_due") for _ in range(4)))
    again = await shop.desk.sweep("payments.resume_due")

    asked = [one for told in rounds for one in told.messages]
    assert sorted(one.order_id for one in asked if isinstance(one, LookUpPayment)) == sorted(
        link.order_id for link in links
    )
    assert again.reply == 0


async def test_what_a_sweep_causes_belongs_to_the_order_s_merchant(shop: Shop):
    link = await opened(shop)
    await shop.desk(from_page(link))
    shop.desk.later(15)

    told = await shop.desk.sweep("payments.resume_due")

    assert [(one.context.merchant_id, one.context.mode) for one in told.said] == [
        (link.merchant_id, "test")
    ]
