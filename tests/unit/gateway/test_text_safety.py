"""Other people's words on our pages: they stay inside their element, and names stay apart."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.render import dom_id, render
from tests.browser import samples_events, samples_links


@given(st.lists(st.text(max_size=20), unique=True, max_size=6))
def test_no_two_fields_share_an_id_and_an_id_is_one_word(keys: list[str]):
    ids = [dom_id(f"field.{key}") for key in keys]

    assert len(set(ids)) == len(keys)
    assert not any(re.search(r"[^A-Za-z0-9_:-]", each) for each in ids)
    assert dom_id("billing.line1") == "f-billing-line1"


def test_what_turns_text_ends_with_the_text_and_never_reaches_a_title():
    view = replace(samples_links.TEA, name="\u202eTea")

    html = render("link.html", view, nonce="n0nce")

    assert "<bdi>\u202eTea</bdi></h1>" in html
    assert "<title>Tea · Harbour Tea</title>" in html


def test_a_buyer_s_answer_is_text_and_turns_nothing_after_it():
    html = render("checkout.html", samples_events.TICKETS_CHECKOUT, nonce="n0nce")

    assert "<dd><bdi>مهرجان الليل \u202e&lt;b&gt;Nightjar&lt;/b&gt;</bdi></dd>" in html
