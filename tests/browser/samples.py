"""One made-up view per page state; what the gallery and the page tests show."""

from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import sin
from struct import pack
from zlib import compress, crc32

from services.gateway.pages.views import (
    Amount,
    AmountChoice,
    Brand,
    CheckoutPage,
    CustomField,
    DemoLink,
    Donation,
    ErrorPage,
    Event,
    Frequency,
    HomePage,
    Legal,
    LinkLine,
    LinkPage,
    ReceiptPage,
    StatusPage,
    Summary,
    SummaryDiscount,
    SummaryLine,
    SummaryTax,
    ThreeDSecurePage,
    Ticket,
    Tip,
    TipOption,
    View,
)


def _picture(width: int = 160, height: int = 120) -> str:
    """A soft hillside, so that the gallery needs no image file."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            ridge = 62 + 14 * sin(x / 26) + 7 * sin(x / 9)
            near = 88 + 9 * sin(x / 17 + 2)
            shade = (46, 92, 68) if y > near else (112, 150, 118) if y > ridge else None
            rows += bytes(shade or (232 - y // 3, 226 - y // 5, 205 + y // 6))
    header = pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", compress(bytes(rows))), (b"IEND", b""))
    png = b"".join(
        pack(">I", len(body)) + kind + body + pack(">I", crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + png).decode()


PICTURE = _picture()


@dataclass(frozen=True)
class Sample:
    name: str
    template: str
    view: View
    clicks: tuple[str, ...] = ()
    locale: str = "en"


def usd(minor: int) -> Amount:
    return Amount(minor, "USD")


HARBOUR = Brand(
    "Harbour Tea", {"primary_color": "#1f4d3a", "accent_color": "#1f6b4f"}, is_test_mode=True
)
LIVE = replace(HARBOUR, is_test_mode=False)
FOUNDATION = Brand("Open Rivers", {"primary_color": "#0f4c81", "radius": "large"})
FESTIVAL = Brand(
    "Nightjar Festival", {"primary_color": "#ffcf33", "accent_color": "#ffcf33", "radius": "none"}
)
LEGAL = Legal(
    terms_url="https://merchant.example/terms",
    privacy_url="https://merchant.example/privacy",
    refund_url="https://merchant.example/refunds",
    is_terms_required=True,
)

TEA = LinkPage(
    brand=HARBOUR,
    url="http://flint.test/l/tea",
    action="/l/tea",
    resolution_context="signed",
    name="Spring tea box",
    description=(
        "Three first-flush teas from small gardens, packed the week they arrive. "
        "Brewing notes inside."
    ),
    image_url=PICTURE,
    lines=(
        LinkLine(
            "box",
            "Spring tea box",
            usd(3200),
            description="Three tins of 50 g",
            is_quantity_adjustable=True,
            quantity_max=6,
        ),
        LinkLine("tin", "Steel caddy", usd(1450)),
    ),
    fields=(
        CustomField(
            "size", "Grind", "dropdown", is_required=True, options=("Whole leaf", "Ground")
        ),
        CustomField(
            "note", "Gift note", "textarea", placeholder="Up to 200 characters", max_length=200
        ),
        CustomField("gift", "Wrap it as a gift", "checkbox"),
    ),
    total=usd(4650),
)
TEA_REFUSED = replace(
    TEA, errors={"field.size": "Choose a grind.", "quantity.box": "Choose between 1 and 6."}
)
TEA_CHANGED = replace(
    TEA, is_changed=True, lines=(replace(TEA.lines[0], previous_price=usd(2900)), TEA.lines[1])
)
PLAIN_LINK = LinkPage(
    brand=Brand("Mara Lindqvist", is_test_mode=True),
    url="http://flint.test/l/consulting",
    action="/l/consulting",
    resolution_context="signed",
    name="Consulting hour",
    lines=(LinkLine("hour", "Consulting hour", usd(15000)),),
    total=usd(15000),
)
GIFT = LinkPage(
    brand=FOUNDATION,
    url="http://flint.test/l/rivers",
    action="/l/rivers",
    resolution_context="signed",
    name="Keep our rivers open",
    description="Every gift buys water tests, gloves and lunch for volunteers on the banks.",
    donation=Donation(
        AmountChoice(
            (usd(1000), usd(2500), usd(5000), usd(10000)), usd(500), usd(500000), usd(2500)
        ),
        (
            Frequency("one_time", "Once"),
            Frequency("monthly", "Monthly"),
            Frequency("yearly", "Yearly"),
        ),
        "Add $1.03 so that the whole gift arrives",
    ),
    total=usd(2500),
)
CONCERT = LinkPage(
    brand=FESTIVAL,
    url="http://flint.test/l/nightjar",
    action="/l/nightjar",
    resolution_context="signed",
    name="Nightjar 2027",
    description="One night of music under the pines. Doors at seven.",
    event=Event(datetime(2027, 7, 17, 17, 0, tzinfo=UTC), "Europe/Berlin", "Waldbühne, Berlin"),
    lines=(
        LinkLine("early", "Early bird", Amount(3900, "EUR"), is_sold_out=True),
        LinkLine(
            "std",
            "Standing",
            Amount(5400, "EUR"),
            quantity=2,
            is_quantity_adjustable=True,
            quantity_min=0,
            quantity_max=8,
            remaining=11,
        ),
        LinkLine(
            "seat",
            "Seat",
            Amount(7200, "EUR"),
            quantity=0,
            is_quantity_adjustable=True,
            quantity_min=0,
            quantity_max=8,
        ),
    ),
    total=Amount(10800, "EUR"),
)

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
    renewal_note="Then $87.08 every month until you cancel.",
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
TICKET_SUMMARY = Summary(
    (SummaryLine("Standing", 2, Amount(5400, "EUR"), Amount(10800, "EUR")),),
    Amount(10800, "EUR"),
    Amount(10800, "EUR"),
)
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
TICKETS = ReceiptPage(
    brand=FESTIVAL,
    order_number="220",
    paid_at=datetime(2026, 11, 24, 9, 41, tzinfo=UTC),
    paid=Amount(10800, "EUR"),
    summary=TICKET_SUMMARY,
    card_brand="mastercard",
    card_last4="4444",
    tickets=(Ticket("NJ-000347", "Standing"), Ticket("NJ-000348", "Standing")),
    calendar_url="/c/cs_3/event.ics",
    refunded=Amount(5400, "EUR"),
    timezone="Europe/Berlin",
)
HOME = HomePage(
    "http://localhost:8080",
    (
        DemoLink("/l/tea", "Tea box", "A fixed price with a quantity, fields and a picture"),
        DemoLink("/l/rivers", "Donation", "The buyer chooses an amount, once or every month"),
        DemoLink("/l/nightjar", "Concert", "Ticket tiers with a limited number of places"),
        DemoLink("/l/club", "Membership", "A plan that renews"),
    ),
    version="0.1.0",
)
STATUS = {
    kind: StatusPage(LIVE, kind, name="Spring tea box")
    for kind in (
        "preparing", "expired", "closed", "superseded", "order_mutated", "order_closed",
        "paid_elsewhere", "link_inactive", "link_sold_out", "link_max_completions", "link_ended",
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
    Sample("link-event", "link.html", CONCERT, locale="en_GB"),
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
    Sample("checkout-kwd", "checkout.html", DINARS),
    Sample("three-d-secure", "three_d_secure.html", CHALLENGE),
    Sample("receipt", "receipt.html", RECEIPT),
    Sample("receipt-tickets", "receipt.html", TICKETS),
    Sample("home", "home.html", HOME),
    *_status_samples(),
    *_error_samples(),
)
