"""What links answers and hears: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.links import (
    domain,
    listing,
    modes,
    places,
    plan_store,
    plans,
    slug_store,
    slugs,
    store,
    template,
)
from services.links.answers import fingerprint
from shared.bus.room import Handler, Sweep
from shared.bus.tx import Tx
from shared.contracts.base import Message
from shared.contracts.link_requests import PaymentLinkUpdateParams
from shared.contracts.links import (
    ActivateLink,
    AddSlug,
    ClaimPlace,
    CreateLink,
    DeactivateLink,
    GetLink,
    ListLinks,
    PaymentLink,
    ReleasePlace,
    RemoveSlug,
    ReplaceCustomFields,
    ReplaceLineItems,
    Resolution,
    ResolveLink,
    ShowLink,
    ShownLink,
    UpdateLink,
)
from shared.contracts.lists import Page
from shared.contracts.orders import OrderPaid, OrderRefunded
from shared.contracts.plans import (
    SubscriptionPlanArchived,
    SubscriptionPlanCreated,
    SubscriptionPlanFact,
    SubscriptionPlanUpdated,
)


async def create(msg: CreateLink, tx: Tx) -> PaymentLink:
    wanted = modes.checked(template.made(msg.params))
    plan = plans.fitting(wanted, await plan_store.of_new_link(tx, msg))
    link, facts = domain.create(
        wanted,
        payment_link_id=tx.new_id("pl"),
        merchant_id=tx.merchant_id,
        mode_environment=tx.context.mode,
        slug=_slug(msg.params.slug, msg.params.name, tx),
        origin=tx.public_url,
        now=tx.now,
        plan=plan,
    )
    await slug_store.take(tx, link, link.slug)
    await store.add(tx, link)
    tx.emit(*facts)
    return link.shown()


def _slug(asked: str | None, name: str, tx: Tx) -> str:
    suffix = tx.new_ulid()[-slugs.SUFFIX_LENGTH :].lower()
    return slugs.slug_for(asked, name=name, suffix=suffix)


async def get(msg: GetLink, tx: Tx) -> PaymentLink:
    link = await store.find(tx, msg.payment_link_id)
    return link.shown()


async def list_links(msg: ListLinks, tx: Tx) -> Page[PaymentLink]:
    return await listing.list_links(tx, msg)


async def update(msg: UpdateLink, tx: Tx) -> PaymentLink:
    patch = PaymentLinkUpdateParams.model_validate(msg.params)
    was = await store.lock(tx, msg.payment_link_id)
    was.refuse_stale(patch.expected_version)
    return await _change(tx, was, template.patched(was.template, patch))


async def replace_line_items(msg: ReplaceLineItems, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    was.refuse_stale(msg.params.expected_version)
    lines = template.with_defaults(msg.params.line_items, name=was.template.name)
    return await _change(tx, was, was.template.model_copy(update={"line_items": lines}))


async def replace_custom_fields(msg: ReplaceCustomFields, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    was.refuse_stale(msg.params.expected_version)
    fields = msg.params.custom_fields
    return await _change(tx, was, was.template.model_copy(update={"custom_fields": fields}))


async def _change(tx: Tx, was: domain.Link, new: template.Template) -> PaymentLink:
    if was.plan is not None:
        template.refuse_other_currency(new, was.plan.currency)
    link, facts = was.change(modes.checked(new), tx.now)
    await store.save(tx, link, was=was)
    tx.emit(*facts)
    return link.shown()


async def activate(msg: ActivateLink, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    link, facts = was.activate(tx.now)
    await store.save(tx, link, was=was)
    tx.emit(*facts)
    return link.shown()


async def deactivate(msg: DeactivateLink, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    link, facts = was.deactivate(close_open_sessions=msg.close_open_sessions, now=tx.now)
    await store.save(tx, link, was=was)
    tx.emit(*facts)
    return link.shown()


async def add_slug(msg: AddSlug, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    was.refuse_stale(msg.params.expected_version)
    slug = _slug(msg.params.slug, was.template.name, tx)
    link, facts = was.add_slug(slug, tx.now)
    await slug_store.take(tx, link, slug)
    await store.save(tx, link, was=was)
    tx.emit(*facts)
    return link.shown()


async def remove_slug(msg: RemoveSlug, tx: Tx) -> PaymentLink:
    was = await store.lock(tx, msg.payment_link_id)
    link, facts = was.remove_slug(msg.slug, tx.now)
    await slug_store.drop(tx, link, msg.slug)
    await store.save(tx, link, was=was)
    tx.emit(*facts)
    return link.shown()


async def show(msg: ShowLink, tx: Tx) -> ShownLink:
    link = await store.find_for_buyer(tx, msg)
    return modes.shown(link, tx.now)


async def resolve(msg: ResolveLink, tx: Tx) -> Resolution:
    choices = fingerprint(msg.payment_link_id, msg.choices)
    link, known = await store.open_for_buyer(tx, msg, choices)
    modes.refuse_if_unavailable(link, tx.now)
    if known is not None:
        return known
    fact = modes.resolve(link, msg, ulid=tx.new_ulid(), now=tx.now)
    resolution = modes.resolution_of(fact)
    if not await store.keep(tx, resolution, msg, choices):
        _, twin = await store.open_for_buyer(tx, msg, choices)
        assert twin is not None, "whoever won has committed"
        return twin
    tx.emit(fact)
    return resolution


async def claim(msg: ClaimPlace, tx: Tx) -> None:
    tx.emit(await places.claim(tx, msg))


async def release(msg: ReleasePlace, tx: Tx) -> None:
    await places.release(tx, msg)


async def on_order_paid(msg: OrderPaid, tx: Tx) -> None:
    if msg.payment_link_id is None:
        return
    link = await places.complete(tx, msg)
    tx.emit(*link.completed(msg.quantity_sold, msg.line_quantities))


async def on_order_refunded(msg: OrderRefunded, tx: Tx) -> None:
    if msg.payment_link_id is None or msg.status != "refunded":
        return
    link = await store.find(tx, msg.payment_link_id)
    if not link.template.release_on_refund:
        return
    freed = await places.give_back(tx, msg)
    if freed is not None:
        tx.emit(*freed.returned(msg.quantity_sold, msg.line_quantities))


async def on_plan(msg: SubscriptionPlanFact, tx: Tx) -> None:
    await plan_store.keep(tx, msg)


HANDLERS: Final[Mapping[type[Message], Handler]] = {
    CreateLink: create,
    GetLink: get,
    ListLinks: list_links,
    UpdateLink: update,
    ReplaceLineItems: replace_line_items,
    ReplaceCustomFields: replace_custom_fields,
    ActivateLink: activate,
    DeactivateLink: deactivate,
    AddSlug: add_slug,
    RemoveSlug: remove_slug,
    ShowLink: show,
    ResolveLink: resolve,
    ClaimPlace: claim,
    ReleasePlace: release,
    OrderPaid: on_order_paid,
    OrderRefunded: on_order_refunded,
    SubscriptionPlanCreated: on_plan,
    SubscriptionPlanUpdated: on_plan,
    SubscriptionPlanArchived: on_plan,
}
SWEEPS: Final[Sequence[Sweep]] = ()
