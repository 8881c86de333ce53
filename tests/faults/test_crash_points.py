"""A service is killed at an exact point of a purchase, and the purchase completes exactly once.

Points are made by holding bytes back between a service and its broker: what it could not send
when it died was never sent.
"""

from __future__ import annotations

import asyncio

from tests.faults.buyers import a_buyer
from tests.faults.scenes import (
    CONSUMING,
    PUBLISHING,
    Broken,
    charges,
    fact,
    facts_about,
    leases_end,
    until_paid,
    value,
)
from tests.support.buying import resolve
from tests.support.rigs import eventually


async def test_orders_dies_between_the_payment_and_saying_so(broken: Broken) -> None:
    shop, line = broken.shop, broken.lines["orders"]
    link = shop.demo["links"]["standard"]["url"]
    said = line.hold("up", line=PUBLISHING, at=b"order.paid")
    async with a_buyer(shop) as buyer:
        session_id = await buyer.choose(link)
        order_id = session_id.replace("cs_", "ord_")
        await buyer.fill_in(session_id)
        pressed = asyncio.create_task(buyer.press_pay(session_id))
        await said.until_caught()
        status = await value(shop, "orders", "SELECT status FROM orders WHERE id = $1", order_id)

        shop.kill("orders")
        await broken.restart("orders")
        await leases_end(shop, "orders")
        await until_paid(shop, order_id)
        page = await pressed

    assert status == "paid"
    assert page.status == 200
    assert await charges(shop, order_id) == [("charge", 1200)]
    await shop.audit()
