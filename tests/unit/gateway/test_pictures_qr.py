"""QR codes, read back by another library than the one that made them."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from services.gateway.pictures.qr import QUIET_MODULES, SIZE_MAX, SIZE_MIN, draw
from shared.errors import Refusal

ADDRESS = "https://pay.example.com/l/first-flush-2k3j4h5g"
ADDRESSES = (
    ADDRESS,
    "http://localhost:8080/l/tea",
    f"https://pay.example.com/l/{'a1-' * 21}z",
    "https://xn--80ak6aa92e.example/l/tea",
)
SVG = "{http://www.w3.org/2000/svg}"


def read(picture: Image.Image) -> Any:
    (code,) = zxingcpp.read_barcodes(picture)
    return code


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body)).convert("L")


def painted(svg: ElementTree.Element, pixels: int = 8) -> Image.Image:
    """As much of SVG as these files use: horizontal strokes one module high, on white."""
    side = int(svg.attrib["viewBox"].split()[2])
    sheet = Image.new("L", (side * pixels, side * pixels), 255)
    pen = ImageDraw.Draw(sheet)
    (strokes,) = [path for path in svg.iter(f"{SVG}path") if "stroke" in path.attrib]
    x = y = 0.0
    for command, given in re.findall(r"([Mmh])([^Mmh]*)", strokes.attrib["d"]):
        numbers = [float(one) for one in re.findall(r"-?[0-9.]+", given)]
        if command == "h":
            end = x + numbers[0]
            pen.rectangle(
                [x * pixels, (y - 0.5) * pixels, end * pixels - 1, (y + 0.5) * pixels - 1], fill=0
            )
            x = end
        else:
            is_far = command == "m"
            x, y = numbers[0] + x * is_far, numbers[1] + y * is_far
    return sheet


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("size", [SIZE_MIN, 97, 256, 1_000, SIZE_MAX])
def test_a_png_is_as_big_as_asked_and_reads_as_exactly_the_address(address: str, size: int):
    picture = draw(address, "png", size)

    assert picture.content_type == "image/png"
    assert opened(picture.body).size == (size, size)
    assert read(opened(picture.body)).text == address
    assert len(picture.body) < 8_000


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_svg_is_as_big_as_asked_and_reads_as_exactly_the_address(address: str):
    picture = draw(address, "svg", 300)
    svg = ElementTree.fromstring(picture.body)

    assert picture.content_type == "image/svg+xml"
    assert (svg.attrib["width"], svg.attrib["height"], svg.attrib["role"]) == ("300", "300", "img")
    assert svg.findtext(f"{SVG}title") == f"QR code of {address}"
    assert read(painted(svg)).text == address


@pytest.mark.parametrize("size", [SIZE_MIN, 256, 1_000])
def test_all_around_it_is_the_quiet_that_scanners_need(size: int):
    picture = opened(draw(ADDRESS, "png", size).body)

    black = picture.point(lambda light: 255 - light)
    left, top, right, bottom = black.getbbox() or (0, 0, 0, 0)
    eye = black.crop((left, top, right, top + 1)).tobytes().index(b"\0")  # its upper edge
    module = eye / 7

    assert min(left, top, size - right, size - bottom) >= QUIET_MODULES * module
    assert left == top


def test_a_torn_corner_does_not_stop_a_phone():
    picture = opened(draw(ADDRESS, "png", 512).body)
    ImageDraw.Draw(picture).rectangle([300, 300, 370, 370], fill=255)

    assert read(picture).text == ADDRESS


def test_an_address_that_does_not_fit_says_how_big_it_has_to_be():
    long = f"https://{'pay.' * 50}example.com/l/tea"

    with pytest.raises(Refusal) as caught:
        draw(long, "png", SIZE_MIN)

    assert caught.value.param == "size"
    needed = int(re.sub(r"\D", "", caught.value.message))
    assert read(opened(draw(long, "png", needed * 2).body)).text == long
    assert opened(draw(long, "png", needed).body).size == (needed, needed)
