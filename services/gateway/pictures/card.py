"""The picture that stands for a link where it is shared: who sells what, and for how much.

1200 × 630 pixels, as previews want it, in the merchant's colour. Nothing is fetched for it: the
words come from the link, the typeface from this folder. What the typeface cannot write is left
out rather than shown as boxes: the title of the preview says it in full.
"""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

from services.gateway.pages.theme import text_on
from services.gateway.pictures.easel import Picture, picture_of

WIDTH: Final = 1200
HEIGHT: Final = 630
MARGIN: Final = 80
TITLE_SIZES: Final = {84: 2, 68: 3, 56: 3}  # in pixels, and how many lines of it there may be
MIDDLE: Final = 308  # of the name, between the seller above and the price below
CORNER: Final = 240  # kept free beside the seller: it may say that this is a test
PAPER: Final = 0
INK: Final = 255
ELLIPSIS: Final = "…"

Face = Literal["title", "text"]
_FONTS: Final = Path(__file__).parent / "fonts"
_FILES: Final = {"title": "InterDisplay-SemiBold.woff2", "text": "Inter-Medium.woff2"}
_NO_GLYPH: Final = "\U0010fffe"  # no typeface has it: how a missing glyph looks
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Co", "Cn")

Pen = ImageDraw.ImageDraw
Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Card:
    """All that is on it. `price` may be any short words; `color` is `#rrggbb`."""

    seller: str
    name: str
    price: str
    color: str
    is_test_mode: bool = False


def draw(card: Card) -> Picture:
    """The card as a PNG."""
    sheet = Image.new("L", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(sheet)
    seller, name = writable(card.seller, "text"), writable(card.name, "title")
    _draw_seller(pen, seller, is_named=bool(name))
    _draw_name(pen, name or seller)
    _draw_price(pen, writable(card.price, "title"))
    if card.is_test_mode:
        _draw_corner(pen, "Test mode")
    sheet.putpalette(_shades(card.color, text_on(card.color)))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return picture_of(out.getvalue(), "image/png")


def _shades(paper: str, ink: str) -> bytes:
    """From paper to ink in 256 steps: there are no other colours on a card."""
    ends = zip(bytes.fromhex(paper[1:]), bytes.fromhex(ink[1:]), strict=True)
    channels = [[start + (end - start) * step // 255 for step in range(256)] for start, end in ends]
    return bytes(part for shade in zip(*channels, strict=True) for part in shade)


def writable(words: str, face: Face) -> str:
    """The words as this typeface can write them; empty when letters would be missing."""
    shown = [" " if each.isspace() else each for each in unicodedata.normalize("NFC", words)]
    shown = [each for each in shown if unicodedata.category(each) not in _UNSEEN]
    missing = [each for each in shown if not _has_glyph(face, each)]
    if any(unicodedata.category(each)[0] in "LMN" for each in missing):
        return ""
    return " ".join("".join(each for each in shown if each not in missing).split())


def _draw_seller(pen: Pen, seller: str, *, is_named: bool) -> None:
    """Their initial and their name; the name is the title where the link's cannot be written."""
    if not seller:
        return
    font, side = _font("text", 40), 72
    pen.rounded_rectangle([MARGIN, MARGIN, MARGIN + side, MARGIN + side], 16, fill=INK)
    middle = MARGIN + side / 2
    initial = seller[0].upper()
    pen.text((middle, middle), initial, font=_font("title", 42), fill=PAPER, anchor="mm")
    if is_named:
        words = _cut(seller, font, WIDTH - 2 * MARGIN - side - CORNER)
        pen.text((MARGIN + side + 24, middle), words, font=font, fill=INK, anchor="lm")


def _draw_name(pen: Pen, name: str) -> None:
    size, lines = _fitted(name)
    font, step = _font("title", size), round(size * 1.14)
    top = MIDDLE - step * len(lines) // 2 + step // 2
    for number, line in enumerate(lines):
        pen.text((MARGIN, top + number * step), line, font=font, fill=INK, anchor="lm")


def _fitted(name: str) -> tuple[int, list[str]]:
    """The largest size in which the name has room, and its lines; a longer one is cut."""
    room = WIDTH - 2 * MARGIN
    for size, lines_max in TITLE_SIZES.items():
        lines = _wrapped(name, _font("title", size), room)
        if len(lines) <= lines_max:
            return size, lines
    size, lines_max = list(TITLE_SIZES.items())[-1]
    font = _font("title", size)
    first, rest = _wrapped(name, font, room)[: lines_max - 1], name
    for line in first:
        rest = rest.removeprefix(line).lstrip()
    return size, [*first, _cut(rest, font, room)]


def _draw_price(pen: Pen, price: str) -> None:
    if not price:
        return
    font, height, padding = _font("title", 46), 88, 36
    words = _cut(price, font, WIDTH - 2 * MARGIN - 2 * padding)
    bottom = HEIGHT - MARGIN
    right = MARGIN + round(font.getlength(words)) + 2 * padding
    pen.rounded_rectangle([MARGIN, bottom - height, right, bottom], height // 2, fill=INK)
    middle = (MARGIN + padding, bottom - height / 2)
    pen.text(middle, words, font=font, fill=PAPER, anchor="lm")


def _draw_corner(pen: Pen, words: str) -> None:
    font, padding, height = _font("text", 26), 20, 48
    left = WIDTH - MARGIN - round(font.getlength(words)) - 2 * padding
    top = MARGIN + 12
    box = [left, top, WIDTH - MARGIN, top + height]
    pen.rounded_rectangle(box, height // 2, outline=INK, width=2)
    pen.text((left + padding, top + height / 2), words, font=font, fill=INK, anchor="lm")


def _wrapped(words: str, font: Font, room: int) -> list[str]:
    """Lines no wider than the room; a word that is wider is cut in two where it has to be."""
    lines: list[str] = []
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, font, room)
        lines += whole
    return [*lines, line] if line else lines


def _pieces(word: str, font: Font, room: int) -> list[str]:
    pieces = [""]
    for each in word:
        if font.getlength(pieces[-1] + each) > room:
            pieces.append("")
        pieces[-1] += each
    return pieces


def _cut(words: str, font: Font, room: float) -> str:
    """The words, or as much of their beginning as fits."""
    if font.getlength(words) <= room:
        return words
    while words and font.getlength(words + ELLIPSIS) > room:
        words = words[:-1]
    return words.rstrip() + ELLIPSIS


@lru_cache(maxsize=16)
def _font(face: Face, size: int) -> Font:
    return ImageFont.truetype(str(_FONTS / _FILES[face]), size)


@lru_cache(maxsize=4096)
def _has_glyph(face: Face, character: str) -> bool:
    if character == " ":
        return True
    font = _font(face, 32)
    return bytes(font.getmask(character)) != bytes(font.getmask(_NO_GLYPH))
