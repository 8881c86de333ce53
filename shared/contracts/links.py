"""What links owns: the payment link, its requests, its answers and its facts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from shared.contracts.base import Command, Event, Query
from shared.contracts.configs import (
    CustomTextConfig,
    HostedConfigs,
    LegalConfig,
    PrefilledCustomer,
    Theme,
)
from shared.contracts.link_requests import (
    AddSlugParams,
    Answer,
    CoverFees,
    CustomField,
    EventConfig,
    Frequency,
    Key,
    LinkConfigs,
    LinkLineItem,
    LinkMode,
    LinkStatus,
    PaymentLinkCreateParams,
    ReplaceCustomFieldsParams,
    ReplaceLineItemsParams,
)
from shared.contracts.lists import ListQuery, Page
from shared.contracts.plans import SubscriptionPlan, SubscriptionTerms
from shared.contracts.types import (
    CheckoutSessionId,
    ChosenQuantity,
    ModeEnvironment,
    OrderId,
    PaymentLinkId,
    Resource,
    ShortText,
    Strict,
    Time,
    text,
)
from shared.money import Money


class LinkWarning(Resource):
    """Something that is allowed and that a merchant should know. Ours."""

    code: Literal["CAP_BELOW_SOLD"]
    param: str  # the field it is about
    message: str


class PaymentLink(Resource, LinkConfigs):
    """A reusable template behind one public URL."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    payment_link_id: str
    name: str
    description: str | None = None
    image_url: str | None = None
    inactive_message: str | None = None
    mode: LinkMode
    status: LinkStatus
    line_items: list[LinkLineItem] = []
    plan_id: str | None = None
    custom_fields: list[CustomField] = []
    donation_suggested_amounts: list[Money] = []
    donation_min_amount_money: Money | None = None
    donation_max_amount_money: Money | None = None
    donation_frequencies: list[Frequency] = []
    donation_cover_fees: CoverFees | None = None
    event_config: EventConfig = EventConfig()
    max_completions: int | None = None
    release_on_refund: bool = False
    completed_count: int = 0
    active_count: Annotated[
        int, Field(description="Ours. 'completed_count' less what refunds gave back.")
    ] = 0
    total_quantity_sold: int = 0
    remaining_quantity: int | None = None
    is_sold_out: bool = False
    warnings: list[LinkWarning] = []
    version: int = 1
    url: str = ""
    slugs: list[str] = []
    metadata: dict[str, str] = {}
    merchant_id: str
    mode_environment: ModeEnvironment
    created_at: Time
    updated_at: Time


class ResolvedLine(Resource):
    """A line as a buyer sees it: priced, named, with what may be chosen."""

    key: str
    name: str
    description: str | None = None
    image_url: str | None = None
    unit_price_money: Money
    quantity: int = 1
    allow_quantity_adjustment: bool = False
    min_quantity: int = 1
    max_quantity: int = 1
    is_optional: Annotated[
        bool, Field(description="Ours. Whether 0 may be chosen, as of one tier among several.")
    ] = False
    allow_amount_adjustment: bool = False
    min_amount_money: Money | None = None
    max_amount_money: Money | None = None
    suggested_amounts: list[Money] = []
    is_amount_open: bool = False  # no price stands: `unit_price_money` only starts the choice
    cover_fees: CoverFees | None = None  # what may be added so that the amount arrives whole
    is_sold_out: bool = False
    quantity_available: int | None = None


class BuyerLink(Resource):
    """What a buyer may see of a link: no metadata, no redirects, no counts."""

    payment_link_id: str
    name: str
    description: str | None = None
    image_url: str | None = None
    inactive_message: str | None = None
    mode: LinkMode
    status: LinkStatus
    version: int
    url: str
    theme: Theme = Theme()
    legal: LegalConfig = LegalConfig()
    custom_text: CustomTextConfig = CustomTextConfig()
    custom_fields: list[CustomField] = []
    event_config: EventConfig = EventConfig()


