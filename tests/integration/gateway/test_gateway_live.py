"""What a waiting page hears: when the hub rings, through a short outage, and when we stop."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator

import pytest

from services.gateway.live import LOOK_SECONDS, STREAMS, end_streams
from shared.contracts.sessions import ShowSession
from shared.db.pool import Pool
from shared.errors import Unavailable
from tests.builders_gateway import Shopfront
from tests.builders_pages import SESSION, a_session, an_attempt
from tests.support.scripted_pages import PAID, PATH, a_pages_shop, get, stands


@pytest.fixture
async def shop(pool: Pool) -> AsyncIterator[Shopfront]:
    async with a_pages_shop(pool) as shop:
        yield shop


async def test_a_stream_hears_of_it_when_the_hub_rings(shop: Shopfront):
    stands(shop, attempt=an_attempt())
    stream = await get(shop, f"{PATH}/status", Accept="text/event-stream")
    assert b"processing" in await stream.content.readuntil(b"\r\n\r\n")
    began = time.monotonic()

    stands(shop, a_session(**PAID), an_attempt(status="succeeded"))
    shop.gateway.hub.tell(SESSION)
    said = (await stream.content.read()).decode()

    assert time.monotonic() - began < LOOK_SECONDS
    (news,) = re.findall(r"^data: (.*?)\r?$", said, re.MULTILINE)
    assert json.loads(news) == {"status": "paid", "next": f"{PATH}/receipt"}


async def test_a_stream_outlives_a_service_that_is_away_for_a_moment(shop: Shopfront):
    stands(shop, attempt=an_attempt())
    stream = await get(shop, f"{PATH}/status")
    await stream.content.readuntil(b"\r\n\r\n")

    shop.services.answers[ShowSession] = Unavailable("away")
    shop.gateway.hub.tell(SESSION)
    asked = len(shop.services.asked)
    while len(shop.services.asked) == asked:
        await asyncio.sleep(0.01)
    stands(shop, attempt=an_attempt(status="failed", failure_code="card_declined"))
    shop.gateway.hub.tell(SESSION)

    assert b'"failed"' in await stream.content.read()


async def test_the_one_stream_too_many_is_told_to_come_again(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    stands(shop, attempt=an_attempt())
    assert shop.client.app is not None
    monkeypatch.setattr(shop.client.app[STREAMS], "_max", 0)

    answer = await get(shop, f"{PATH}/status")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"


async def test_streams_end_when_the_process_stops(shop: Shopfront):
    stands(shop, attempt=an_attempt())
    stream = await get(shop, f"{PATH}/status")
    await stream.content.readuntil(b"\r\n\r\n")

    assert shop.client.app is not None
    await end_streams(shop.client.app)
    shop.gateway.hub.tell(SESSION)

    assert await stream.content.read() == b""


async def test_nothing_to_wait_for_sends_the_page_away_at_once(shop: Shopfront):
    stands(shop)

    news = await (await get(shop, f"{PATH}/status", Accept="application/json")).json()

    assert news == {"status": "open", "next": PATH}
