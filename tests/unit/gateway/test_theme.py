"""A merchant may pick any colour; a buyer must be able to read the page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages import theme
from services.gateway.pages.render import STATIC

COLORS = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


@given(COLORS)
def test_text_on_any_brand_colour_can_be_read(color: str) -> None:
    assert theme.contrast(theme.text_on(color), color) >= 4.5


@given(COLORS, st.sampled_from([theme.SURFACE_LIGHT, theme.SURFACE_DARK]))
def test_any_accent_can_be_read_on_either_surface(color: str, surface: str) -> None:
    assert theme.contrast(theme.readable_on(color, surface), surface) >= 4.5


@given(COLORS, COLORS)
def test_a_theme_is_three_variables_and_nothing_else(primary: str, accent: str) -> None:
    css = theme.css_variables(theme.theme_from({"primary_color": primary, "accent_color": accent}))
    pair = r"light-dark\(#[0-9a-f]{6},#[0-9a-f]{6}\)"

    assert re.fullmatch(rf":root\{{--brand:{pair};--on-brand:{pair};--accent:{pair}\}}", css)
    assert f"--brand:light-dark({primary}," in css


@pytest.mark.parametrize("bad", ["red", "#fff", "#12345g", "#123456;}", "", "expression(1)"])
def test_a_colour_that_is_none_falls_back(bad: str) -> None:
    assert theme.theme_from({"primary_color": bad, "accent_color": bad}) == theme.theme_from({})


def test_words_outside_the_list_fall_back() -> None:
    look = theme.theme_from({"font": "Comic Sans", "radius": "9px", "color_scheme": "sepia"})

    assert (look.font, look.radius, look.color_scheme) == ("system", "small", "auto")


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "http://m.example/logo.png", "data:image/svg+xml;base64,AAAA", "//x"],
)
def test_a_logo_is_a_picture_from_a_safe_address_or_absent(url: str) -> None:
    assert theme.theme_from({"logo_url": url}).logo_url == ""


def test_contrast_is_computed_against_the_surfaces_the_css_paints() -> None:
    tokens = (STATIC / "tokens.css").read_text()

    assert f"--surface: light-dark({theme.SURFACE_LIGHT}, {theme.SURFACE_DARK});" in tokens
