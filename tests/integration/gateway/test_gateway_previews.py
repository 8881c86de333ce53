"""A link's preview picture over real HTTP: kept, drawn once, and not for the asking of a flood."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from services.gateway.pictures import card
from services.gateway.rates import RateLimit
from shared.contracts.links import ShowLink
from shared.db.pool import Pool
from shared.errors import not_found
from tests.builders_gateway import Shopfront
from tests.builders_pages import a_shown_link
from tests.support.scripted_pages import a_pages_shop, get

PATH = "/l/tea/preview.png"


@pytest.fixture
async def shop(pool: Pool) -> AsyncIterator[Shopfront]:
    async with a_pages_shop(pool) as shop:
        shop.services.answers[ShowLink] = a_shown_link()
        yield shop


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[card.Card]:
    """Every card that is drawn from now on."""
    cards: list[card.Card] = []
    draw = card.draw

    def noting(wanted: card.Card) -> object:
        cards.append(wanted)
        return draw(wanted)

    monkeypatch.setattr(card, "draw", noting)
    return cards


async def test_the_page_names_a_picture_that_is_there(shop: Shopfront):
    page = await (await get(shop, "/l/tea")).text()
    (address,) = re.findall(r'og:image" content="https://pay.example.com([^"]+)"', page)

    answer = await get(shop, address)

    assert address == f"{PATH}?v=1"
    assert (answer.status, answer.content_type) == (200, "image/png")
    assert Image.open(io.BytesIO(await answer.read())).size == (1200, 630)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in answer.headers


async def test_however_many_bots_come_it_is_drawn_once(shop: Shopfront, drawn: list[card.Card]):
    answers = await asyncio.gather(*(get(shop, PATH) for _ in range(20)))
    head = await shop.client.head(PATH)
    known = await shop.client.get(PATH, headers={"If-None-Match": answers[0].headers["ETag"]})

    assert [one.status for one in [*answers, head]] == [200] * 21
    assert known.status == 304
    assert len(drawn) == 1


async def test_another_price_or_state_is_another_picture(shop: Shopfront, drawn: list[card.Card]):
    first = await get(shop, PATH)
    shop.services.answers[ShowLink] = a_shown_link(unavailable_reason="EVENT_SOLD_OUT")
    second = await get(shop, PATH)

    assert [one.price for one in drawn] == ["$12.00", "Sold out"]
    assert first.headers["ETag"] != second.headers["ETag"]


async def test_one_address_has_only_so_many_drawn_and_the_kept_for_nothing(
    shop: Shopfront, drawn: list[card.Card]
):
    shop.gateway.buyer_limit = RateLimit(0.1, 2)
    statuses = []
    for name in ("a", "b", "c", "a", "b"):
        shop.services.answers[ShowLink] = a_shown_link(name=name)
        statuses.append((await get(shop, PATH)).status)

    assert statuses == [200, 200, 429, 200, 200]
    assert [one.name for one in drawn] == ["a", "b"]


async def test_an_unknown_link_has_none(shop: Shopfront, drawn: list[card.Card]):
    shop.services.answers[ShowLink] = not_found("payment link")

    for path in (PATH, "/l/..%2f/preview.png", "/l/%00/preview.png"):
        assert (await get(shop, path)).status == 404
    assert drawn == []
