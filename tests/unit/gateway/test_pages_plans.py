"""A plan in a buyer's words: how often, on which terms, and why it is not offered."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.pages.checkout_view import waiting_page
from services.gateway.pages.link_view import link_page, terms_of, unavailable_page
from services.gateway.pages.prefill import Carried
from services.gateway.pages.preview import card_of
from services.gateway.pages.views import Amount, Terms
from services.gateway.pages.words import interval_of
from tests.builders_pages import BRAND, a_line, a_shown_link, an_order, seen
from tests.builders_plans import a_plan, usd

LEAVING = {"early_termination_fee_money": usd(2500)}


@pytest.mark.parametrize(
    "interval, count, words",
    [
        ("daily", 1, "every day"),
        ("weekly", 2, "every 2 weeks"),
        ("monthly", 1, "every month"),
        ("monthly", 3, "every 3 months"),
        ("yearly", 1, "every year"),
    ],
)
def test_how_often_a_plan_is_paid(interval: str, count: int, words: str):
    plan = a_plan(billing_interval=interval, billing_interval_count=count)

    assert interval_of(plan.terms()) == words


@pytest.mark.parametrize(
    "given, more",
    [
        ({}, {}),
        ({"setup_fee_money": usd(500)}, {"setup_fee": Amount(500, "USD")}),
        ({"setup_fee_money": usd(0)}, {}),
        ({"trial_period_days": 14}, {"trial_days": 14}),
        (
            {"contract_term_months": 12, **LEAVING},
            {"minimum_months": 12, "early_fee": Amount(2500, "USD")},
        ),
        (LEAVING, {}),  # of a term that there is not
    ],
)
def test_the_terms_are_those_that_bind(given: dict[str, Any], more: dict[str, Any]):
    assert terms_of(a_plan(**given).terms()) == Terms(Amount(1200, "USD"), "every month", **more)


def test_a_price_that_changed_is_told_although_a_trial_puts_it_off():
    plan = a_plan(trial_period_days=14, setup_fee_money=usd(500))
    shown = a_shown_link(a_line(key="setup-fee"), subscription_terms=plan.terms())
    seen_before = '{"setup-fee":1200,"recurring":1100}'
    form: dict[str, Any] = {"resolution_context": "signed", "carried": Carried(), "locale": "en"}

    page = link_page(shown, BRAND, values={"seen_prices": seen_before}, **form)

    assert page.terms is not None
    assert page.terms.previous_price == Amount(1100, "USD")
    assert page.lines[0].previous_price is None
    assert page.hidden["seen_prices"] == '{"setup-fee":1200,"recurring":1200}'


def test_what_is_no_plan_has_no_terms():
    assert terms_of(None) is None
    assert waiting_page(seen(), BRAND).terms is None


def test_a_checkout_shows_the_terms_that_its_order_froze():
    order = an_order(subscription_terms=a_plan(trial_period_days=7).terms())

    terms = waiting_page(seen(order=order), BRAND).terms

    assert terms is not None
    assert (terms.price, terms.trial_days) == (Amount(1200, "USD"), 7)


@pytest.mark.parametrize(
    "reason, kind",
    [
        ("SUBSCRIPTION_PLAN_ARCHIVED", "link_withdrawn"),
        ("PAYMENT_LINK_INACTIVE", "link_not_yet"),  # a trial without a fee
    ],
)
def test_why_a_plan_is_not_offered(reason: str, kind: str):
    shown = a_shown_link(unavailable_reason=reason, inactive_message="Back in May.")

    page = unavailable_page(shown, BRAND, reason)

    assert (page.kind, page.message) == (kind, "")


def test_the_card_of_a_plan_says_how_often():
    terms = a_plan(setup_fee_money=usd(500)).terms()
    shown = a_shown_link(a_line(), a_line(key="setup-fee"), subscription_terms=terms)

    assert card_of(shown, BRAND).price == "$12.00 every month"
