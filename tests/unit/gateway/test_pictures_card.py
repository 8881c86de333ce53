"""The card that stands for a link where it is shared."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.gateway.pages.preview import card_of, price_of
from services.gateway.pages.render import format_amount
from services.gateway.pages.theme import contrast
from services.gateway.pages.views import Brand
from services.gateway.pictures.card import HEIGHT, WIDTH, Card, draw, writable
from shared.contracts.links import ResolvedLine
from shared.money import EXPONENTS, Money
from tests.builders_pages import a_free_line, a_line, a_shown_link, usd

FONTS = Path("services/gateway/pictures/fonts")
TEA = Card("Harbour Tea", "Spring tea box", "$46.50", "#1f4d3a")


def opened(card: Card) -> Image.Image:
    return Image.open(io.BytesIO(draw(card).body))


def shades(picture: Image.Image) -> list[str]:
    """Its colours, the most frequent first."""
    found = picture.convert("RGB").getcolors(1 << 24) or []
    pixels = sorted(((count, color) for count, color in found), key=lambda one: -one[0])
    return ["#" + bytes(color).hex() for _, color in pixels if isinstance(color, tuple)]


def is_blank(picture: Image.Image, box: tuple[int, int, int, int]) -> bool:
    return len(picture.convert("RGB").crop(box).getcolors(1 << 24) or []) == 1


NAME = (80, 200, 1120, 420)
PRICE = (80, 462, 1120, 550)
SELLER = (80, 80, 700, 152)
CORNER = (900, 80, 1120, 152)


def test_it_has_the_size_that_previews_want_and_is_light():
    picture = draw(TEA)

    assert opened(TEA).size == (WIDTH, HEIGHT)
    assert picture.content_type == "image/png"
    assert len(picture.body) < 40_000


@pytest.mark.parametrize("color", ["#1f4d3a", "#ffcf33", "#ffffff", "#000000", "#808080"])
def test_it_is_in_the_brands_colour_and_its_words_can_be_read(color: str):
    first, second, *_ = shades(opened(Card("Harbour Tea", "Spring tea box", "$46.50", color)))

    assert first == color
    assert contrast(first, second) >= 4.5


def test_seller_name_and_price_are_on_it_and_a_test_says_so():
    whole, empty = opened(TEA), opened(Card("", "", "", TEA.color))

    for part in (SELLER, NAME, PRICE):
        assert not is_blank(whole, part)
        assert is_blank(empty, part)
    assert is_blank(whole, CORNER)
    assert not is_blank(opened(Card("T", "T", "$1", "#000000", is_test_mode=True)), CORNER)


@pytest.mark.parametrize("words", ["w" * 250, "tea " * 60, "x", "a\u0300" * 120, "Ж" * 250])
def test_long_words_stay_inside_the_margins(words: str):
    picture = opened(Card(words, words, words[:80], "#000000", is_test_mode=True)).convert("L")

    assert picture.getbbox() is not None
    left, top, right, bottom = picture.getbbox() or (0, 0, 0, 0)
    assert left >= 70
    assert top >= 70
    assert right <= WIDTH - 70
    assert bottom <= HEIGHT - 70


@pytest.mark.parametrize(
    "words, written",
    [
        ("Spring tea box", "Spring tea box"),
        ("Crème brûlée — 2 pièces", "Crème brûlée — 2 pièces"),
        ("Чай", "Чай"),
        ("Τσάι", "Τσάι"),
        ("Tea \U0001f375 box", "Tea box"),
        ("tea\u202ebox\u0000\n two", "teabox two"),
        ("お茶", ""),
        ("Tea お茶", ""),
        ("شاي", ""),
        ("\U0001f375", ""),
        ("", ""),
    ],
)
def test_words_are_written_whole_or_not_at_all_and_never_as_boxes(words: str, written: str):
    assert writable(words, "title") == written


def test_a_name_that_cannot_be_written_leaves_the_title_to_the_seller():
    assert not is_blank(opened(Card("Harbour Tea", "お茶", "$1.00", "#000000")), NAME)
    assert is_blank(opened(Card("Harbour Tea", "お茶", "$1.00", "#000000")), (170, 80, 700, 152))


@given(st.text(max_size=250), st.text(max_size=250), st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_words_at_all_can_break_it(seller: str, name: str, price: str):
    assert opened(Card(seller, name, price, "#1f4d3a")).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_a_price_can_be_written_in_every_currency(currency: str):
    price = format_amount(123_456, currency)

    assert writable(price, "title") == " ".join(price.split())


FILS = Money(amount=10, currency="KWD")  # no card pays less


def line(amount: int = 1200, **given: object) -> ResolvedLine:
    return a_line(unit_price_money=usd(amount), allow_quantity_adjustment=False, **given)


@pytest.mark.parametrize(
    "lines, price",
    [
        ([line(1200)], "$12.00"),
        ([line(1200, quantity=3, min_quantity=3)], "$36.00"),
        ([line(1200), line(300)], "$15.00"),
        ([a_line()], "$12.00"),
        ([a_line(), line(300)], "From $15.00"),
        ([a_line(quantity=0), a_line(quantity=0, unit_price_money=usd(700))], "From $7.00"),
        ([a_line(is_sold_out=True), line(700)], "$7.00"),
        ([a_free_line()], "From $5.00"),
        ([a_free_line(min_amount_money=None)], "Any amount"),
        ([a_free_line(min_amount_money=usd(1))], "Any amount"),
        ([a_free_line(unit_price_money=FILS, min_amount_money=FILS)], "Any amount"),
        ([a_free_line(), line(1200)], "From $17.00"),
        ([line(1500).model_copy(update={"unit_price_money": Money(amount=1500, currency="JPY")})],
         "¥1,500"),
        ([], "Any amount"),
    ],
)  # fmt: skip
def test_the_price_is_exact_or_says_where_it_begins(lines: list[ResolvedLine], price: str):
    assert price_of(lines) == price


@pytest.mark.parametrize(
    "reason, words",
    [
        (None, "$12.00"),
        ("EVENT_SOLD_OUT", "Sold out"),
        ("EVENT_ENDED", "Over"),
        ("PAYMENT_LINK_INACTIVE", "Not available"),
        ("SUBSCRIPTION_PLAN_ARCHIVED", "Not available"),
        ("SOMETHING_NEW", ""),
    ],
)
def test_what_sells_nothing_now_shows_no_price(reason: str | None, words: str):
    brand = Brand("Northwind Tea", {"title": "Northwind", "primary_color": "#FFCF33"})

    card = card_of(a_shown_link(unavailable_reason=reason), brand)

    assert card == Card("Northwind", "Tea", words, "#ffcf33")


def test_the_typefaces_are_those_that_were_vendored_licence_included():
    listed = {}
    for row in (FONTS / "MANIFEST").read_text().splitlines():
        if not row.startswith("#"):
            *_, digest, name = row.split()
            listed[name] = digest

    found = {path.name: path for path in FONTS.iterdir() if path.name != "MANIFEST"}
    assert found.keys() == listed.keys()
    for name, path in found.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name]
