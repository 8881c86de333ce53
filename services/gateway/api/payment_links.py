"""`/v1/payment-links`: the merchant's templates, and the two doors a buyer has without a key."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from services.gateway import resolution
from services.gateway.api import examples, idempotency
from services.gateway.api.lists import ListParams, QueryBool
from services.gateway.api.operation import ApiCall, NoParams, Operation
from services.gateway.resolution import ResolutionContext
from shared.contracts.link_requests import (
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
from shared.contracts.sessions import CheckoutSession, ShowSession
from shared.contracts.types import Resource, Strict, Time
from shared.errors import Refusal, Unavailable

READ: Final = "checkouts.payment_links.read"
WRITE: Final = "checkouts.payment_links.write"
SESSION_SECONDS: Final = 3.0


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
    resolved_line_items: list[ResolvedLine] = []
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
    return await call.ask(CreateLink(params=call.body))


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
        is_sold_out=shown.is_sold_out,
        remaining_quantity=shown.remaining_quantity,
        unavailable_reason=shown.unavailable_reason,
        resolution_context=resolution.issue(secret_key, link.payment_link_id, link.version, now),
        resolution_context_expires_at=resolution.expires_at(now),
    )


async def resolve(call: ApiCall) -> ResolvedLink:
    params: ResolveParams = call.body
    context = await _context(call, params.resolution_context)
    chosen = params.model_dump(mode="json", exclude_unset=True, exclude={"resolution_context"})
    # Without a client's key, the same page and the same choices are the same write.
    again = idempotency.same_again(call.path, context.nonce, body=chosen)
    made = await call.ask(
        ResolveLink(
            **call.ids,
            context_id=context.nonce,
            context_version=context.version,
            choices=Choices(**dict(params).items() and _choices(params)),
        ),
        again,
    )
    session = await opened_session(call, made.checkout_session_id)
    return ResolvedLink(checkout_session=session, checkout_url=session.url)


def _choices(params: ResolveParams) -> dict[str, Any]:
    return {name: getattr(params, name) for name in Choices.model_fields}
