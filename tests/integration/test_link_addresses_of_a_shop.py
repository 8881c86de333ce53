"""A link's QR code and button over the whole shop: what they say, and how they are kept."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import pytest
import zxingcpp
from PIL import Image

from tests.support.selling import a_link, ask
from tests.support.shops import Shop


def path_of(link: dict[str, Any], what: str) -> str:
    return f"/v1/payment-links/{link['payment_link_id']}/{what}"


async def fetched(
    shop: Shop, path: str, status: int = 200, **headers: str
) -> tuple[bytes, aiohttp.ClientResponse]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with shop.api() as http, http.get(path, headers=named) as answer:
        body = await answer.read()
        assert answer.status == status, body[:300]
        return body, answer


async def test_the_code_reads_as_exactly_the_links_url(shop: Shop):
    link = await a_link(shop)

    body, answer = await fetched(shop, path_of(link, "qr?format=png&size=300"))

    picture = Image.open(io.BytesIO(body))
    (code,) = zxingcpp.read_barcodes(picture)
    assert (answer.content_type, picture.size, code.text) == ("image/png", (300, 300), link["url"])
    assert answer.headers["Content-Disposition"] == f'inline; filename="{link["slugs"][0]}.png"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_by_default_it_is_an_svg_that_can_be_printed_at_any_size(shop: Shop):
    link = await a_link(shop)

    body, answer = await fetched(shop, path_of(link, "qr"))

    assert answer.content_type == "image/svg+xml"
    assert body.startswith(b'<svg width="256" height="256" role="img"')
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_it_is_sent_again_only_when_it_has_changed(shop: Shop):
    link = await a_link(shop)
    path = path_of(link, "qr?format=png")
    _, first = await fetched(shop, path)
    tag = first.headers["ETag"]

    body, again = await fetched(shop, path, 304, If_None_Match=tag)
    await ask(shop, "POST", path_of(link, "slugs"), {})
    _, other = await fetched(shop, path, If_None_Match=tag)

    assert body == b""
    assert again.headers["ETag"] == tag != other.headers["ETag"]
    assert again.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    "query, param",
    [
        ("format=gif", "format"),
        ("size=63", "size"),
        ("size=2049", "size"),
        ("size=1e3", "size"),
        ("size=", "size"),
        ("size=64&size=64", "size"),
        ("color=red", "color"),
    ],
)
async def test_a_code_that_cannot_be_drawn_is_a_400_that_names_the_parameter(
    shop: Shop, query: str, param: str
):
    link = await a_link(shop)

    async with shop.api() as http, http.get(path_of(link, f"qr?{query}")) as answer:
        told = await answer.json()

    assert (answer.status, told["error"]["param"]) == (400, param)


async def test_the_button_is_a_link_in_the_merchants_colour(shop: Shop):
    link = await a_link(
        shop, name="Tea & <b>cake</b>", theme={"primary_color": "#FFCF33", "radius": "none"}
    )

    made = await ask(shop, "GET", path_of(link, "button"))
    named = await ask(shop, "GET", path_of(link, "button?label=Buy%20now"))

    assert made["html"].startswith(f'<a href="{link["url"]}" style="')
    assert made["html"].endswith(">Tea &amp; &lt;b&gt;cake&lt;/b&gt;</a>")
    assert (made["background_color"], made["text_color"]) == ("#ffcf33", "#000000")
    assert named["label"] == "Buy now"
