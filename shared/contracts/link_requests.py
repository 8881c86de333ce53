"""What a merchant may ask of links: line items, custom fields, and the request bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from shared.contracts.configs import (
    CouponConfig,
    CustomerConfig,
    CustomTextConfig,
    ExpirationConfig,
    LegalConfig,
    PaymentConfig,
    Redirects,
    TaxConfig,
    Theme,
    TipConfig,
)
from shared.contracts.types import (
    Description,
    ImageUrl,
    ItemId,
    Metadata,
    MetadataPatch,
    Name,
    Note,
    PlanId,
    Quantity,
    ShortText,
    Slug,
    Strict,
    Time,
    key,
    text,
)
from shared.money import MILLIONTHS_PER_PERCENT, Money, card_step, grossed_up, millionths

LinkMode = Literal["standard", "donation", "event"]
LinkStatus = Literal["active", "inactive"]
FieldType = Literal["text", "textarea", "dropdown", "checkbox"]
Key = Annotated[str, key(64)]
Answer = Annotated[str, text(4_096)]
Frequency = Literal["one_time", "monthly", "yearly"]


TierCap = Annotated[
    Quantity,
    Field(
        description="Ours. Event links only: how many tickets of this tier are sold in all, beside "
        "the event's own 'max_total_quantity'. 'max_quantity' is what one order may take."
    ),
]
EndDate = Annotated[
    Time,
    Field(
        description="Ours. Until when tickets are sold; absent, the event is over once it began. "
        "The last minute opens no more pages, and no page stays open beyond it."
    ),
]
ReleaseOnRefund = Annotated[
    bool,
    Field(
        description="Ours. Whether a full refund gives the place and the seats back to be sold "
        "again. 'completed_count' is history and keeps them."
    ),
]


class LinkLineItem(Strict):
    """One thing for sale. Only its price is required; `key` and `name` are made when absent."""

    key: Key | None = None
    name: Name | None = None
    description: Description | None = None
    image_url: ImageUrl | None = None
    amount_money: Money | None = None
    item_id: ItemId | None = None
    quantity: Quantity | None = None
    allow_quantity_adjustment: bool | None = None
    min_quantity: Quantity | None = None
    max_quantity: Quantity | None = None
    max_total_quantity: TierCap | None = None
    allow_amount_adjustment: bool | None = None
    min_amount_money: Money | None = None
    max_amount_money: Money | None = None
    suggested_amounts: Annotated[list[Money], Field(max_length=10)] = []


class CustomField(Strict):
    """A question the buyer answers before paying. `max_length` counts code points."""

    key: Key
    label: Annotated[str, text(250, 1)]
    type: FieldType
    is_required: bool = False
    placeholder: ShortText | None = None
    options: Annotated[list[Annotated[str, text(100, 1)]], Field(max_length=200)] = []
    max_length: Annotated[int, Field(strict=True, ge=1, le=4_096)] | None = None
    sort_order: Annotated[int, Field(strict=True, ge=0, le=1_000)] = 0


class EventConfig(Strict):
    """When and where an event is, and how many may come."""

    event_date: Time | None = None
    event_end_date: EndDate | None = None
    timezone: Annotated[str, text(64)] | None = None
    location: ShortText | None = None
    max_total_quantity: Quantity | None = None
    ticket_prefix: Annotated[str, text(16)] | None = None
    send_ticket_emails: bool | None = None

    @property
    def sold_until(self) -> datetime | None:
        """When it is over: without an end of its own, once it has begun."""
        return self.event_end_date or self.event_date


def _four_decimals(percent: float) -> float:
    if millionths(percent) / MILLIONTHS_PER_PERCENT != percent:
        raise ValueError("A percentage has at most four decimals.")
    return percent


class CoverFees(Strict):
    """What a donor may add so that the fees do not shrink the gift (`percent`: ≤ 4 decimals)."""

    percent: Annotated[
        float, Field(ge=0, le=20, allow_inf_nan=False), AfterValidator(_four_decimals)
    ] = 0
    fixed_money: Money | None = None

    @property
    def fixed(self) -> int:
        """The part that every gift costs, in minor units."""
        return self.fixed_money.amount if self.fixed_money else 0

    def on(self, gift: Money) -> int:
        """What to add to a gift, in minor units, so that all of it arrives.

        (gift + fixed) / (1 - percent) - gift, the whole rounded up to what a card can be charged.
        """
        step = card_step(gift.currency)
        whole = grossed_up(gift.amount, millionths(self.percent), self.fixed, step)
        return whole - gift.amount


class LinkConfigs(Strict):
    """The hosted configs a link carries."""

    theme: Theme = Theme()
    payments: PaymentConfig = PaymentConfig()
    tip: TipConfig = TipConfig()
    customer: CustomerConfig = CustomerConfig()
    tax: TaxConfig = TaxConfig()
    legal: LegalConfig = LegalConfig()
    expiration: ExpirationConfig = ExpirationConfig()
    redirects: Redirects = Redirects()
    coupon: CouponConfig = CouponConfig()
    custom_text: CustomTextConfig = CustomTextConfig()


LineItems = Annotated[list[LinkLineItem], Field(max_length=50)]
CustomFields = Annotated[list[CustomField], Field(max_length=20)]
MaxCompletions = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
Suggestions = Annotated[list[Money], Field(max_length=10)]


class PaymentLinkCreateParams(LinkConfigs):
    """A new link; only `name` is required."""

    name: Name
    description: Description | None = None
    image_url: ImageUrl | None = None
    inactive_message: Note | None = None
    mode: LinkMode = "standard"
    line_items: LineItems = []
    plan_id: PlanId | None = None
    custom_fields: CustomFields = []
    donation_suggested_amounts: Suggestions = []
    donation_min_amount_money: Money | None = None
    donation_max_amount_money: Money | None = None
    donation_frequencies: Annotated[list[Frequency], Field(max_length=3)] = []
    donation_cover_fees: CoverFees | None = None
    event_config: EventConfig = EventConfig()
    max_completions: MaxCompletions | None = None
    release_on_refund: ReleaseOnRefund = False
    slug: Slug | None = None
    metadata: Metadata = {}


class PaymentLinkUpdateParams(Strict):
    """PATCH: config objects merge field by field, `null` clears, absent stays."""

    name: Name | None = None
    description: Description | None = None
    image_url: ImageUrl | None = None
    inactive_message: Note | None = None
    theme: Theme | None = None
    payments: PaymentConfig | None = None
    tip: TipConfig | None = None
    customer: CustomerConfig | None = None
    tax: TaxConfig | None = None
    legal: LegalConfig | None = None
    expiration: ExpirationConfig | None = None
    redirects: Redirects | None = None
    coupon: CouponConfig | None = None
    custom_text: CustomTextConfig | None = None
    event_config: EventConfig | None = None
    donation_suggested_amounts: Suggestions | None = None
    donation_min_amount_money: Money | None = None
    donation_max_amount_money: Money | None = None
    donation_frequencies: Annotated[list[Frequency], Field(max_length=3)] | None = None
    donation_cover_fees: CoverFees | None = None
    max_completions: MaxCompletions | None = None
    clear_max_completions: bool | None = None
    release_on_refund: ReleaseOnRefund | None = None
    metadata: MetadataPatch | None = None
    expected_version: Annotated[int, Field(strict=True, ge=1)] | None = None


class ReplaceLineItemsParams(Strict):
    """The new lines, all of them."""

    line_items: LineItems = []
    expected_version: Annotated[int, Field(strict=True, ge=1)] | None = None


class ReplaceCustomFieldsParams(Strict):
    """The new questions, all of them."""

    custom_fields: CustomFields = []
    expected_version: Annotated[int, Field(strict=True, ge=1)] | None = None


class AddSlugParams(Strict):
    """Another address of the link. Without a slug, a readable one is made that nobody can guess."""

    slug: Slug | None = None
    expected_version: Annotated[int, Field(strict=True, ge=1)] | None = None


HOSTED_CONFIG_NAMES: Final = tuple(LinkConfigs.model_fields)
