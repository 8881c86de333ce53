"""The link's page, rendered for real: previews, amounts, what a donor reads, what has changed."""

import re
from dataclasses import replace
from html import unescape

import pytest

from tests.browser import samples, samples_events, samples_links
from tests.support.rendered import field_of, page, text_of


def test_link_page_is_a_form_that_works_without_script() -> None:
    html = page("link.html", samples_links.TEA)

    assert '<form class="fields" method="post" action="/l/tea"' in html
    assert 'name="resolution_context" value="signed"' in html
    assert 'min="1" max="6"' in field_of(html, "quantity.box")
    assert "required" in field_of(html, "field.size")
    assert 'maxlength="400"' in field_of(html, "field.note")  # UTF-16 units: never too tight
    assert "At most 200 characters" in html
    assert "Continue to payment" in html
    assert "$46.50" in html


OUR_PICTURE = "https://pay.example/l/tea/preview.png?v=3"
THEIR_PICTURE = "https://img.example/tea.jpg"


@pytest.mark.parametrize(
    "picture, shown",
    [
        ("", [OUR_PICTURE]),
        (THEIR_PICTURE, [THEIR_PICTURE, OUR_PICTURE]),
        ("javascript:alert(1)", [OUR_PICTURE]),
    ],
)
def test_link_page_offers_previews_a_title_a_text_and_a_picture(
    picture: str, shown: list[str]
) -> None:
    html = page("link.html", replace(samples_links.TEA, preview_url=OUR_PICTURE, image_url=picture))

    assert '<meta property="og:title" content="Spring tea box">' in html
    assert '<meta property="og:url" content="http://flint.test/l/tea">' in html
    assert re.findall(r'property="og:image" content="([^"]+)"', html) == shown
    assert '<meta name="twitter:card" content="summary_large_image">' in html


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "Tea & cake's"])
def test_what_a_preview_says_is_text(name: str) -> None:
    html = page("link.html", replace(samples_links.TEA, name=name, description=name))
    head = html[: html.index("<body")]

    assert "<script" not in head
    for said in re.findall(r'"(?:og:title|og:description|description)" content="([^"]*)"', head):
        assert unescape(said) == name


def test_a_long_description_is_cut_for_previews_at_a_word() -> None:
    html = page("link.html", replace(samples_links.TEA, description="tea time " * 200))

    (said,) = re.findall(r'name="description" content="([^"]*)"', html)
    assert len(said) <= 200
    assert re.fullmatch(r"(tea time )*tea( time)?\.\.\.", said)


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda one: one.name)
def test_no_page_is_for_search_engines(sample: samples.Sample) -> None:
    assert '<meta name="robots" content="noindex">' in page(sample.template, sample.view)


def test_suggested_amounts_are_chips_and_any_other_amount_has_its_field() -> None:
    html = page("link.html", replace(samples_links.GIFT, values={"amount.donation": "50.00"}))

    assert re.search(r'name="amount.donation" value="50.00" checked', html)
    assert not re.search(r'name="amount.donation" value="25.00" checked', html)
    assert 'name="amount.donation" value="other"' in html
    assert field_of(html, "amount_other.donation")
    assert "Between $5.00 and $5,000.00" in html
    assert "$50</span>" in html  # all of them are whole: decimals would say nothing


def test_a_donor_reads_what_covering_the_fees_costs_and_what_a_wish_means() -> None:
    text = text_of(page("link.html", samples_links.GIFT_MONTHLY))

    assert "Cover the fees Add $1.81 , so that all of $50.00 reaches Open Rivers" in text
    assert "Only this gift is charged now." in text


def test_an_amount_in_a_field_is_written_as_the_locale_does() -> None:
    html = page("link.html", samples_links.ATTAR, "de")

    assert 'value="1,000"' in field_of(html, "amount.host")
    assert 'value="12.500"' in html  # a chip's value is ours, not the buyer's


def test_without_scripts_a_button_asks_for_the_total() -> None:
    html = page("link.html", samples_links.GIFT)

    assert re.search(r'<noscript><button[^>]+name="action" value="update"', html)


def test_a_changed_link_says_so_and_shows_the_price_before() -> None:
    text = text_of(page("link.html", samples_links.TEA_CHANGED))

    assert "This offer has changed" in text
    assert "before: $29.00 $32.00" in text


def test_a_plan_says_what_is_paid_how_often_and_what_is_due_today() -> None:
    text = text_of(page("link.html", samples_links.CLUB, "de"))

    assert "Tea club 24,00 € every month" in text
    assert "Setup fee 5,00 €, once Minimum term 12 months Leaving earlier costs 25,00 €" in text
    assert "Due today 29,00 €" in text
    assert "Your order" not in text


def test_a_trial_is_told_before_the_price_and_only_the_fee_is_due() -> None:
    text = text_of(page("link.html", samples_links.CLUB_TRIAL))

    assert "14 days free, then €24.00 every month" in text
    assert "Due today €5.00" in text


def test_a_changed_plan_shows_the_price_before() -> None:
    text = text_of(page("link.html", samples_links.CLUB_CHANGED))

    assert "A price has changed since you opened this page." in text
    assert "Tea club before: €22.00 €24.00 every month" in text
    assert "Box of three teas before: €22.00 €24.00" in text


def test_a_sold_out_tier_has_no_quantity_to_choose() -> None:
    html = page("link.html", samples_events.CONCERT)

    assert 'name="quantity.early"' not in html
    assert "Sold out" in html
    assert "11 left" in html
