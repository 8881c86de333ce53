"""One made-up view per page state; what the gallery and the page tests show."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.gateway.pages.views import (
    Amount,
    Brand,
    CheckoutPage,
    DemoLink,
    ErrorPage,
    HomePage,
    ReceiptPage,
    StatusPage,
    Summary,
    SummaryDiscount,
    SummaryLine,
    SummaryTax,
    ThreeDSecurePage,
    Tip,
    TipOption,
    View,
)
from tests.browser.samples_events import (
    CONCERT,
    CONCERT_REFUSED,
    FESTIVAL,
    TICKETS,
    TICKETS_CHECKOUT,
)
from tests.browser.samples_links import (
    ATTAR,
    CLUB,
    CLUB_CHANGED,
    CLUB_TERMS,
    CLUB_TRIAL,
    FOUNDATION,
    GIFT,
    GIFT_MONTHLY,
    HARBOUR,
    LEGAL,
    LIVE,
    OPEN_GIFT,
    OPEN_GIFT_REFUSED,
    PICTURE,
    PLAIN_LINK,
    TEA,
    TEA_CHANGED,
    TEA_REFUSED,
    usd,
)


@dataclass(frozen=True)
class Sample:
    name: str
    template: str
    view: View
    clicks: tuple[str, ...] = ()
    locale: str = "en"


SUMMARY = Summary(
    lines=(
        SummaryLine("Spring tea box", 2, usd(3200), usd(6400), "Three tins of 50 g", PICTURE),
        SummaryLine("Steel caddy", 1, usd(1450), usd(1450)),
    ),
    subtotal=usd(7850),
    discounts=(SummaryDiscount("SPRING10", usd(785), "ad_1"),),
    taxes=(SummaryTax("Sales tax 8.25 %", usd(583)),),
    tip=usd(1060),
    total=usd(8708),
)
ONE = Summary((SummaryLine("Consulting hour", 1, usd(15000), usd(15000)),), usd(15000), usd(15000))
PLAIN_CHECKOUT = CheckoutPage(
    brand=Brand("Mara Lindqvist"),
    pay_action="/c/cs_1/pay",
    update_action="/c/cs_1",
    status_url="/c/cs_1/status",
    form_token="token",
    summary=ONE,
)
CHECKOUT = CheckoutPage(
    brand=HARBOUR,
    pay_action="/c/cs_2/pay",
    update_action="/c/cs_2",
    status_url="/c/cs_2/status",
    form_token="token",
    summary=SUMMARY,
    is_coupon_enabled=True,
    cancel_url="https://merchant.example/cart",
    tip=Tip(
        (
            TipOption("0", "None"),
            TipOption("10%", "10 %", usd(707)),
            TipOption("15%", "15 %", usd(1060)),
            TipOption("20%", "20 %", usd(1413)),
        ),
        selected="15%",
        is_custom_enabled=True,
    ),
    legal=LEGAL,
)
LONG_CHECKOUT = replace(
    CHECKOUT,
    brand=LIVE,
    tip=None,
    is_phone_required=True,
    is_shipping_address_required=True,
    is_billing_address_required=True,
    is_address_taxed=True,
    payment_note="Shows as HARBOUR TEA on your statement.",
    summary=replace(SUMMARY, tip=None, taxes=(), is_tax_pending=True, total=usd(7065)),
)
REFUSED = replace(
    CHECKOUT,
    values={"email": "ada@example", "card_name": "Ada Lovelace"},
    errors={
        "email": "Enter an email address like name@example.com.",
        "card_number": "This card number is not complete.",
        "card_exp": "This date is in the past.",
        "accept_terms": "Please agree to the terms to continue.",
    },
)
DARK_BRAND = Brand("Onyx & Sons", {"primary_color": "#101010", "font": "serif"}, is_test_mode=True)
RECEIPT = ReceiptPage(
    brand=LIVE,
    order_number="1047",
    paid_at=datetime(2026, 11, 24, 9, 41, tzinfo=UTC),
    paid=usd(8708),
    summary=replace(SUMMARY, discounts=(SummaryDiscount("SPRING10", usd(785)),)),
    card_brand="visa",
    card_last4="4242",
    buyer_email="ada@example.com",
    success_url="https://merchant.example/thanks",
    timezone="America/New_York",
)
HOME = HomePage(
    "http://localhost:8080",
    (
        DemoLink("/l/tea", "Tea box", "A fixed price with a quantity, fields and a picture"),
        DemoLink("/l/rivers", "Donation", "The buyer chooses an amount, once or every month"),
        DemoLink("/l/nightjar", "Concert", "Ticket tiers with a limited number of places"),
        DemoLink("/l/club", "Membership", "A box every month, with a setup fee"),
    ),
    version="0.1.0",
)
STATUS = {
    kind: StatusPage(LIVE, kind, name="Spring tea box")
    for kind in (
        "preparing", "expired", "closed", "superseded", "order_mutated", "order_closed",
        "paid_elsewhere", "link_inactive", "link_not_yet", "link_withdrawn", "link_sold_out",
        "link_max_completions", "link_ended",
    )
}  # fmt: skip
STATUS["expired"] = replace(
    STATUS["expired"], start_again_url="/l/tea", merchant_url="https://merchant.example/"
)
STATUS["link_inactive"] = replace(
    STATUS["link_inactive"], message="We are harvesting! The box is back on 1 May."
)

DECLINED = replace(PLAIN_CHECKOUT, brand=DARK_BRAND, decline="Your card was declined.")
RISEN = replace(
    PLAIN_CHECKOUT,
    brand=FESTIVAL,
    notice="The total has changed to $150.00. Please look again before you pay.",
)
FREE = replace(
    PLAIN_CHECKOUT,
    summary=replace(ONE, discounts=(SummaryDiscount("FRIENDS", usd(15000)),), total=usd(0)),
)
OUD = Amount(12500, "KWD")
DINARS = replace(PLAIN_CHECKOUT, summary=Summary((SummaryLine("عود", 1, OUD, OUD),), OUD, OUD))
GIVEN = Summary(
    (
        SummaryLine("Keep our rivers open", 1, usd(5000), usd(5000)),
        SummaryLine("Covering the fees", 1, usd(181), usd(181)),
    ),
    usd(5181),
    usd(5181),
)
GIVING = replace(
    PLAIN_CHECKOUT,
    brand=FOUNDATION,
    summary=GIVEN,
    wish_note="You would like to give monthly. Only this gift is charged now.",
)
GIVEN_RECEIPT = replace(
    RECEIPT, brand=FOUNDATION, paid=usd(5181), summary=GIVEN, wish="Monthly", success_url=""
)
FIRST = Summary(
    (
        SummaryLine("Box of three teas", 1, Amount(2400, "EUR"), Amount(2400, "EUR")),
        SummaryLine("Setup fee", 1, Amount(500, "EUR"), Amount(500, "EUR")),
    ),
    Amount(2900, "EUR"),
    Amount(2900, "EUR"),
)
JOINING = replace(PLAIN_CHECKOUT, brand=HARBOUR, summary=FIRST, terms=CLUB_TERMS)
JOINED = replace(RECEIPT, paid=Amount(2900, "EUR"), summary=FIRST, terms=CLUB_TERMS, success_url="")
CHALLENGE = ThreeDSecurePage(HARBOUR, "/c/cs_2/3ds", "token", usd(8708), "3155")


def _status_samples() -> tuple[Sample, ...]:
    return tuple(
        Sample(f"status-{kind.replace('_', '-')}", "status.html", view)
        for kind, view in STATUS.items()
    )


def _error_samples() -> tuple[Sample, ...]:
    views = (
        ErrorPage(status, "req_01JD8Z7Q4V", retry_after_seconds=120 if status == 429 else None)
        for status in (400, 403, 404, 410, 429, 500, 503)
    )
    return tuple(Sample(f"error-{view.status}", "error.html", view) for view in views)


SAMPLES = (
    Sample("link", "link.html", TEA),
    Sample("link-errors", "link.html", TEA_REFUSED),
    Sample("link-changed", "link.html", TEA_CHANGED),
    Sample("link-plain", "link.html", PLAIN_LINK),
    Sample("link-donation", "link.html", GIFT),
    Sample("link-donation-other", "link.html", GIFT, clicks=("[value=other]",)),
    Sample("link-donation-monthly", "link.html", GIFT_MONTHLY),
    Sample("link-donation-open", "link.html", OPEN_GIFT, locale="de"),
    Sample("link-donation-refused", "link.html", OPEN_GIFT_REFUSED, locale="de"),
    Sample("link-amounts", "link.html", ATTAR),
    Sample("link-event", "link.html", CONCERT, locale="en_GB"),
    Sample("link-event-refused", "link.html", CONCERT_REFUSED, locale="en_GB"),
    Sample("link-plan", "link.html", CLUB),
    Sample("link-plan-trial", "link.html", CLUB_TRIAL),
    Sample("link-plan-changed", "link.html", CLUB_CHANGED),
    Sample("checkout", "checkout.html", CHECKOUT),
    Sample("checkout-plain", "checkout.html", PLAIN_CHECKOUT),
    Sample("checkout-filled", "checkout.html", CHECKOUT, (".test-cards summary", ".test-card")),
    Sample("checkout-long", "checkout.html", LONG_CHECKOUT),
    Sample("checkout-errors", "checkout.html", REFUSED),
    Sample("checkout-declined", "checkout.html", DECLINED),
    Sample("checkout-expiring", "checkout.html", replace(PLAIN_CHECKOUT, seconds_left=170)),
    Sample("checkout-notice", "checkout.html", RISEN),
    Sample("checkout-processing", "checkout.html", replace(CHECKOUT, is_processing=True)),
    Sample("checkout-free", "checkout.html", FREE),
    Sample("checkout-donation", "checkout.html", GIVING),
    Sample("checkout-plan", "checkout.html", JOINING),
    Sample("checkout-kwd", "checkout.html", DINARS),
    Sample("checkout-event", "checkout.html", TICKETS_CHECKOUT, locale="en_GB"),
    Sample("three-d-secure", "three_d_secure.html", CHALLENGE),
    Sample("receipt", "receipt.html", RECEIPT),
    Sample("receipt-donation", "receipt.html", GIVEN_RECEIPT),
    Sample("receipt-plan", "receipt.html", JOINED),
    Sample("receipt-tickets", "receipt.html", TICKETS),
    Sample("home", "home.html", HOME),
    *_status_samples(),
    *_error_samples(),
)
