"""An event's pages: its tiers, what can be wrong with a choice of them, and the tickets."""

from dataclasses import replace
from datetime import UTC, datetime

from services.gateway.pages.views import (
    Amount,
    Answer,
    Brand,
    CheckoutPage,
    Event,
    LinkLine,
    LinkPage,
    ReceiptPage,
    Summary,
    SummaryLine,
    Ticket,
)

FESTIVAL = Brand(
    "Nightjar Festival", {"primary_color": "#ffcf33", "accent_color": "#ffcf33", "radius": "none"}
)
ULID = "01KAT0M5V8Q4Z6R2N3W9XJ7HDE"
NIGHTJAR = Event(
    datetime(2027, 7, 17, 17, 0, tzinfo=UTC),
    datetime(2027, 7, 17, 21, 30, tzinfo=UTC),
    "Europe/Berlin",
    "Waldbühne, Berlin",
)
CONCERT = LinkPage(
    brand=FESTIVAL,
    url="http://flint.test/l/nightjar",
    action="/l/nightjar",
    resolution_context="signed",
    name="Nightjar 2027",
    description="One night of music under the pines. Doors at seven.",
    event=NIGHTJAR,
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
CONCERT_REFUSED = replace(
    CONCERT,
    lines=(
        replace(CONCERT.lines[0], is_sold_out=True),
        replace(CONCERT.lines[1], quantity=0, remaining=None, is_optional=True),
        LinkLine(
            "table",
            "Table of eight",
            Amount(52000, "EUR"),
            quantity=0,
            description="Under the old oak, served",
            is_quantity_adjustable=True,
            quantity_min=8,
            quantity_max=8,
            is_optional=True,
        ),
    ),
    total=Amount(0, "EUR"),
    values={"quantity.std": "0", "quantity.table": "3"},
    errors={
        "quantity.early": "Early bird is sold out.",
        "quantity.table": "The quantity is 8 or none.",
    },
)
TICKET_SUMMARY = Summary(
    (SummaryLine("Standing", 2, Amount(5400, "EUR"), Amount(10800, "EUR")),),
    Amount(10800, "EUR"),
    Amount(10800, "EUR"),
)
ANSWERS = (
    Answer("Name on the guest list", "Ada Lovelace"),
    Answer("Who recommended us?", "مهرجان الليل \u202e<b>Nightjar</b>"),
    Answer("Anything we should know?", "Two wheelchairs.\nWe arrive by the 18:40 train."),
    Answer("I bring my own cup", "Yes"),
)
TICKETS_CHECKOUT = CheckoutPage(
    brand=FESTIVAL,
    pay_action="/c/cs_3/pay",
    update_action="/c/cs_3",
    status_url="/c/cs_3/status",
    form_token="token",
    summary=TICKET_SUMMARY,
    event_name="Nightjar 2027",
    event=NIGHTJAR,
    answers=ANSWERS,
)
TICKETS = ReceiptPage(
    brand=FESTIVAL,
    order_number="220",
    paid_at=datetime(2026, 11, 24, 9, 41, tzinfo=UTC),
    paid=Amount(10800, "EUR"),
    summary=TICKET_SUMMARY,
    card_brand="mastercard",
    card_last4="4444",
    tickets=(
        Ticket("NJ-000347", "Standing", f"NJ-000347 tkt_{ULID}"),
        Ticket("NJ-000348", "Standing", f"NJ-000348 tkt_{ULID}"),
    ),
    event_name="Nightjar 2027",
    event=NIGHTJAR,
    calendar_url="/c/cs_3/receipt.ics",
    refunded=Amount(5400, "EUR"),
    answers=ANSWERS,
    timezone="Europe/Berlin",
)
