"""A button for the merchant's own site: one plain link, styled where it stands.

No script, no style sheet and no image of ours: nothing on that site depends on this server until
a buyer follows the link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from markupsafe import escape

from services.gateway.pages.theme import text_on, theme_from

RADIUS_PX: Final = {"none": 0, "small": 8, "large": 14}  # as the pages' own buttons


@dataclass(frozen=True, slots=True)
class Button:
    """The snippet, and what is in it."""

    html: str
    label: str
    background_color: str
    text_color: str


def button(url: str, label: str, theme: Mapping[str, str]) -> Button:
    """A link to the page in the merchant's colour; the text on it always has contrast ≥ 4.5."""
    look = theme_from(theme)
    text_color = text_on(look.primary)
    style = {
        "display": "inline-block",
        "padding": "12px 24px",
        "border": "1px solid rgba(128,128,128,.4)",  # seen also on a site in the brand's colour
        "border-radius": f"{RADIUS_PX[look.radius]}px",
        "background": look.primary,
        "color": text_color,
        "font": "inherit",
        "font-weight": "600",
        "line-height": "1.25",
        "text-decoration": "none",
    }
    rules = ";".join(f"{name}:{value}" for name, value in style.items())
    html = f'<a href="{escape(url)}" style="{escape(rules)}">{escape(label)}</a>'
    return Button(html, label, look.primary, text_color)
