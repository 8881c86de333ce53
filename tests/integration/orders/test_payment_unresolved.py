"""A provider that stays silent, over real databases: one line for a person, one charge at most."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.contracts.orders import GetOrder, OrderPaid
from shared.contracts.payments import ChargeSettled, LookUpPayment
from tests.builders_orders import Shop, from_page, resolved


async def test_a_silent_provider_is_told_of_once_and_settled_when_it_speaks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    link = resolved()
    await shop.tell(link)
    pay = from_page(link, "tok_unknown")
    await shop.tell(pay)
    effects: Any = shop.desk.room.effects
    speaks = effects[LookUpPayment]

    async def is_silent(msg: LookUpPayment) -> ChargeSettled:
        settled = await speaks(msg)
        assert isinstance(settled, ChargeSettled)
        silence = {"outcome": "unknown", "provider_ref": None}
        return settled.model_copy(update=silence)

    monkeypatch.setitem(effects, LookUpPayment, is_silent)
    with capture_logs() as lines:
        for _ in range(40):
            shop.desk.later(60)
            await shop.sweep()
    monkeypatch.undo()
    shop.desk.later(60)
    await shop.sweep()

    (told,) = [line for line in lines if line["event"] == "payment.unresolved"]
    assert told["log_level"] == "error"
    assert told["payment_intent_id"] == pay.attempt_id
    assert told["order_id"] == link.order_id
    assert told["started_minutes_ago"] in (10, 11)
    assert len(shop.said(OrderPaid)) == 1
    order = (await shop.desk(GetOrder(order_id=link.order_id))).reply
    assert order.status == "paid"
    assert [entry.kind async for entry in shop.sandbox.entries()] == ["charge"]
