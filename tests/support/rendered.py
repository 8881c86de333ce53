"""Pages rendered for real, and what stands in them, for tests that look at their text."""

import re
from html import unescape

from services.gateway.pages.render import render
from services.gateway.pages.views import View


def page(template: str, view: View, locale: str = "en") -> str:
    return render(template, view, nonce="n0nce", locale=locale)


def text_of(html: str) -> str:
    body = html.split("<body", 1)[1]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


def field_of(html: str, name: str) -> str:
    found = re.search(rf'<(?:input|select|textarea)[^>]*name="{re.escape(name)}"[^>]*>', html)
    assert found, f"no field {name}"
    return found.group()
