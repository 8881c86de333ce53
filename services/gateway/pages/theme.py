"""Merchant theme to CSS custom properties: pure, total, and readable whatever colour is asked for.

A merchant picks two colours and a few words. Everything else is derived: the text on the colour,
the colour as text, and both again on the dark surface. A value we cannot read counts as unset.
"""

import re
from collections.abc import Mapping
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass

PRIMARY_DEFAULT = "#0b5f5a"
TEXT_CONTRAST_MIN = 4.5  # WCAG 1.4.3
SHAPE_CONTRAST_MIN = 3.0  # WCAG 1.4.11

# Must equal --surface in tokens.css; a test compares them.
SURFACE_LIGHT = "#ffffff"
SURFACE_DARK = "#15171a"

FONTS = ("system", "serif", "mono", "rounded")
RADII = ("none", "small", "large")
SCHEMES = ("auto", "light", "dark")

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_IMAGE = re.compile(
    r"https://[^\s\\]+|data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]+|/[^/\\]\S*"
)

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    primary: str
    accent: str
    title: str
    logo_url: str
    font: str
    radius: str
    color_scheme: str


def theme_from(raw: Mapping[str, str]) -> Theme:
    primary = _color(raw.get("primary_color"), PRIMARY_DEFAULT)
    return Theme(
        primary=primary,
        accent=_color(raw.get("accent_color"), primary),
        title=str(raw.get("title") or ""),
        logo_url=image_url(raw.get("logo_url")),
        font=_one_of(FONTS, raw.get("font"), "system"),
        radius=_one_of(RADII, raw.get("radius"), "small"),
        color_scheme=_one_of(SCHEMES, raw.get("color_scheme"), "auto"),
    )


def css_variables(theme: Theme) -> str:
    """The page's one inline style: colours only, each checked, so nothing can be injected."""
    primary_dark = _shape_on_dark(theme.primary)
    pairs = {
        "--brand": (theme.primary, primary_dark),
        "--on-brand": (text_on(theme.primary), text_on(primary_dark)),
        "--accent": (
            readable_on(theme.accent, SURFACE_LIGHT),
            readable_on(theme.accent, SURFACE_DARK),
        ),
    }
    rules = (f"{name}:light-dark({light},{dark})" for name, (light, dark) in pairs.items())
    return ":root{" + ";".join(rules) + "}"


def text_on(background: str) -> str:
    """White unless it would be hard to read; one of the two always reaches 4.5."""
    return "#ffffff" if contrast("#ffffff", background) >= TEXT_CONTRAST_MIN else "#000000"


def readable_on(color: str, surface: str) -> str:
    """The colour itself if it can be read on the surface, else the nearest shade that can."""
    return _shifted_until(color, surface, TEXT_CONTRAST_MIN)


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def image_url(value: object) -> str:
    return value if isinstance(value, str) and _IMAGE.fullmatch(value) else ""


def _shape_on_dark(color: str) -> str:
    """A black brand would vanish on the dark surface: greys turn white, colours get lighter."""
    if contrast(color, SURFACE_DARK) >= SHAPE_CONTRAST_MIN:
        return color
    if max(_rgb(color)) - min(_rgb(color)) < 24:
        return "#f2f2f0"
    return _shifted_until(color, SURFACE_DARK, SHAPE_CONTRAST_MIN)


def _shifted_until(color: str, surface: str, contrast_min: float) -> str:
    """Towards black or white in small steps, hue and saturation kept: a green stays that green."""
    hue, lightness, saturation = rgb_to_hls(*(channel / 255 for channel in _rgb(color)))
    end = 0.0 if _luminance(surface) > 0.18 else 1.0
    steps = (lightness + (end - lightness) * step / 40 for step in range(41))
    shades = (_hex(hls_to_rgb(hue, step, saturation)) for step in steps)
    return next(shade for shade in shades if contrast(shade, surface) >= contrast_min)


def _hex(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _rgb(color: str) -> Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _color(value: object, default: str) -> str:
    return value.lower() if isinstance(value, str) and _COLOR.fullmatch(value) else default


def _one_of(allowed: tuple[str, ...], value: object, default: str) -> str:
    return value if isinstance(value, str) and value in allowed else default
