"""What each page shows: plain values, no behaviour. A handler fills one and hands it to `render`.

Conventions: an empty string, None or empty tuple means "not there"; `values` and `errors` are keyed
by form field name ("card_number", "billing.line1", "field.size"); `errors` alone decides whether a
page shows an error summary. Card number, expiry and CVC are never echoed, whatever `values` holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple


class Amount(NamedTuple):
    """Integer minor units by the currency's ISO 4217 exponent."""

    amount_minor: int
    currency: str


@dataclass(frozen=True)
class Brand:
    """Who is selling. `theme` is the merchant's raw `theme` config; bad values fall back."""

    merchant_name: str
    theme: Mapping[str, str] = field(default_factory=dict)
    is_test_mode: bool = False


FLINT = Brand("Flint")


# ---- parts shared by several pages ---------------------------------------------------------------


@dataclass(frozen=True)
class SummaryLine:
    name: str
    quantity: int
    unit_price: Amount
    total: Amount
    description: str = ""
    image_url: str = ""


@dataclass(frozen=True)
class SummaryDiscount:
    """`remove_value` is posted as `remove_discount`; empty when the buyer may not take it off."""

    name: str
    amount: Amount  # positive; the page writes the minus sign
    remove_value: str = ""


@dataclass(frozen=True)
class SummaryTax:
    name: str
    amount: Amount
    is_inclusive: bool = False


@dataclass(frozen=True)
class Summary:
    """The order as it will be charged: subtotal - discounts + taxes + tip = total."""

    lines: tuple[SummaryLine, ...]
    subtotal: Amount
    total: Amount
    discounts: tuple[SummaryDiscount, ...] = ()
    taxes: tuple[SummaryTax, ...] = ()
    tip: Amount | None = None
    message: str = ""  # custom_text.order_summary_message
    is_tax_pending: bool = False  # tax depends on an address that is not known yet


@dataclass(frozen=True)
class Answer:
    """To a merchant's question; shown to nobody but the browser that gave it."""

    label: str
    text: str


@dataclass(frozen=True)
class AmountChoice:
    """A buyer-chosen amount: suggestions become radio chips beside an amount field."""

    suggestions: tuple[Amount, ...] = ()
    minimum: Amount | None = None
    maximum: Amount | None = None
    preset: Amount | None = None
    is_open: bool = False  # nothing is due until the buyer says how much


@dataclass(frozen=True)
class CoverFees:
    """The offer to add what the fees take: `added` on `base`, and the rule for other amounts."""

    added: Amount
    base: Amount
    percent_millionths: int
    fixed_minor: int
    step_minor: int  # the sum is rounded up to a multiple of it


@dataclass(frozen=True)
class Terms:
    """What a plan costs and how often; the lines beside it are what is due today."""

    price: Amount  # of each period
    interval: str  # "every month"
    trial_days: int = 0
    setup_fee: Amount | None = None
    minimum_months: int = 0
    early_fee: Amount | None = None  # of whoever leaves before that
    previous_price: Amount | None = None  # the changed notice strikes it through


@dataclass(frozen=True)
class Legal:
    terms_url: str = ""
    privacy_url: str = ""
    refund_url: str = ""
    shipping_url: str = ""
    contract_url: str = ""
    is_terms_required: bool = False


# ---- /l/{slug} -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinkLine:
    key: str
    name: str
    unit_price: Amount
    quantity: int = 1
    description: str = ""
    is_quantity_adjustable: bool = False
    quantity_min: int = 1
    is_optional: bool = False  # none may be taken, too
    quantity_max: int | None = None
    amount_choice: AmountChoice | None = None
    cover_fees: CoverFees | None = None
    is_sold_out: bool = False
    remaining: int | None = None  # shown as "3 left" when given
    previous_price: Amount | None = None  # the changed notice strikes it through


@dataclass(frozen=True)
class CustomField:
    key: str
    label: str
    type: Literal["text", "textarea", "dropdown", "checkbox"] = "text"
    is_required: bool = False
    placeholder: str = ""
    options: tuple[str, ...] = ()
    max_length: int | None = None


@dataclass(frozen=True)
class Frequency:
    value: str  # one_time, monthly, yearly
    label: str


@dataclass(frozen=True)
class Event:
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    timezone: str = "UTC"
    location: str = ""


@dataclass(frozen=True)
class LinkPage:
    """Fields by line key: `quantity.{key}`, `amount.{key}`, `amount_other.{key}`; and
    `cover_fees`, `donation_frequency`, `field.{key}`.
    """

    brand: Brand
    url: str  # absolute, for Open Graph
    action: str  # where the form posts: the page's own path
    resolution_context: str
    name: str
    total: Amount  # for the choices as rendered
    lines: tuple[LinkLine, ...] = ()
    event: Event | None = None
    description: str = ""
    image_url: str = ""
    preview_url: str = ""  # absolute: the server's own picture of the link
    fields: tuple[CustomField, ...] = ()
    frequencies: tuple[Frequency, ...] = ()  # what to ask; empty: the buyer is not asked
    terms: Terms | None = None  # of a link with a plan
    remaining: int | None = None  # completions left, shown when given
    is_changed: bool = False  # the link was edited since the buyer opened it
    notice: str = ""  # any other refusal, in words
    legal: Legal = Legal()
    hidden: Mapping[str, str] = field(default_factory=dict)  # carried through, e.g. utm_source
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


