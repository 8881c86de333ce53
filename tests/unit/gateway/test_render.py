"""Pages, amounts and themes. Pages are rendered for real; their text is what is asserted."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.gateway.pages.moments import format_moment
from services.gateway.pages.render import (
    ASSETS,
    STATIC,
    asset,
    format_amount,
    known_locale,
    security_headers,
)
from services.gateway.pages.views import Amount, Brand, CheckoutPage, Legal, StatusPage
from tests.browser import samples, samples_links
from tests.support.rendered import field_of, page, text_of

HOSTILE = "\"><script>alert(1)</script>'{{ 7*7 }}"


def checkout(**changes: object) -> str:
    return page("checkout.html", replace(samples.CHECKOUT, **changes))  # type: ignore[arg-type]


# ---- every page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_every_page_state_renders_without_inline_style_script_or_foreign_host(
    sample: samples.Sample,
) -> None:
    html = page(sample.template, sample.view, sample.locale)

    assert html.startswith("<!doctype html>")
    assert " style=" not in html
    assert not re.search(r"\son[a-z]+=", html)
    assert re.findall(r"<style[^>]*>", html) == ['<style nonce="n0nce">']
    assert all("src=" in tag and "integrity=" in tag for tag in re.findall(r"<script[^>]*>", html))
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="(?!/static/)', html)
    assert len(re.findall(r"<h1", html)) == 1


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_ids_are_unique_and_every_label_and_description_leads_somewhere(
    sample: samples.Sample,
) -> None:
    html = page(sample.template, sample.view, sample.locale)
    ids = re.findall(r'\sid="([^"]+)"', html)
    pointed = re.findall(r'\s(?:for|aria-labelledby|form)="([^"]+)"', html)
    pointed += re.findall(r'href="#([^"]+)"', html)
    for described in re.findall(r'aria-describedby="([^"]+)"', html):
        pointed += described.split()

    assert len(ids) == len(set(ids))
    assert set(pointed) <= set(ids)


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: sample.name)
def test_first_view_stays_under_60_kb_even_uncompressed_but_for_country_lists(
    sample: samples.Sample,
) -> None:
    html = page(sample.template, sample.view, sample.locale)
    linked = set(re.findall(r"/static/([a-z.]+)\?v=", html))

    assert len(html) + sum((STATIC / name).stat().st_size for name in linked) < 70_000


def test_scripts_weigh_little() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) < 14_000


def test_merchant_text_is_escaped_wherever_it_appears() -> None:
    brand = Brand(HOSTILE, {"title": HOSTILE, "logo_url": "javascript:alert(1)"}, is_test_mode=True)
    tea = replace(samples_links.TEA, brand=brand, name=HOSTILE, description=HOSTILE, notice=HOSTILE)
    pages = [
        page("link.html", tea),
        checkout(brand=brand, decline=HOSTILE, button_text=HOSTILE, wish_note=HOSTILE),
        page("status.html", StatusPage(brand, "link_inactive", message=HOSTILE)),
        page("receipt.html", replace(samples.RECEIPT, brand=brand, buyer_email=HOSTILE)),
    ]

    for html in pages:
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)" in html
        assert "javascript:" not in html
        assert "49" not in text_of(html).replace("$", "").split()


def test_links_a_merchant_gives_lead_to_pages_only() -> None:
    legal = Legal(
        terms_url="javascript:alert(1)", privacy_url="//evil.example", is_terms_required=True
    )

    html = checkout(legal=legal, cancel_url="data:text/html,hi")

    assert "javascript:" not in html
    assert "evil" not in html
    assert "data:text/html" not in html


# ---- checkout ------------------------------------------------------------------------------------


def test_card_fields_carry_the_tokens_browsers_fill_in() -> None:
    html = checkout()
    tokens = {
        "card_number": "cc-number",
        "card_exp": "cc-exp",
        "card_cvc": "cc-csc",
        "card_name": "cc-name",
        "email": "email",
    }

    for name, token in tokens.items():
        assert f'autocomplete="{token}"' in field_of(html, name)
    assert 'inputmode="numeric"' in field_of(html, "card_number")


def test_the_button_says_what_is_charged_and_the_form_says_what_was_seen() -> None:
    html = checkout(button_text="Donate")

    assert "Donate $87.08" in text_of(html)
    assert 'name="expected_amount" value="8708"' in html
    assert 'name="expected_currency" value="USD"' in html


def test_card_number_expiry_and_code_are_never_shown_again() -> None:
    typed = {"card_number": "4242424242424242", "card_exp": "12 / 30", "card_cvc": "987"}

    html = checkout(values={**typed, "card_name": "Ada"})

    assert "4242424242424242" not in html
    assert "12 / 30" not in html
    assert "987" not in html
    assert 'value="Ada"' in field_of(html, "card_name")


def test_an_error_stands_beside_its_field_and_in_the_summary_that_gets_focus() -> None:
    html = page("checkout.html", samples.REFUSED)

    assert 'aria-invalid="true" aria-describedby="f-card_number-error"' in html
    assert 'id="f-card_number-error"' in html
    assert '<a href="#f-card_number">This card number is not complete.</a>' in html
    assert re.search(r'<div class="notice notice-danger"[^>]* autofocus', html)


def test_a_free_order_asks_for_no_card() -> None:
    html = checkout(summary=replace(samples.SUMMARY, total=Amount(0, "USD")))

    assert "card_number" not in html
    assert "Complete order" in text_of(html)


def test_pressing_enter_pays_even_where_an_update_button_comes_first() -> None:
    html = page("checkout.html", samples.LONG_CHECKOUT)
    form = html[html.index("data-pay") :]

    assert re.findall(r'<button[^>]*value="(\w+)"', form)[0] == "pay"


def test_tips_and_coupons_are_applied_by_forms_that_hold_no_card() -> None:
    html = checkout()
    updates = re.findall(r"<form[^>]*data-update.*?</form>", html, re.DOTALL)

    applied = [form for form in updates if "data-pay" not in form.split(">", 1)[0]]
    assert len(applied) == 3
    assert all('name="action" value="update"' in form for form in applied)
    assert not any("card_" in form for form in applied)
    assert 'name="remove_discount" value="ad_1"' in html


def test_terms_have_to_be_accepted_when_the_merchant_says_so() -> None:
    assert "required" in field_of(checkout(), "accept_terms")
    assert "accept_terms" not in checkout(legal=Legal(terms_url="https://m.example/terms"))


def test_test_cards_appear_in_test_mode_only() -> None:
    assert "4000 0025 0000 3155" in checkout()
    assert "4000 0025" not in checkout(brand=samples_links.LIVE)
    assert "Test mode" not in checkout(brand=samples_links.LIVE)


def test_a_declined_buyer_reads_that_nothing_was_charged() -> None:
    assert "Your card was declined. You have not been charged." in text_of(
        checkout(decline="Your card was declined.")
    )


def test_while_processing_there_is_nothing_left_to_press() -> None:
    html = checkout(is_processing=True)

    assert "<form" not in html
    assert 'data-status-url="/c/cs_2/status"' in html
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in html


def test_the_expiry_warning_waits_until_it_matters() -> None:
    assert re.search(r'data-expiry="3600" hidden', checkout(seconds_left=3600))
    assert "This page closes in 2 minutes." in text_of(checkout(seconds_left=170))


def test_addresses_are_asked_for_only_when_required() -> None:
    html = page("checkout.html", samples.LONG_CHECKOUT)

    assert 'autocomplete="shipping postal-code"' in field_of(html, "shipping.postal_code")
    assert 'autocomplete="billing country"' in field_of(html, "billing.country")
    assert '<option value="DE">Germany</option>' in html
    assert "billing.line1" not in checkout()


# ---- what cannot be paid -------------------------------------------------------------------------


def test_only_pages_that_will_change_soon_refresh_themselves() -> None:
    assert 'content="1"' in page("status.html", samples.STATUS["preparing"])
    assert "http-equiv" not in page("status.html", samples.STATUS["expired"])


def test_an_expired_page_leads_back_to_the_start() -> None:
    html = page("status.html", samples.STATUS["expired"])

    assert '<a class="button" href="/l/tea">Start again</a>' in html
    assert "You have not been charged" in html


def test_a_receipt_names_order_date_and_card() -> None:
    text = text_of(page("receipt.html", samples.RECEIPT)).replace("\u202f", " ")

    assert "Order 1047" in text
    assert "November 24, 2026, 4:41 AM EST" in text
    assert "Visa •••• 4242" in text
    assert "Return to Harbour Tea" in text


# ---- amounts and times ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "minor, currency, locale, written",
    [
        (1200, "USD", "en", "$12.00"),
        (1200, "JPY", "en", "¥1,200"),
        (12500, "KWD", "en", "KWD\u00a012.500"),
        (1250, "RSD", "en", "RSD\u00a012.50"),
        (123456, "EUR", "de", "1.234,56\u00a0€"),
        (1250, "CHF", "en", "CHF\u00a012.50"),
        (99_999_999_99, "USD", "en", "$99,999,999.99"),
    ],
)
def test_amounts_have_the_digits_iso_4217_gives_them(
    minor: int, currency: str, locale: str, written: str
) -> None:
    assert format_amount(minor, currency, locale) == written


def test_a_moment_is_told_in_its_own_zone() -> None:
    moment = datetime(2027, 7, 17, 17, 0, tzinfo=UTC)

    assert format_moment(moment, "Europe/Berlin", "en_GB") == "Saturday, 17 July 2027, 19:00 CEST"


@pytest.mark.parametrize("wanted", ["", "xx", "../../etc", "en_GB_", "1", "de-DE-x"])
def test_a_strange_locale_becomes_english(wanted: str) -> None:
    assert known_locale(wanted) == "en"


def test_a_locale_may_be_written_with_a_dash() -> None:
    assert known_locale("pt-BR") == "pt_BR"


# ---- headers and assets --------------------------------------------------------------------------


def test_the_policy_allows_nothing_but_our_own() -> None:
    headers = security_headers("n0nce")
    policy = headers["Content-Security-Policy"]

    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-n0nce'"
    )
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store"


def test_a_static_address_changes_with_the_file() -> None:
    assert asset("base.css") == f"/static/base.css?v={ASSETS['base.css'].version}"
    assert len({each.version for each in ASSETS.values()}) == len(ASSETS)


def test_views_need_little_to_be_a_page() -> None:
    view = CheckoutPage(
        brand=Brand("M"),
        pay_action="/c/cs_1/pay",
        update_action="/c/cs_1",
        status_url="/c/cs_1/status",
        form_token="t",
        summary=samples.ONE,
    )

    assert "Pay $150.00" in text_of(page("checkout.html", view))
