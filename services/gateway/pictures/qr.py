"""QR codes of a link's address, for print and screen.

Always black on white with the standard's quiet zone of four modules: whatever it is put on, a
phone reads it. Modules are whole pixels; what is left over makes the zone wider.
"""

from __future__ import annotations

import io
from typing import Final, Literal

import segno
from PIL import Image

from services.gateway.pictures.easel import Picture, picture_of
from shared.errors import invalid

Format = Literal["svg", "png"]
TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}
SIZE_MIN: Final = 64
SIZE_MAX: Final = 2_048
QUIET_MODULES: Final = 4
CORRECTION: Final = "m"  # 15 % may be dirty or torn; more where the same size has room for it
_WHITE: Final = 1


def draw(url: str, form: Format, size: int) -> Picture:
    """The code of an address, `size` pixels wide and high. Raises invalid if that is too small."""
    code = segno.make_qr(url, error=CORRECTION)
    scale = size // _modules(code)
    if scale < 1:
        raise invalid("size", f"This address needs at least {_modules(code)} pixels.")
    body = _svg(code, url, size) if form == "svg" else _png(code, size, scale)
    return picture_of(body, TYPES[form])


def inline(text: str, label: str) -> str:
    """A small code as part of a page, as large as the page's style makes it."""
    code = segno.make_qr(text, error=CORRECTION)
    drawn = code.svg_inline(
        border=QUIET_MODULES, light="#fff", omitsize=True, svgclass="qr", lineclass=None,
        title=label,
    )  # fmt: skip
    return '<svg role="img"' + drawn.removeprefix("<svg")


def _modules(code: segno.QRCode) -> int:
    """How many modules wide it is, its quiet zone included."""
    return len(code.matrix) + 2 * QUIET_MODULES


def _svg(code: segno.QRCode, url: str, size: int) -> bytes:
    out = io.BytesIO()
    code.save(
        out, kind="svg", border=QUIET_MODULES, light="#fff", xmldecl=False, omitsize=True,
        svgclass=None, lineclass=None, title=f"QR code of {url}",
    )  # fmt: skip
    size_and_role = f'<svg width="{size}" height="{size}" role="img"'
    return (size_and_role + out.getvalue().decode().removeprefix("<svg")).encode()


def _png(code: segno.QRCode, size: int, scale: int) -> bytes:
    side = len(code.matrix)
    dots = b"".join(bytes(0 if dark else 255 for dark in row) for row in code.matrix)
    drawn = Image.frombytes("L", (side, side), dots).resize(
        (side * scale, side * scale), Image.Resampling.NEAREST
    )
    sheet = Image.new("1", (size, size), _WHITE)
    corner = (size - side * scale) // 2
    sheet.paste(drawn.convert("1"), (corner, corner))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()
