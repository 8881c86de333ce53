"""A service is killed at an exact point of a purchase, and the purchase completes exactly once.

The points are made by holding bytes back between a service and its broker: what it could not
send when it died was never sent.
"""

from __future__ import annotations

import asyncio

from tests.faults.buyers import LOST, TAKES_TIME, a_buyer, order_of, path_of
from tests.faults.scenes import (
    CONSUMING,
    FACT_SECONDS,
    PUBLISHING,
    Broken,
    a_link,
    attempts,
    charges,
    fact,
    leases_end,
    said_once,
    until_paid,
    value,
)
from tests.support.rigs import eventually

STATUS = "SELECT status FROM orders WHERE id = $1"
SESSION = "SELECT status FROM sessions WHERE checkout_session_id = $1"
PHASE = "SELECT id FROM payment_intents WHERE order_id = $1 AND phase = $2"
# But for the provider's answer: asked again under the same key, it gives it again.
HANDLED = "SELECT count(*) FROM inbox WHERE handler NOT LIKE '%on_charge_settled'"
CLAIM = "SELECT state FROM claims WHERE order_id = $1"


async def test_links_dies_before_it_can_say_that_it_was_resolved(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        form = (await buyer.look_at_link(link["url"])).hidden
        broken.lines["links"].hold("up", line=PUBLISHING, at=b"link.resolved")
        first = asyncio.create_task(buyer.post(path_of(link["url"]), form))
        resolved = "SELECT checkout_session_id FROM resolutions WHERE payment_link_id = $1"
        session_id = await fact(shop, "links", resolved, link["payment_link_id"])

        shop.kill("links")
        heard = await value(shop, "sessions", SESSION, session_id)
        first.cancel()
        await broken.restart("links")
        await leases_end(shop, "links")
        again = await buyer.post(path_of(link["url"]), form)
        await fact(shop, "orders", STATUS, order_of(session_id))
        await buyer.fill_in(session_id)
        receipt = await buyer.press_pay(session_id)

    assert heard is None
    assert again.path == f"/c/{session_id}"
    assert receipt.path == f"/c/{session_id}/receipt"
    assert await charges(shop, session_id) == [("charge", 1200)]
    await shop.audit()


async def test_sessions_dies_before_it_can_ask_for_the_payment(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        asked = broken.lines["sessions"].hold("up", line=PUBLISHING, at=b"orders.pay")
        first = asyncio.create_task(buyer.press_pay(session_id))
        await asked.until_caught()

        shop.kill("sessions")
        first.cancel()
        unasked = await attempts(shop, session_id)
        await broken.restart("sessions")
        await buyer.press_pay(session_id)
        await leases_end(shop, "sessions")
        await until_paid(shop, session_id)

    assert unasked == []
    assert await charges(shop, session_id) == [("charge", 1200)]
    assert len(await attempts(shop, session_id)) == 1
    await shop.audit()


async def test_orders_dies_between_being_paid_and_saying_so(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        said = broken.lines["orders"].hold("up", line=PUBLISHING, at=b"order.paid")
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await said.until_caught()

        shop.kill("orders")
        ours = await value(shop, "orders", STATUS, order_of(session_id))
        page = await value(shop, "sessions", SESSION, session_id)
        await broken.restart("orders")
        await leases_end(shop, "orders")
        await until_paid(shop, session_id)
        await pressed

    assert (ours, page) == ("paid", "open")
    assert await charges(shop, session_id) == [("charge", 1200)]
    await shop.audit()


async def test_orders_dies_between_the_charge_and_our_record_of_it(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        told = broken.lines["orders"].hold("up", line=PUBLISHING, at=b"charge.settled")
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await told.until_caught()

        shop.kill("orders")
        taken = await charges(shop, session_id)
        ours = await value(shop, "orders", STATUS, order_of(session_id))
        await broken.restart("orders")
        await until_paid(shop, session_id)
        await pressed

    assert (taken, ours) == ([("charge", 1200)], "open")
    assert await charges(shop, session_id) == [("charge", 1200)]
    await shop.audit()


async def test_orders_dies_before_it_can_acknowledge_anything(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    broken.lines["orders"].hold("up", line=CONSUMING)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        receipt = await buyer.press_pay(session_id)

    async def come_back() -> bool:  # order, payment and answer; and the call to the provider
        return await broken.waiting_in("orders.in") >= 3 and bool(
            await broken.waiting_in("orders.world")
        )

    async def are_dropped() -> bool:
        return not await broken.waiting_in("orders.in") + await broken.waiting_in("orders.world")

    assert receipt.path == f"/c/{session_id}/receipt"
    await until_paid(shop, session_id)
    shop.kill("orders")
    await eventually(come_back, FACT_SECONDS)
    handled = await value(shop, "orders", HANDLED)
    await broken.restart("orders")
    await eventually(are_dropped, FACT_SECONDS)
    await until_paid(shop, session_id)
    assert await value(shop, "orders", HANDLED) == handled
    assert await charges(shop, session_id) == [("charge", 1200)]
    assert await said_once(shop, order_of(session_id), "order.created")
    await shop.audit()


async def test_a_place_is_claimed_and_paid_once_whoever_dies_on_the_way(broken: Broken) -> None:
    shop, orders, links = broken.shop, broken.lines["orders"], broken.lines["links"]
    link = await a_link(shop, max_completions=1)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        order_id = order_of(session_id)
        await buyer.fill_in(session_id)
        asking = orders.hold("up", line=PUBLISHING, at=b"links.claim")
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await asking.until_caught()
        shop.kill("orders")  # The money is held, no place is claimed.
        held = await charges(shop, session_id), await value(shop, "links", CLAIM, order_id)

        answering = links.hold("up", line=PUBLISHING, at=b"claim.settled")
        await broken.restart("orders")
        await leases_end(shop, "orders")
        await answering.until_caught()
        shop.kill("links")  # The place is granted, nobody knows.
        claimed = await value(shop, "links", CLAIM, order_id)

        captured = orders.hold("up", line=PUBLISHING, at=b'"step":"capture"')
        await broken.restart("links")
        await leases_end(shop, "links")
        await captured.until_caught()
        shop.kill("orders")  # The money is taken, we have no record of it.
        phase = await value(shop, "orders", PHASE, order_id, "capture")

        await broken.restart("orders")
        await until_paid(shop, session_id)
        await pressed

    assert held == ([("authorize", 1200)], None)
    assert claimed == "held"
    assert phase is not None
    assert await charges(shop, session_id) == [("authorize", 1200), ("capture", 1200)]
    assert await fact(shop, "links", f"{CLAIM} AND state = 'final'", order_id)
    await shop.audit()


async def test_who_comes_too_late_gets_the_held_money_back_once(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop, max_completions=1)
    async with a_buyer(shop) as first, a_buyer(shop) as second:
        winner, loser = await first.choose(link["url"]), await second.choose(link["url"])
        await first.fill_in(winner)
        await second.fill_in(loser)
        await first.press_pay(winner)
        await until_paid(shop, winner)
        told = broken.lines["orders"].hold("up", line=PUBLISHING, at=b'"step":"void"')
        pressed = asyncio.create_task(second.press_pay(loser))
        await told.until_caught()

        shop.kill("orders")  # The hold is given back, we have no record of it.
        phase = await value(shop, "orders", PHASE, order_of(loser), "void")
        await broken.restart("orders")
        await fact(shop, "orders", PHASE, order_of(loser), "canceled")
        await pressed

    assert phase is not None
    assert await charges(shop, loser) == [("authorize", 1200), ("void", 1200)]
    await shop.audit()


async def test_the_gateway_dies_while_a_buyer_waits_for_the_outcome(broken: Broken) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id, TAKES_TIME)
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await fact(shop, "orders", PHASE, order_of(session_id), "charge")

        shop.kill("gateway")
        broken_off = await asyncio.gather(pressed, return_exceptions=True)
        await broken.restart("gateway")
        waiting = await buyer.press_pay(session_id)

        async def is_told() -> bool:
            return (await buyer.look(f"/c/{session_id}")).path == f"/c/{session_id}/receipt"

        await eventually(is_told, FACT_SECONDS)

    assert isinstance(broken_off[0], LOST)
    assert waiting.status == 200
    assert len(await attempts(shop, session_id)) == 1
    assert await charges(shop, session_id) == [("charge", 1200)]
    await shop.audit()


async def test_a_form_that_was_cut_off_is_sent_again_and_is_the_same_attempt(
    broken: Broken,
) -> None:
    shop = broken.shop
    link = await a_link(shop)
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link["url"])
        await buyer.fill_in(session_id)
        asked = broken.lines["sessions"].hold("up", line=PUBLISHING, at=b"orders.pay")
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await asked.until_caught()
        started = "SELECT attempt ->> 'attempt_id' FROM sessions WHERE checkout_session_id = $1"
        attempt_id = await fact(shop, "sessions", started, session_id)

        pressed.cancel()
        broken.lines["sessions"].resume()
        receipt = await buyer.press_pay(session_id)
        await until_paid(shop, session_id)

    assert receipt.status == 200
    assert await attempts(shop, session_id) == [attempt_id]
    assert await charges(shop, session_id) == [("charge", 1200)]
    await shop.audit()