# ---- /c/{checkout_session_id} --------------------------------------------------------------------


@dataclass(frozen=True)
class TipOption:
    value: str  # posted as `tip`: "0", "15%", "3.00"
    label: str
    amount: Amount | None = None


@dataclass(frozen=True)
class Tip:
    """`tip` is an option's value or "custom"; then the amount is in `tip_custom`."""

    options: tuple[TipOption, ...]
    selected: str = "0"
    is_custom_enabled: bool = False


@dataclass(frozen=True)
class CardOnTrial:
    number: str
    outcome: str


TEST_CARDS = (
    CardOnTrial("4242 4242 4242 4242", "Pays"),
    CardOnTrial("4000 0000 0000 0002", "Declined"),
    CardOnTrial("4000 0000 0000 9995", "Insufficient funds"),
    CardOnTrial("4000 0025 0000 3155", "Asks for 3-D Secure"),
    CardOnTrial("4000 0000 0000 0077", "Pays 5 seconds later"),
    CardOnTrial("4000 0000 0000 0259", "Answer is lost"),
)


@dataclass(frozen=True)
class CheckoutPage:
    """The hosted page. With `is_processing` it shows the waiting panel instead of the form."""

    brand: Brand
    pay_action: str  # the payment form posts here: action=pay or action=update
    update_action: str  # tip and coupon forms post here: action=update
    status_url: str  # server-sent events while processing
    form_token: str
    summary: Summary
    order_revision: int = 0  # of the order as the summary shows it
    event_name: str = ""
    event: Event | None = None
    answers: tuple[Answer, ...] = ()
    button_text: str = "Pay"  # custom_text.checkout_button_text; the amount is added
    is_processing: bool = False
    is_email_required: bool = True
    is_phone_required: bool = False
    is_billing_address_required: bool = False
    is_shipping_address_required: bool = False
    is_address_taxed: bool = False  # offers "Update total" under the address
    is_coupon_enabled: bool = False
    shipping_label: str = "Shipping address"
    tip: Tip | None = None
    legal: Legal = Legal()
    wish_note: str = ""  # "You would like to give monthly. …"
    terms: Terms | None = None  # of a plan's first payment
    payment_note: str = ""
    decline: str = ""  # why the last attempt failed; the page adds what to do next
    notice: str = ""  # anything else worth saying: total changed, merchant's refusal …
    seconds_left: int | None = None
    cancel_url: str = ""
    test_cards: tuple[CardOnTrial, ...] = TEST_CARDS  # shown in test mode only
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ThreeDSecurePage:
    """The sandbox bank's challenge. Buttons post `outcome` = complete | fail."""

    brand: Brand
    action: str
    form_token: str
    amount: Amount
    card_last4: str = ""


# ---- /c/{id}/receipt -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticket:
    code: str
    name: str
    scanned: str  # what its QR code says


@dataclass(frozen=True)
class ReceiptPage:
    brand: Brand
    order_number: str
    paid_at: datetime
    paid: Amount
    summary: Summary
    timezone: str = "UTC"
    card_brand: str = ""  # visa, mastercard …; empty for a free order
    card_last4: str = ""
    buyer_email: str = ""  # only for the browser that typed it
    answers: tuple[Answer, ...] = ()
    refunded: Amount | None = None
    wish: str = ""  # "Monthly": how often the donor would like to give
    terms: Terms | None = None  # of a plan's first payment
    tickets: tuple[Ticket, ...] = ()
    event_name: str = ""
    event: Event | None = None
    calendar_url: str = ""
    success_url: str = ""  # "Return to merchant"
    legal: Legal = Legal()


# ---- everything that is not payable --------------------------------------------------------------

StatusKind = Literal[
    "preparing",
    "expired",
    "closed",
    "superseded",
    "order_mutated",
    "order_closed",
    "paid_elsewhere",
    "link_inactive",
    "link_not_yet",
    "link_withdrawn",
    "link_sold_out",
    "link_max_completions",
    "link_ended",
]


@dataclass(frozen=True)
class StatusPage:
    """A session or link that cannot be paid. `message` (inactive_message) replaces our sentence."""

    brand: Brand
    kind: StatusKind
    message: str = ""
    name: str = ""  # of the link or order, when known
    start_again_url: str = ""
    merchant_url: str = ""  # cancel_redirect_url or expiration_url


@dataclass(frozen=True)
class ErrorPage:
    """`status` is the HTTP status; unknown ones read as 500."""

    status: int
    request_id: str = ""
    brand: Brand = FLINT
    retry_after_seconds: int | None = None
    start_again_url: str = ""


# ---- / -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DemoLink:
    url: str
    title: str
    description: str


@dataclass(frozen=True)
class HomePage:
    base_url: str  # "http://localhost:8080"
    demos: tuple[DemoLink, ...] = ()
    docs_url: str = "/docs"
    version: str = ""
    brand: Brand = FLINT


View = LinkPage | CheckoutPage | ThreeDSecurePage | ReceiptPage | StatusPage | ErrorPage | HomePage
