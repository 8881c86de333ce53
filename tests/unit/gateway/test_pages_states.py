"""What has become of a checkout, and the words a buyer reads about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest

from services.gateway.pages.checkout_view import (
    checkout_page,
    ended_page,
    filled_in,
    prefilled,
    waiting_page,
)
from services.gateway.pages.payer import refused_field
from services.gateway.pages.render import render
from services.gateway.pages.seeing import Seen, Standing, is_young, standing
from services.gateway.pages.tips import picked_tip, tip_of
from services.gateway.pages.views import CheckoutPage
from services.gateway.pages.words import DECLINES, end_of, why_declined, why_stopped
from shared.contracts.configs import TipConfig
from shared.contracts.orders import Tip, TipInput
from shared.contracts.payments import FailureCode
from shared.contracts.sessions import Attempt, CheckoutSession, TerminalReason
from shared.ids import new_id
from shared.money import Money
from tests.builders_pages import (
    BRAND,
    NOON,
    SESSION,
    ULID,
    a_session,
    an_attempt,
    an_order,
    seen,
    usd,
)

LATER = NOON + timedelta(hours=2)
BANK = "https://bank.example/3ds"

# ---- where it stands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "session, attempt, stands",
    [
        (a_session(), None, "open"),
        (a_session(), an_attempt(status="failed"), "open"),
        (a_session(), an_attempt(), "processing"),
        (a_session(), an_attempt(status="requires_action", redirect_url=BANK), "action"),
        (a_session(), an_attempt(status="requires_action"), "processing"),
        (a_session(status="paid"), an_attempt(status="succeeded"), "paid"),
        (a_session(status="expired"), None, "ended"),
        (a_session(status="closed"), None, "ended"),
        (a_session(status="invalidated"), None, "ended"),
    ],
)
def test_every_state_has_one_page(
    session: CheckoutSession, attempt: Attempt | None, stands: Standing
):
    assert standing(seen(session, attempt), NOON) == stands


def test_time_alone_ends_a_session_but_never_under_a_payment():
    assert standing(seen(), LATER) == "ended"
    assert standing(seen(attempt=an_attempt(status="failed")), LATER) == "ended"
    assert standing(seen(attempt=an_attempt()), LATER) == "processing"


def test_a_session_whose_order_is_on_its_way_is_prepared():
    assert standing(Seen(a_session(), None, None), NOON) == "preparing"


def test_only_an_id_of_a_moment_ago_is_waited_for():
    fresh = new_id("cs")

    assert not is_young(fresh, NOON - timedelta(days=3000))
    assert not is_young(SESSION, NOON)


# ---- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", get_args(FailureCode))
def test_every_decline_has_a_sentence_of_its_own(code: str):
    attempt = an_attempt(status="failed", failure_code=code, failure_message="raw words")

    assert why_declined(attempt) == DECLINES[code]
    assert why_stopped(attempt) == ""


def test_a_code_of_a_provider_we_do_not_know_is_a_plain_no():
    attempt = an_attempt(status="failed", failure_code="do_not_honor")

    assert why_declined(attempt) == DECLINES["payment_failed"]


def test_a_changed_price_is_no_card_s_fault():
    attempt = an_attempt(status="failed", failure_code="ORDER_CONFLICT")

    assert why_declined(attempt) == ""
    assert "total has changed" in why_stopped(attempt)


def test_a_merchant_s_own_no_is_said_in_the_merchant_s_words():
    attempt = an_attempt(
        status="failed", failure_code="CHECKOUT_VALIDATION_REJECTED", failure_message="Too far."
    )

    assert why_stopped(attempt) == "Too far."


def test_nothing_is_said_of_an_attempt_that_runs_or_never_was():
    assert why_declined(None) == why_stopped(None) == ""
    assert why_declined(an_attempt()) == why_stopped(an_attempt()) == ""


@pytest.mark.parametrize("reason", get_args(TerminalReason))
def test_every_end_has_a_page_that_renders(reason: TerminalReason):
    status = {"expired": "expired", "api": "closed"}.get(reason, "invalidated")
    ended = seen(a_session(status=status, terminal_reason=reason))

    html = render("status.html", ended_page(ended, BRAND, "/l/tea"), nonce="n")

    assert "<h1>" in html


def test_paid_elsewhere_is_no_error_and_offers_no_new_start():
    session = a_session(status="invalidated", terminal_reason="order_paid_elsewhere")

    view = ended_page(seen(session), BRAND, "/l/tea")

    assert end_of(session) == "paid_elsewhere"
    assert view.start_again_url == ""


def test_an_expired_page_leads_to_the_link_and_to_where_the_merchant_says():
    session = a_session(
        status="expired",
        expiration={"expiration_url": "https://shop.example/late?s={CHECKOUT_SESSION_ID}"},
    )

    view = ended_page(seen(session), BRAND, "/l/tea")

    assert view.start_again_url == "/l/tea"
    assert view.merchant_url == f"https://shop.example/late?s={SESSION}"


@pytest.mark.parametrize(
    "param, field",
    [
        ("email", "email"),
        ("phone_number", "phone"),
        ("billing_address", "billing.line1"),
        ("has_accepted_terms", "accept_terms"),
        ("payment_source_token", "card_number"),
    ],
)
def test_what_sessions_miss_is_said_beside_its_field(param: str, field: str):
    assert set(refused_field(param)) == {field}


# ---- the page ------------------------------------------------------------------------------------


def page_of(found: Seen, values: dict[str, str] | None = None, **said: Any) -> CheckoutPage:
    return checkout_page(
        found, BRAND, form_token="t", now=NOON, locale="en", values=values or {}, **said
    )


def test_the_page_asks_for_exactly_what_is_due():
    view = page_of(seen(order=an_order(due=4200)))

    assert view.summary.total == (4200, "USD")
    assert view.pay_action == f"/c/{SESSION}/pay"
    assert view.seconds_left == 3600
    assert not view.is_processing


def test_a_decline_is_shown_until_something_newer_is_wrong():
    declined = seen(attempt=an_attempt(status="failed", failure_code="card_declined"))

    assert page_of(declined).decline == DECLINES["card_declined"]
    assert page_of(declined, errors={"email": "Enter it."}).decline == ""
    assert page_of(declined, notice="The total has changed.").decline == ""


def test_who_came_by_a_link_finds_nothing_that_another_browser_brought():
    known = {"prefilled_customer_info": {"email": "ada@example.com", "name": "Ada"}}

    assert prefilled(a_session(source="payment_link", customer=known)) == {}
    assert prefilled(a_session(source="api", customer=known))["email"] == "ada@example.com"


def test_what_this_browser_typed_wins_over_what_the_merchant_knew():
    known = {"prefilled_customer_info": {"email": "old@example.com"}}
    found = seen(a_session(source="api", customer=known))

    view = page_of(found, values={"email": "new@example.com"})

    assert view.values["email"] == "new@example.com"


def test_ids_in_a_merchant_s_address_are_filled_in_and_nothing_else_is():
    url = "https://shop.example/{ORDER_ID}?s={CHECKOUT_SESSION_ID}&x={EMAIL}"

    assert filled_in(url, a_session()) == f"https://shop.example/ord_{ULID}?s={SESSION}&x={{EMAIL}}"
    assert filled_in(None, a_session()) == ""


def test_the_waiting_page_has_no_form_and_knows_where_to_listen():
    html = render("checkout.html", waiting_page(seen(attempt=an_attempt()), BRAND), nonce="n")

    assert f'data-status-url="/c/{SESSION}/status"' in html
    assert 'name="card_number"' not in html


# ---- tips ----------------------------------------------------------------------------------------

TIPS = TipConfig(
    is_enabled=True,
    tip_percentages=[10, 12.5],
    is_custom_tip_enabled=True,
    is_smart_tips_enabled=True,
    smart_tip_amounts=[usd(300)],
)


def tipped(**changes):
    tip = Tip(tip_id="tip_1", order_id=f"ord_{ULID}", created_at=NOON, **changes)
    return an_order(tips=[tip])


def test_tips_are_offered_with_what_they_come_to():
    tip = tip_of(TIPS, an_order(due=1200))

    assert tip is not None
    assert [(option.value, option.amount) for option in tip.options] == [
        ("0", None),
        ("10%", (120, "USD")),
        ("12.5%", (150, "USD")),
        ("3.00", (300, "USD")),
    ]


def test_tips_of_three_decimals_end_in_0_unless_the_merchant_wrote_them_otherwise():
    offered = Money(amount=1234, currency="KWD")
    tips = TIPS.model_copy(update={"smart_tip_amounts": [offered]})
    order = an_order(due=12_340, currency="KWD")

    tip = tip_of(tips, order)

    assert tip is not None
    assert [option.amount for option in tip.options][1:] == [
        (1230, "KWD"),
        (1540, "KWD"),  # 12.5 % is 1.5425
        (1234, "KWD"),
    ]
    assert picked_tip({"tip": "1.234"}, tips, order, "en") == (TipInput(amount_money=offered), "")
    assert picked_tip({"tip": "custom", "tip_custom": "1,234"}, tips, order, "fr") == (
        None,
        "Choose an amount in steps of 0,010 KWD.",
    )


def test_no_tips_are_offered_unless_the_merchant_wants_them():
    assert tip_of(TipConfig(), an_order()) is None


@pytest.mark.parametrize(
    "order, selected",
    [
        (an_order(), "0"),
        (tipped(amount_money=usd(120), percent=10), "10%"),
        (tipped(amount_money=usd(300)), "3.00"),
        (tipped(amount_money=usd(777)), "custom"),
    ],
)
def test_what_is_in_the_order_is_what_is_picked(order, selected: str):
    tip = tip_of(TIPS, order)

    assert tip is not None
    assert tip.selected == selected


@pytest.mark.parametrize(
    "form, tip",
    [
        ({"tip": "0"}, None),
        ({"tip": "12.5%"}, TipInput(percent=12.5)),
        ({"tip": "3.00"}, TipInput(amount_money=usd(300))),
        ({"tip": "custom", "tip_custom": "4,20"}, TipInput(amount_money=usd(420))),
        ({"tip": "custom", "tip_custom": "0"}, None),
    ],
)
def test_a_picked_tip_is_what_the_order_is_asked_for(form: dict[str, str], tip: TipInput | None):
    assert picked_tip(form, TIPS, an_order(), "en") == (tip, "")


@pytest.mark.parametrize(
    "form",
    [{"tip": "99%"}, {"tip": "100.00"}, {"tip": "custom", "tip_custom": "lots"}, {"tip": "custom"}],
)
def test_a_tip_that_is_not_offered_or_not_an_amount_is_wrong(form: dict[str, str]):
    tip, wrong = picked_tip(form, TIPS, an_order(), "en")

    assert tip is None
    assert wrong


def test_a_tip_of_one_s_own_is_only_for_where_it_is_offered():
    _, wrong = picked_tip({"tip": "custom", "tip_custom": "5"}, TipConfig(), an_order(), "en")

    assert wrong