def shown_version(link_version: int, plan_version: int | None) -> int:
    """What a page was opened at. Both only grow, so their sum does whenever either does."""
    return link_version + (plan_version or 0)


class ShownLink(Resource):
    """Answer of `links.show`: the buyer's view, and why it cannot be resolved now, if so."""

    payment_link: BuyerLink
    resolved_line_items: list[ResolvedLine] = []
    donation_frequencies: list[Frequency] = []  # asked how often; empty: once, nobody is asked
    subscription_terms: SubscriptionTerms | None = None  # the lines are what is due today
    is_sold_out: bool = False
    remaining_quantity: int | None = None
    unavailable_reason: str | None = None
    merchant_id: str
    mode_environment: ModeEnvironment
    slug: str = ""  # the newest; an older one redirects to it

    @property
    def version(self) -> int:
        """What a page that shows it is opened at; a resolve has to bring no older one back."""
        terms = self.subscription_terms
        return shown_version(self.payment_link.version, terms.plan_version if terms else None)


class TicketedEvent(Resource):
    """What a ticket admits to, as it was offered. Times are shown in `timezone` (IANA)."""

    name: str
    event_date: Time | None = None
    event_end_date: Time | None = None
    timezone: str = "UTC"
    location: str | None = None


class OfferLine(Resource):
    """One line of a frozen offer."""

    key: str
    name: str
    description: str | None = None
    image_url: str | None = None
    item_id: str | None = None
    quantity: int
    unit_price_money: Money
    is_counted: bool = True  # one of the pieces sold; what covers the fees is none


class Offer(Resource):
    """What a link sells to one buyer, mode already translated. Nobody outside links says mode."""

    name: str
    currency: str
    lines: list[OfferLine]
    is_limited: bool = False  # a place has to be claimed between authorisation and capture
    donation_frequency: Frequency | None = None  # the donor's wish; this offer is one payment
    event: TicketedEvent | None = None  # each piece of each line is a seat and gets a ticket
    ticket_prefix: str | None = None
    sold_until: Time | None = None  # no page of it stays open for longer
    subscription_terms: SubscriptionTerms | None = None  # the lines are the first payment


class Choices(Strict):
    """What the buyer chose on the link's page."""

    quantity_overrides: Annotated[dict[Key, ChosenQuantity], Field(max_length=50)] = {}
    unit_price_overrides: Annotated[dict[Key, Money], Field(max_length=50)] = {}
    custom_field_values: Annotated[dict[Key, Answer], Field(max_length=20)] = {}
    donation_amount_money: Money | None = None
    donation_frequency: Frequency | None = None
    donation_covers_fees: bool = False
    coupon_code: Annotated[str, text(64, 1)] | None = None
    customer: PrefilledCustomer | None = None


class ResolveParams(Choices):
    """Buyer side, no key: the choices plus the signed context of the page they were made on."""

    resolution_context: Annotated[str, text(2_048)] | None = None


class Resolution(Resource):
    """Answer of `links.resolve`: the ids that the session and the order will bear."""

    checkout_session_id: str
    order_id: str
    payment_link_id: str
    merchant_id: str
    mode_environment: ModeEnvironment


class CreateLink(Command[PaymentLink], topic="links.create"):
    """`plan`: what orders said of the `plan_id` just now, since its facts may still be on the way.

    Absent, links goes by what it has heard.
    """

    params: PaymentLinkCreateParams
    plan: SubscriptionPlan | None = None


class GetLink(Query[PaymentLink], topic="links.get"):
    payment_link_id: str


class ListLinks(ListQuery[Page[PaymentLink]], topic="links.list"):
    status: LinkStatus | None = None
    mode: LinkMode | None = None
    has_plan: bool | None = None


class UpdateLink(Command[PaymentLink], topic="links.update"):
    payment_link_id: str
    params: dict[str, Any]  # the validated PATCH as JSON: null and absent differ


