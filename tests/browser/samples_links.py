"""Link pages made up for the gallery: what is sold, given and visited."""

from base64 import b64encode
from dataclasses import replace
from math import sin
from struct import pack
from zlib import compress, crc32

from services.gateway.pages.views import (
    Amount,
    AmountChoice,
    Brand,
    CoverFees,
    CustomField,
    Frequency,
    Legal,
    LinkLine,
    LinkPage,
    Terms,
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


def usd(minor: int) -> Amount:
    return Amount(minor, "USD")


HARBOUR = Brand(
    "Harbour Tea", {"primary_color": "#1f4d3a", "accent_color": "#1f6b4f"}, is_test_mode=True
)
LIVE = replace(HARBOUR, is_test_mode=False)
FOUNDATION = Brand("Open Rivers", {"primary_color": "#0f4c81", "radius": "large"})
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
RIVERS = LinkLine(
    "donation",
    "Keep our rivers open",
    usd(2500),
    amount_choice=AmountChoice(
        (usd(1000), usd(2500), usd(5000), usd(10000)),
        usd(500),
        usd(500000),
        usd(2500),
        is_open=True,
    ),
    cover_fees=CoverFees(usd(106), usd(2500), 29_000, 30, 1),
)
GIFT = LinkPage(
    brand=FOUNDATION,
    url="http://flint.test/l/rivers",
    action="/l/rivers",
    resolution_context="signed",
    name="Keep our rivers open",
    description="Every gift buys water tests, gloves and lunch for volunteers on the banks.",
    lines=(RIVERS,),
    frequencies=(
        Frequency("one_time", "Once"),
        Frequency("monthly", "Monthly"),
        Frequency("yearly", "Yearly"),
    ),
    total=usd(2500),
)
GIFT_MONTHLY = replace(
    GIFT,
    values={"donation_frequency": "monthly", "amount.donation": "50.00", "cover_fees": "true"},
    lines=(replace(RIVERS, cover_fees=CoverFees(usd(181), usd(5000), 29_000, 30, 1)),),
    total=usd(5181),
)
OPEN_GIFT = replace(
    GIFT,
    lines=(
        LinkLine(
            "donation",
            "Keep our rivers open",
            Amount(500, "EUR"),
            amount_choice=AmountChoice(minimum=Amount(500, "EUR"), is_open=True),
            cover_fees=CoverFees(Amount(32, "EUR"), Amount(0, "EUR"), 29_000, 30, 1),
        ),
    ),
    frequencies=(),
    total=Amount(0, "EUR"),
)
OPEN_GIFT_REFUSED = replace(
    OPEN_GIFT,
    values={"amount.donation": "zwölf"},
    errors={"amount.donation": "Enter an amount, such as 12,50."},
)
ATTAR = LinkPage(
    brand=HARBOUR,
    url="http://flint.test/l/attar",
    action="/l/attar",
    resolution_context="signed",
    name="Attar evening",
    lines=(
        LinkLine(
            "seat",
            "A seat at the table",
            Amount(12500, "KWD"),
            description="Pay what the evening is worth to you",
            amount_choice=AmountChoice(
                (Amount(7500, "KWD"), Amount(12500, "KWD"), Amount(20000, "KWD")),
                Amount(5000, "KWD"),
                Amount(50000, "KWD"),
                Amount(12500, "KWD"),
            ),
        ),
        LinkLine(
            "oil",
            "Oud oil, 3 ml",
            Amount(9750, "KWD"),
            is_quantity_adjustable=True,
            quantity_max=4,
        ),
        LinkLine(
            "host",
            "For the host",
            Amount(1000, "KWD"),
            amount_choice=AmountChoice(preset=Amount(1000, "KWD")),
        ),
    ),
    total=Amount(23250, "KWD"),
)
CLUB_TERMS = Terms(
    Amount(2400, "EUR"),
    "every month",
    setup_fee=Amount(500, "EUR"),
    minimum_months=12,
    early_fee=Amount(2500, "EUR"),
)
CLUB = LinkPage(
    brand=HARBOUR,
    url="http://flint.test/l/club",
    action="/l/club",
    resolution_context="signed",
    name="Tea club",
    description="A box of three teas at the beginning of every month, each from another garden.",
    lines=(
        LinkLine("item-1", "Box of three teas", Amount(2400, "EUR")),
        LinkLine("setup-fee", "Setup fee", Amount(500, "EUR")),
    ),
    terms=CLUB_TERMS,
    total=Amount(2900, "EUR"),
)
TRIAL_TERMS = replace(CLUB_TERMS, trial_days=14, minimum_months=0, early_fee=None)
CLUB_TRIAL = replace(CLUB, lines=CLUB.lines[1:], terms=TRIAL_TERMS, total=Amount(500, "EUR"))
CLUB_CHANGED = replace(
    CLUB,
    is_changed=True,
    terms=replace(CLUB_TERMS, previous_price=Amount(2200, "EUR")),
    lines=(replace(CLUB.lines[0], previous_price=Amount(2200, "EUR")), CLUB.lines[1]),
)
