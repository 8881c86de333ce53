"""An order that was promised and is not there yet is no 404: whoever asks is told to come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.contracts.orders import CloseOrder, GetOrder, PayOrder
from shared.contracts.sessions import GetSession
from shared.db.pool import Pool
from shared.errors import not_found
from shared.ids import new_id
from tests.builders_gateway import a_session, a_shopfront


def in_a_minute() -> datetime:
    """Later than anybody would wait for an id of now."""
    return datetime.now(UTC) + timedelta(minutes=1)


async def test_an_order_whose_page_is_there_is_on_its_way(pool: Pool):
    path = f"/v1/orders/{new_id('ord')}"
    async with a_shopfront(pool, clock=in_a_minute) as shop:
        shop.services.answers = {GetSession: a_session(), GetOrder: not_found("order")}
        shop.services.answers |= {PayOrder: not_found("order"), CloseOrder: not_found("order")}

        read = await shop.ask("GET", path)
        paid = await shop.ask("POST", f"{path}/pay", {})
        closed = await shop.ask("POST", f"{path}/close", {})

    for status, told in (read, paid, closed):
        assert (status, told["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert told["error"]["remediation"]["retryable"]


async def test_an_order_without_a_page_is_unknown(pool: Pool):
    async with a_shopfront(pool, clock=in_a_minute) as shop:
        shop.services.answers = {GetOrder: not_found("order"), GetSession: not_found("session")}

        status, told = await shop.ask("GET", f"/v1/orders/{new_id('ord')}")

    assert (status, told["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
