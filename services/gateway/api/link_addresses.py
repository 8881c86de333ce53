"""Where a payment link is found: its slugs."""

from __future__ import annotations

from typing import Final

from services.gateway.api import examples
from services.gateway.api.operation import ApiCall, Operation
from services.gateway.api.payment_links import ONE, WRITE
from shared.contracts.link_requests import AddSlugParams
from shared.contracts.links import AddSlug, PaymentLink, RemoveSlug


async def add_slug(call: ApiCall) -> PaymentLink:
    return await call.ask(AddSlug(**call.ids, params=call.body))


async def remove_slug(call: ApiCall) -> PaymentLink:
    return await call.ask(RemoveSlug(**call.ids))


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
)