class ReplaceLineItems(Command[PaymentLink], topic="links.replace_line_items"):
    payment_link_id: str
    params: ReplaceLineItemsParams


class ReplaceCustomFields(Command[PaymentLink], topic="links.replace_custom_fields"):
    payment_link_id: str
    params: ReplaceCustomFieldsParams


class ActivateLink(Command[PaymentLink], topic="links.activate"):
    payment_link_id: str


class DeactivateLink(Command[PaymentLink], topic="links.deactivate"):
    payment_link_id: str
    close_open_sessions: bool = False


class AddSlug(Command[PaymentLink], topic="links.add_slug"):
    """The slug becomes the link's newest; the older ones lead to it."""

    payment_link_id: str
    params: AddSlugParams


class RemoveSlug(Command[PaymentLink], topic="links.remove_slug"):
    payment_link_id: str
    slug: str


class ShowLink(Query[ShownLink], topic="links.show"):
    """By slug or by id; the merchant is not known yet."""

    slug: str | None = None
    payment_link_id: str | None = None


class ResolveLink(Command[Resolution], topic="links.resolve"):
    """`context_*` come from the signed page token: the same page and choices, the same session."""

    payment_link_id: str
    context_id: str
    context_version: int
    choices: Choices
    client_reference_id: ShortText | None = None
    utm: dict[str, str] = {}
    locale: str | None = None


class ClaimPlace(Command[None], topic="links.claim"):
    """Asked for ever, answered the same for ever, per attempt; the answer is `claim.settled`."""

    attempt_id: str
    order_id: str
    payment_link_id: str
    quantities: dict[str, int] = {}
    checkout_session_id: str | None = None


class ReleasePlace(Command[None], topic="links.release"):
    attempt_id: str
    order_id: str
    payment_link_id: str
    checkout_session_id: str | None = None


class ClaimSettled(Event, topic="claim.settled", subject="attempt_id", public=False):
    attempt_id: str
    order_id: str
    payment_link_id: str
    is_granted: bool
    refusal_code: str | None = None
    checkout_session_id: str | None = None


class LinkFact(PaymentLink, Event):
    """The link as the API shows it, and the old values of what changed."""

    previous: dict[str, Any] = {}


class LinkCreated(LinkFact, topic="link.created", subject="payment_link_id"):
    """A merchant made a link."""


class LinkUpdated(LinkFact, topic="link.updated", subject="payment_link_id"):
    """A merchant changed a link; sessions already made keep what they froze."""


class LinkActivated(LinkFact, topic="link.activated", subject="payment_link_id"):
    """Buyers may resolve the link again."""


class LinkDeactivated(LinkFact, topic="link.deactivated", subject="payment_link_id"):
    """No buyer can resolve the link; open sessions may finish, unless they are closed too."""

    close_open_sessions: bool = False


class LinkExhausted(LinkFact, topic="link.exhausted", subject="payment_link_id"):
    """The link has sold all that its cap allows."""


class LinkReopened(LinkFact, topic="link.reopened", subject="payment_link_id"):
    """The cap was raised or a refund gave a place back: an exhausted link sells again."""


class LinkResolved(Event, topic="link.resolved", subject="checkout_session_id"):
    """A buyer chose. Carries all that sessions and orders need, so that neither asks anybody.

    The subject is the session it opens: a hot link must not serialise on one counter.
    """

    checkout_session_id: CheckoutSessionId
    order_id: OrderId
    payment_link_id: PaymentLinkId
    merchant_id: str
    mode_environment: ModeEnvironment
    offer: Offer
    configs: HostedConfigs
    custom_fields: list[CustomField] = []
    custom_field_values: dict[str, str] = {}
    customer: PrefilledCustomer | None = None
    client_reference_id: str | None = None
    utm: dict[str, str] = {}
    locale: str | None = None
    resolved_at: Time
