"""All SQL of links but that of their places, which is in `places`. Guards stand in WHERE."""

# ruff: noqa: S608  (what is put into SQL here is this file's own list of columns)
from __future__ import annotations

from typing import Any, Final

from services.links.caps import Count
from services.links.domain import Link, no_such_link
from services.links.template import Template
from shared.bus.tx import Tx
from shared.contracts.links import (
    Resolution,
    ResolveLink,
    ShowLink,
)
from shared.contracts.plans import SubscriptionPlan
from shared.db.pool import Record

COLUMNS: Final = """
    links.payment_link_id, links.merchant_id, links.mode_environment, links.template,
    links.status, links.slugs, links.completed_count, links.claimed_count,
    links.total_quantity_sold, links.claimed_quantity, links.returned_count,
    links.returned_quantity, links.tiers_sold, links.tiers_claimed, links.tiers_returned,
    links.version, links.created_at, links.updated_at
"""

ADD: Final = """
    INSERT INTO links (merchant_id, payment_link_id, mode_environment, template, status, slugs,
                       version, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""

SAVE: Final = """
    UPDATE links
    SET template = $3, status = $4, version = $5, updated_at = $6,
        overbooked_places =
            greatest(0, completed_count - returned_count + claimed_count - $8::bigint),
        overbooked_quantity =
            greatest(0, total_quantity_sold + claimed_quantity - $9::bigint),
        slugs = $10
    WHERE merchant_id = $1 AND payment_link_id = $2 AND version = $7
"""

FIND: Final = f"""
    SELECT {COLUMNS} FROM links
    WHERE merchant_id = $1 AND payment_link_id = $2 AND mode_environment = $3
"""

# What it offers, for whoever buys or changes it; lists show a link without.
WITH_PLAN: Final = """
    LEFT JOIN plans ON plans.merchant_id = links.merchant_id AND plans.plan_id = links.plan_id
"""

LOCK: Final = f"""
    SELECT {COLUMNS}, plans.content AS plan
    FROM links {WITH_PLAN}
    WHERE links.merchant_id = $1 AND links.payment_link_id = $2 AND links.mode_environment = $3
    FOR UPDATE OF links
"""

FIND_FOR_BUYER: Final = f"""
    SELECT {COLUMNS}, plans.content AS plan
    FROM links {WITH_PLAN}
    WHERE links.payment_link_id = $1
"""

FIND_BY_SLUG: Final = f"""
    SELECT {COLUMNS}, plans.content AS plan
    FROM slugs JOIN links USING (merchant_id, payment_link_id) {WITH_PLAN}
    WHERE slugs.slug = $1 AND slugs.removed_at IS NULL
"""

OPEN_FOR_BUYER: Final = f"""
    SELECT {COLUMNS}, plans.content AS plan, known.checkout_session_id, known.order_id
    FROM links {WITH_PLAN}
    LEFT JOIN resolutions AS known
        ON known.merchant_id = links.merchant_id
        AND known.context_id = $2 AND known.choices_hash = $3
    WHERE links.payment_link_id = $1
