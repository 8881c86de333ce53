"""The button that merchants paste into their own sites."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.button import button
from services.gateway.pages.theme import contrast

URL = "https://pay.example.com/l/tea"
HOSTILE = '"><script>alert(1)</script><a x="'


class Parts(HTMLParser):
    """The elements of a snippet with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_is_one_link_with_its_style_in_it():
    made = button(URL, "Buy tea", {"primary_color": "#1F4D3A", "radius": "large"})
    ((tag, attributes),) = Parts(made.html).elements

    assert (tag, attributes["href"], sorted(attributes)) == ("a", URL, ["href", "style"])
    assert "background:#1f4d3a" in str(attributes["style"])
    assert "border-radius:14px" in str(attributes["style"])


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_whatever_the_brand_the_words_can_be_read(color: str):
    made = button(URL, "Buy", {"primary_color": color})

    assert made.background_color == color
    assert contrast(made.text_color, made.background_color) >= 4.5
    assert f"color:{made.text_color}" in made.html


@pytest.mark.parametrize("label", [HOSTILE, "Tea & 'cake'", "\u202etea", "\U0001f375"])
def test_a_label_is_text_and_nothing_else(label: str):
    made = Parts(button(URL, label, {}).html)

    assert [tag for tag, _ in made.elements] == ["a"]
    assert made.text == label


@pytest.mark.parametrize("theme", [{"primary_color": HOSTILE}, {"radius": HOSTILE}])
def test_a_theme_that_cannot_be_read_is_ours(theme: dict[str, str]):
    assert re.findall("script", button(URL, "Buy", theme).html) == []
