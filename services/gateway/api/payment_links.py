"""`/v1/payment-links`: the merchant's templates, and the two doors a buyer has without a key."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from services.gateway import resolution
from services.gateway.api import examples
from services.gateway.api.lists import ListParams, QueryBool
from services.gateway.api.operation import ApiCall, NoParams, Operation
from services.gateway.api.subscription_plans import known_plan
from services.gateway.gateway import Gateway
from services.gateway.resolution import ResolutionContext
from services.gateway.stats.store import View
from shared.contracts.base import Context
from shared.contracts.link_requests import (
    Frequency,
    LinkMode,
    LinkStatus,
    PaymentLinkCreateParams,
    PaymentLinkUpdateParams,
    ReplaceCustomFieldsParams,
    ReplaceLineItemsParams,
)
from shared.contracts.links import (
    ActivateLink,
    BuyerLink,
    Choices,
    CreateLink,
    DeactivateLink,
    GetLink,
    ListLinks,
    PaymentLink,
    ReplaceCustomFields,
    ReplaceLineItems,
    ResolvedLine,
    ResolveLink,
    ResolveParams,
    ShowLink,
    ShownLink,
    UpdateLink,
)
from shared.contracts.lists import Page
from shared.contracts.plans import ARCHIVED, SubscriptionTerms
from shared.contracts.sessions import CheckoutSession, ShowSession
from shared.contracts.types import Resource, Strict, Time
from shared.errors import Refusal, Unavailable
from shared.telemetry.scope import about_session

READ: Final = "checkouts.payment_links.read"
WRITE: Final = "checkouts.payment_links.write"
SESSION_SECONDS: Final = 3.0
OPENED_SOON_SECONDS: Final = 0.1


class PaymentLinkListParams(ListParams):
    """Filters and order of the list."""

    sort_field: Literal["created_at", "updated_at"] = "created_at"
    status: LinkStatus | None = None
    mode: LinkMode | None = None
    has_plan: QueryBool | None = None


class DeactivateParams(Strict):
    """What becomes of the sessions that buyers have open: by default they may finish."""

    close_open_sessions: bool = False


class PublicPaymentLink(Resource):
    """What a buyer may see of a link, and the context that a resolve has to bring back."""

    payment_link: BuyerLink
    merchant_name: str
    resolved_line_items: list[ResolvedLine]
    donation_frequencies: Annotated[
        list[Frequency], Field(description="How often a donor may wish to give; empty: once.")
    ]
    subscription_terms: Annotated[
        SubscriptionTerms | None,
        Field(description="Of a link with a plan: its lines are what is due today."),
    ] = None
    is_sold_out: bool = False
    remaining_quantity: int | None = None
    unavailable_reason: Annotated[
        str | None, Field(description="The code that a resolve would be refused with now.")
    ] = None
    resolution_context: str
    resolution_context_expires_at: Time


class ResolvedLink(Resource):
    """A fresh session, and the page the buyer is sent to."""

    checkout_session: CheckoutSession
    checkout_url: str


async def create(call: ApiCall) -> PaymentLink:
    plan = await known_plan(call, call.body.plan_id)
    return await call.ask(CreateLink(params=call.body, plan=plan))


async def get(call: ApiCall) -> PaymentLink:
    return await call.ask(GetLink(**call.ids))


async def list_all(call: ApiCall) -> Page[PaymentLink]:
    return await call.ask(ListLinks(**call.page()))


async def update(call: ApiCall) -> PaymentLink:
    given = call.body.model_dump(mode="json", exclude_unset=True)
    return await call.ask(UpdateLink(**call.ids, params=given))


async def activate(call: ApiCall) -> PaymentLink:
    return await call.ask(ActivateLink(**call.ids))


async def deactivate(call: ApiCall) -> PaymentLink:
    is_closing = call.body.close_open_sessions
    return await call.ask(DeactivateLink(**call.ids, close_open_sessions=is_closing))


async def replace_line_items(call: ApiCall) -> PaymentLink:
    return await call.ask(ReplaceLineItems(**call.ids, params=call.body))


async def replace_custom_fields(call: ApiCall) -> PaymentLink:
    return await call.ask(ReplaceCustomFields(**call.ids, params=call.body))


async def show_public(call: ApiCall) -> PublicPaymentLink:
    shown = await call.ask(ShowLink(**call.ids))
    now, link = call.gateway.clock(), shown.payment_link
    secret_key = call.gateway.secret_key
    return PublicPaymentLink(
        payment_link=link,
        merchant_name=await call.gateway.merchant_name(shown.merchant_id),
        resolved_line_items=shown.resolved_line_items,
        donation_frequencies=shown.donation_frequencies,
        subscription_terms=shown.subscription_terms,
        is_sold_out=shown.is_sold_out,
        remaining_quantity=shown.remaining_quantity,
        unavailable_reason=shown.unavailable_reason,
        resolution_context=resolution.issue(secret_key, link.payment_link_id, shown.version, now),
        resolution_context_expires_at=resolution.expires_at(now),
    )


async def resolve(call: ApiCall) -> ResolvedLink:
    params: ResolveParams = call.body
    context = await _context(call, params.resolution_context)
    command = ResolveLink(
        payment_link_id=call.ids["payment_link_id"],
        context_id=context.nonce,
        context_version=context.version,
        choices=Choices(**{name: getattr(params, name) for name in Choices.model_fields}),
    )
    made = await call.ask(command)
    about_session(made.checkout_session_id)
    call.gateway.visits.note(
        View(made.merchant_id, made.payment_link_id, context.nonce, call.gateway.clock())
    )
    session = await opened_session(call.gateway, made.checkout_session_id, call.context)
    return ResolvedLink(checkout_session=session, checkout_url=session.url)


async def _context(call: ApiCall, token: str | None) -> ResolutionContext:
    """The context, if it is good; else the link's own 'no' comes before the context's."""
    link_id = call.ids["payment_link_id"]
    try:
        if not token:
            raise resolution.required()
        return resolution.read(call.gateway.secret_key, token, link_id, call.gateway.clock())
    except Refusal:
        shown = await call.ask(ShowLink(**call.ids))
        if shown.unavailable_reason is None:
            raise
        raise _unavailable(shown, shown.unavailable_reason) from None


def _unavailable(shown: ShownLink, code: str) -> Refusal:
    words = shown.payment_link.inactive_message or "This payment link cannot be used right now."
    return Refusal("conflict", code, words)


async def opened_session(
    gateway: Gateway, checkout_session_id: str, context: Context
) -> CheckoutSession:
    """The session that a resolve said will be there: sessions opens it by itself, very soon.

    Raises Unavailable after `SESSION_SECONDS`; it will still be opened, and the same resolve
    again answers with it.
    """

    async def look() -> CheckoutSession | None:
        query = ShowSession(checkout_session_id=checkout_session_id)
        try:
            return (await gateway.caller.call(query, context=context)).value.checkout_session
        except Refusal as refusal:
            if refusal.kind != "not_found":
                raise
            return None

    session = await gateway.hub.until(
        checkout_session_id,
        look,
        seconds=SESSION_SECONDS,
        topics=("checkout_session.created",),
        pause_seconds=OPENED_SOON_SECONDS,
    )
    if session is None:
        raise Unavailable("the session is not open yet")
    return session


_UNAVAILABLE: Final = (
    "PAYMENT_LINK_INACTIVE",
    "PAYMENT_LINK_MAX_COMPLETIONS_REACHED",
    "EVENT_SOLD_OUT",
    "EVENT_ENDED",
    ARCHIVED,
)
_WRONG_TEMPLATE: Final = (
    "CURRENCY_MISMATCH",
    "LINK_CUSTOMER_NOT_ALLOWED",
    "AMOUNT_OUT_OF_RANGE",
    "LINE_ITEM_INVALID_QUANTITY",
)
_VERSION: Final = ("PAYMENT_LINK_CHANGED_RETRY",)
_BASE: Final = "/v1/payment-links"
ONE: Final = f"{_BASE}/{{payment_link_id}}"

OPERATIONS: Final = (
    Operation(
        "POST",
        _BASE,
        "createPaymentLink",
        "Create a payment link",
        create,
        PaymentLink,
        scope=WRITE,
        status=201,
        body=PaymentLinkCreateParams,
        codes=(*_WRONG_TEMPLATE, ARCHIVED),
        example=examples.LINK_PARAMS,
        reply_example=examples.LINK,
        description="Only `name` is required. One currency per link; a line needs only its price. "
        "A donation that names no sum is in USD. With `plan_id` the plan says what is sold, in its "
        "currency: no `line_items`, no `event`; a donation with one is kept and sells nothing "
        "until there are renewals. Buyers pay the first "
        "period and the setup fee, during a trial the fee alone; a plan of which nothing is due "
        "today is not available yet, since cards are not saved without a payment. The lines of an "
        "event are its tiers: a buyer takes tickets of one or of several, 1 to 100 in all; "
        "`allow_quantity_adjustment: false` sells a tier in blocks of its `quantity`, and one "
        "that is sold out is shown and never sold.",
    ),
    Operation(
        "GET",
        _BASE,
        "listPaymentLinks",
        "List payment links",
        list_all,
        PaymentLink,
        scope=READ,
        query=PaymentLinkListParams,
        reply_example=examples.LINK,
    ),
    Operation(
        "GET",
        ONE,
        "getPaymentLink",
        "Retrieve a payment link",
        get,
        PaymentLink,
        scope=READ,
        reply_example=examples.LINK,
    ),
    Operation(
        "PATCH",
        ONE,
        "updatePaymentLink",
        "Update a payment link",
        update,
        PaymentLink,
        scope=WRITE,
        body=PaymentLinkUpdateParams,
        codes=(*_WRONG_TEMPLATE, *_VERSION),
        example={"max_completions": 200, "theme": {"primary_color": "#0b5fff"}},
        reply_example=examples.LINK,
        description="Config objects merge field by field, `null` clears, what is absent stays. "
        "Metadata merges too. Sessions that are already made keep what they froze. "
        "A cap may be lowered below what is sold: nothing is cancelled, and `warnings` says so.",
    ),
    Operation(
        "POST",
        f"{ONE}/activate",
        "activatePaymentLink",
        "Activate a payment link",
        activate,
        PaymentLink,
        scope=WRITE,
        body=NoParams,
        is_body_optional=True,
        reply_example=examples.LINK,
        description="Repeats safely.",
    ),
    Operation(
        "POST",
        f"{ONE}/deactivate",
        "deactivatePaymentLink",
        "Deactivate a payment link",
        deactivate,
        PaymentLink,
        scope=WRITE,
        body=DeactivateParams,
        is_body_optional=True,
        reply_example=examples.INACTIVE_LINK,
        description="Repeats safely. No new sessions are made from it; open ones may be paid "
        "unless `close_open_sessions` is set. One with a payment in flight is never closed.",
    ),
    Operation(
        "POST",
        f"{ONE}/line-items/replace",
        "replacePaymentLinkLineItems",
        "Replace the line items",
        replace_line_items,
        PaymentLink,
        scope=WRITE,
        body=ReplaceLineItemsParams,
        is_body_optional=True,
        codes=(*_WRONG_TEMPLATE, *_VERSION),
        example={"line_items": [examples.LINE]},
        reply_example=examples.LINK,
    ),
    Operation(
        "POST",
        f"{ONE}/custom-fields/replace",
        "replacePaymentLinkCustomFields",
        "Replace the custom fields",
        replace_custom_fields,
        PaymentLink,
        scope=WRITE,
        body=ReplaceCustomFieldsParams,
        is_body_optional=True,
        codes=_VERSION,
        example={"custom_fields": [examples.CUSTOM_FIELD]},
        reply_example=examples.LINK,
    ),
    Operation(
        "GET",
        f"{ONE}/public",
        "showPublicPaymentLink",
        "What a buyer may see",
        show_public,
        PublicPaymentLink,
        reply_example=examples.PUBLIC_LINK,
        description="No key. 200 also for a link that cannot be resolved now: "
        "`unavailable_reason` says why. Writes nothing. The context lives two hours.",
    ),
    Operation(
        "POST",
        f"{ONE}/resolve",
        "resolvePaymentLink",
        "Open a session from a payment link",
        resolve,
        ResolvedLink,
        status=201,
        body=ResolveParams,
        codes=(
            *_UNAVAILABLE,
            "PAYMENT_LINK_RESOLUTION_CONTEXT_REQUIRED",
            "PAYMENT_LINK_RESOLUTION_CONTEXT_INVALID",
            "PAYMENT_LINK_RESOLUTION_CONTEXT_REFRESH_REQUIRED",
            *_VERSION,
            "CUSTOM_FIELD_REQUIRED",
            "CUSTOM_FIELD_INVALID",
            "LINE_ITEM_INVALID_QUANTITY",
            "EVENT_TICKET_QUANTITY_REQUIRED",
            "AMOUNT_OUT_OF_RANGE",
            "CURRENCY_MISMATCH",
            "COUPON_NOT_FOUND",
        ),
        example={"resolution_context": examples.CONTEXT, "quantity_overrides": {"tea": 2}},
        reply_example=examples.RESOLVED_LINK,
        description="No key. Makes one fresh session and one fresh order. The same context with "
        "the same choices again is the same session. The link's own state is looked at before "
        "the context. What `resolved_line_items` shows as adjustable may be chosen by its `key`; "
        "`donation_amount_money` is the same choice as `unit_price_overrides.donation`. An amount "
        "of the buyer's own in a currency of three decimals ends in 0, as cards want it. "
        "`donation_frequency` is the donor's wish: it is kept on session, order and events, and "
        "one payment is taken. `donation_covers_fees` adds a line so that the gift arrives whole.",
    ),
)