"""

KEEP: Final = """
    INSERT INTO resolutions (merchant_id, context_id, choices_hash, payment_link_id,
                             checkout_session_id, order_id, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT DO NOTHING
"""


def link_of(row: Record, origin: str) -> Link:
    """The one place where a row becomes a link."""
    return Link(
        payment_link_id=row["payment_link_id"],
        merchant_id=row["merchant_id"],
        mode_environment=row["mode_environment"],
        template=Template.model_validate(row["template"]),
        slugs=tuple(row["slugs"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        origin=origin,
        status=row["status"],
        version=row["version"],
        completed_count=row["completed_count"],
        claimed_count=row["claimed_count"],
        total_quantity_sold=row["total_quantity_sold"],
        claimed_quantity=row["claimed_quantity"],
        returned_count=row["returned_count"],
        returned_quantity=row["returned_quantity"],
        tiers=_tiers(row),
        plan=plan_of(row),
    )


def plan_of(row: Record) -> SubscriptionPlan | None:
    """The plan in the row's column `plan`, where it is asked for and there is one."""
    content = row.get("plan")
    return None if content is None else SubscriptionPlan.model_validate(content)


def _tiers(row: Record) -> dict[str, Count]:
    counts = [row[name] for name in ("tiers_sold", "tiers_claimed", "tiers_returned")]
    keys = {key for count in counts for key in count}
    return {key: Count(*(count.get(key, 0) for count in counts)) for key in keys}


def _written(template: Template) -> dict[str, Any]:
    return template.model_dump(mode="json", exclude_none=True)


async def add(tx: Tx, link: Link) -> None:
    """A new link; its slug is taken by `slug_store`."""
    await tx.db.execute(
        ADD,
        link.merchant_id,
        link.payment_link_id,
        link.mode_environment,
        _written(link.template),
        link.status,
        list(link.slugs),
        link.version,
        link.created_at,
    )


async def save(tx: Tx, link: Link, *, was: Link) -> None:
    """The next version of a locked link; one that did not change is not written."""
    if link.version == was.version:
        return
    done = await tx.db.execute(
        SAVE,
        link.merchant_id,
        link.payment_link_id,
        _written(link.template),
        link.status,
        link.version,
        link.updated_at,
        was.version,
        link.template.max_completions,
        link.template.event_config.max_total_quantity,
        list(link.slugs),
    )
    assert done == "UPDATE 1", f"{link.payment_link_id} changed under its lock"


async def find(tx: Tx, payment_link_id: str) -> Link:
    """The merchant's link; raises not_found."""
    row = await tx.db.fetchrow(FIND, tx.merchant_id, payment_link_id, tx.mode)
    return found(row, tx)


async def lock(tx: Tx, payment_link_id: str) -> Link:
    """The merchant's link, nobody else's until the commit; raises not_found."""
    row = await tx.db.fetchrow(LOCK, tx.merchant_id, payment_link_id, tx.mode)
    return found(row, tx)


async def find_for_buyer(tx: Tx, msg: ShowLink) -> Link:
    """By slug (old ones too) or by id alone; raises not_found."""
    by_slug = msg.slug is not None
    key = msg.slug if by_slug else msg.payment_link_id
    return found(await tx.db.fetchrow(FIND_BY_SLUG if by_slug else FIND_FOR_BUYER, key), tx)


def found(row: Record | None, tx: Tx) -> Link:
    """The row's link; raises not_found."""
    if row is None:
        raise no_such_link()
    return link_of(row, tx.public_url)


async def open_for_buyer(
    tx: Tx, msg: ResolveLink, fingerprint: bytes
) -> tuple[Link, Resolution | None]:
    """The link, and what these choices on this page became the first time, if they were made."""
    row = await tx.db.fetchrow(OPEN_FOR_BUYER, msg.payment_link_id, msg.context_id, fingerprint)
    link = found(row, tx)
    assert row is not None, "it was found"
    return link, _resolution(row, link) if row["checkout_session_id"] else None


def _resolution(row: Record, link: Link) -> Resolution:
    return Resolution.model_construct(
        checkout_session_id=row["checkout_session_id"],
        order_id=row["order_id"],
        payment_link_id=link.payment_link_id,
        merchant_id=link.merchant_id,
        mode_environment=link.mode_environment,
    )


async def keep(tx: Tx, resolution: Resolution, msg: ResolveLink, fingerprint: bytes) -> bool:
    """Whether this is the first of its kind; a twin that ran at the same time may have won."""
    done = await tx.db.execute(
        KEEP,
        resolution.merchant_id,
        msg.context_id,
        fingerprint,
        resolution.payment_link_id,
        resolution.checkout_session_id,
        resolution.order_id,
        tx.now,
    )
    return done == "INSERT 0 1"
