"""Where a payment link is found: its slugs, its QR code, a button for the merchant's own site."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Final

from pydantic import Field

from services.gateway.api import examples
from services.gateway.api.lists import ReadParams, Whole
from services.gateway.api.operation import ApiCall, Named, Operation
from services.gateway.api.payment_links import ONE, READ, WRITE
from services.gateway.pages.button import button
from services.gateway.pictures import qr
from services.gateway.pictures.qr import SIZE_MAX, SIZE_MIN, Format
from shared.contracts.link_requests import AddSlugParams
from shared.contracts.links import AddSlug, GetLink, PaymentLink, RemoveSlug
from shared.contracts.types import Resource, text


async def add_slug(call: ApiCall) -> PaymentLink:
    return await call.ask(AddSlug(**call.ids, params=call.body))


async def remove_slug(call: ApiCall) -> PaymentLink:
    return await call.ask(RemoveSlug(**call.ids))


class QrParams(ReadParams):
    """How the code is drawn."""

    format: Format = "svg"
    size: Annotated[
        Whole,
        Field(ge=SIZE_MIN, le=SIZE_MAX, description="Width and height in pixels."),
    ] = 256


async def show_qr(call: ApiCall) -> Named:
    link = await call.ask(GetLink(**call.ids))
    form, size = call.query.format, call.query.size
    picture = await call.gateway.easel.drawn(
        ("qr", link.url, form, size), partial(qr.draw, link.url, form, size)
    )
    return Named(picture, f"{link.slugs[0]}.{form}")


class ButtonParams(ReadParams):
    """What stands on the button."""

    label: Annotated[
        Annotated[str, text(60, 1)] | None,
        Field(description="By default `custom_text.checkout_button_text`, else the link's name."),
    ] = None


class LinkButton(Resource):
    """A button for the merchant's own site."""

    html: Annotated[str, Field(description="One `<a>`, to be pasted as it is; all is escaped.")]
    label: str
    background_color: str
    text_color: Annotated[str, Field(description="Contrast with the background: 4.5 or more.")]


async def show_button(call: ApiCall) -> LinkButton:
    link = await call.ask(GetLink(**call.ids))
    label = call.query.label or link.custom_text.checkout_button_text or link.name
    made = button(link.url, label, link.theme.model_dump(exclude_none=True))
    return LinkButton(**asdict(made))


OPERATIONS: Final = (
    Operation(
        "POST",
        f"{ONE}/slugs",
        "addPaymentLinkSlug",
        "Add a slug",
        add_slug,
        PaymentLink,
        scope=WRITE,
        status=201,
        body=AddSlugParams,
        is_body_optional=True,
        codes=("PAYMENT_LINK_CHANGED_RETRY",),
        example={"slug": "first-flush-2027"},
        reply_example=examples.LINK,
        description="The slug becomes the newest: `url` bears it, and the older ones redirect to "
        "it (301), their query kept. Without `slug` a readable one is made that nobody can guess. "
        "One of the link's older slugs may become the newest again. A slug is unique in the whole "
        "installation, and so is how it reads: `paypa1` is refused beside somebody else's "
        "`paypal`, hyphens left aside (409 `INVALID_VALUE`). Reserved words are a 400. At most 50.",
    ),
    Operation(
        "DELETE",
        f"{ONE}/slugs/{{slug}}",
        "removePaymentLinkSlug",
        "Remove a slug",
        remove_slug,
        PaymentLink,
        scope=WRITE,
        reply_example=examples.LINK,
        description="It leads nowhere from now on (404) and is never given to another merchant; "
        "its own may take it again, for any link. Of the others the newest counts. The last one "
        "cannot be removed (409 `INVALID_VALUE`).",
    ),
    Operation(
        "GET",
        f"{ONE}/qr",
        "showPaymentLinkQr",
        "Draw the QR code",
        show_qr,
        scope=READ,
        query=QrParams,
        media=tuple(qr.TYPES.values()),
        description="The link's `url` as a QR code: black on white, with the quiet zone that "
        "scanners need and error correction M or better. A slug leads here until it is "
        "removed, so a printed code stays good when another slug is added.",
    ),
    Operation(
        "GET",
        f"{ONE}/button",
        "showPaymentLinkButton",
        "Make a button",
        show_button,
        LinkButton,
        scope=READ,
        query=ButtonParams,
        reply_example=examples.BUTTON,
        description="A snippet for the merchant's own site: a plain link with its style in it, in "
        "the link's `theme.primary_color`. It needs no script and loads nothing from here.",
    ),
)
