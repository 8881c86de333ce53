"""All SQL of links. Guards stand in WHERE; counters and claims change in one statement.

Rows are locked in one order everywhere, claim before link, so that claiming, giving back and
counting a sale never wait for each other in a circle.
"""

# ruff: noqa: S608  (what is put into SQL here is this file's own list of columns)
from __future__ import annotations

from typing import Any, Final

from services.links.domain import Link, no_such_link
from services.links.template import Template
from shared.bus.tx import Tx
from shared.contracts.links import (
    ClaimPlace,
    ClaimSettled,
    ListLinks,
    PaymentLink,
    ReleasePlace,
    Resolution,
    ResolveLink,
    ShowLink,
)
from shared.contracts.lists import Page
from shared.contracts.orders import OrderPaid
from shared.db import keyset
from shared.db.pool import Record

_COLUMNS: Final = """
    links.payment_link_id, links.merchant_id, links.mode_environment, links.template,
    links.status, links.slugs, links.completed_count, links.claimed_count,
    links.total_quantity_sold, links.claimed_quantity, links.version, links.created_at,
    links.updated_at
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
            greatest(0, completed_count + claimed_count - $8::bigint),
        overbooked_quantity =
            greatest(0, total_quantity_sold + claimed_quantity - $9::bigint),
        slugs = $10
    WHERE merchant_id = $1 AND payment_link_id = $2 AND version = $7
"""

FIND: Final = f"""
    SELECT {_COLUMNS} FROM links
    WHERE merchant_id = $1 AND payment_link_id = $2 AND mode_environment = $3
"""

LOCK: Final = FIND + " FOR UPDATE"

FIND_FOR_BUYER: Final = f"SELECT {_COLUMNS} FROM links WHERE payment_link_id = $1"

FIND_BY_SLUG: Final = f"""
    SELECT {_COLUMNS}
    FROM slugs JOIN links USING (merchant_id, payment_link_id)
    WHERE slugs.slug = $1 AND slugs.removed_at IS NULL
"""

OPEN_FOR_BUYER: Final = f"""
    SELECT {_COLUMNS}, known.checkout_session_id, known.order_id
    FROM links
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

# The new claim and its place, all or nothing. `place` joins `asked` instead of looking into it
# by a subquery: what is joined is kept when a concurrent claim makes the row be checked again.
CLAIM: Final = """
    WITH asked AS (
        INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, places,
                            quantity, claimed_at)
        VALUES ($1, $2, $3, $4, 'held', 1, $5, $6)
        ON CONFLICT DO NOTHING
        RETURNING attempt_id
    ), place AS (
        UPDATE links
        SET claimed_count = claimed_count + 1, claimed_quantity = claimed_quantity + $5
        FROM asked
        WHERE merchant_id = $1 AND payment_link_id = $4 AND mode_environment = $7
          AND (max_completions IS NULL OR completed_count + claimed_count < max_completions)
          AND (max_quantity IS NULL
               OR total_quantity_sold + claimed_quantity + $5 <= max_quantity)
        RETURNING links.payment_link_id
    )
    SELECT EXISTS (SELECT 1 FROM asked) AS is_new, EXISTS (SELECT 1 FROM place) AS is_granted
"""

KNOWN_CLAIM: Final = """
    SELECT state, refusal_code FROM claims WHERE merchant_id = $1 AND attempt_id = $2
"""

# Of an attempt that found no place: its row is this transaction's own and still 'held'.
REFUSE: Final = """
    UPDATE claims SET state = 'refused', refusal_code = $3, places = 0, quantity = 0
    WHERE merchant_id = $1 AND attempt_id = $2 AND state = 'held'
"""

# Of an attempt that came while another one of its order holds a place.
REFUSE_UNASKED: Final = """
    INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, refusal_code,
                        places, quantity, claimed_at)
    VALUES ($1, $2, $3, $4, 'refused', $5, 0, 0, $6)
    ON CONFLICT DO NOTHING
"""

# A tombstone where nothing was claimed yet: a late duplicate claim can then never be granted.
RELEASE: Final = """
    WITH given_back AS (
        INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, places,
                            quantity, claimed_at)
        VALUES ($1, $2, $3, $4, 'released', 0, 0, $5)
        ON CONFLICT (merchant_id, attempt_id) DO UPDATE
        SET state = 'released' WHERE claims.state = 'held'
        RETURNING places, quantity
    )
    UPDATE links
    SET claimed_count = claimed_count - places, claimed_quantity = claimed_quantity - quantity,
        overbooked_places =
            greatest(0, completed_count + claimed_count - places - max_completions),
        overbooked_quantity =
            greatest(0, total_quantity_sold + claimed_quantity - quantity - max_quantity)
    FROM given_back
    WHERE merchant_id = $1 AND payment_link_id = $4 AND mode_environment = $6 AND places = 1
"""

# A sale counts whether its order held a place or not (an offer made before there was a cap).
COMPLETE: Final = f"""
    WITH final AS (
        UPDATE claims SET state = 'final'
        WHERE merchant_id = $1 AND order_id = $3 AND state = 'held'
        RETURNING places, quantity
    ), held AS (
        SELECT coalesce(sum(places), 0)::bigint AS places,
               coalesce(sum(quantity), 0)::bigint AS quantity
        FROM final
    )
    UPDATE links
    SET completed_count = completed_count + 1,
        total_quantity_sold = total_quantity_sold + $4,
        claimed_count = claimed_count - held.places,
        claimed_quantity = claimed_quantity - held.quantity,
        overbooked_places = greatest(
            0, completed_count + 1 + claimed_count - held.places - max_completions),
        overbooked_quantity = greatest(
            0, total_quantity_sold + $4 + claimed_quantity - held.quantity - max_quantity)
    FROM held
    WHERE merchant_id = $1 AND payment_link_id = $2 AND mode_environment = $5
    RETURNING {_COLUMNS}
"""

_LIST: Final = f"""
    SELECT {_COLUMNS} FROM links
    WHERE merchant_id = $1 AND mode_environment = $2
      AND (:sort, payment_link_id) :beyond (coalesce($3::timestamptz, ':start'), $4)
      AND created_at > coalesce($5::timestamptz, '-infinity')
      AND created_at < coalesce($6::timestamptz, 'infinity')
      AND updated_at > coalesce($7::timestamptz, '-infinity')
      AND updated_at < coalesce($8::timestamptz, 'infinity')
      AND ($9::text IS NULL OR name ILIKE $9 OR description ILIKE $9)
      AND ($10::text IS NULL OR status = $10)
      AND ($11::text IS NULL OR mode = $11)
      AND ($12::boolean IS NULL OR (plan_id IS NOT NULL) = $12)
    ORDER BY :sort :direction, payment_link_id :direction
    LIMIT $13
"""

LIST: Final = keyset.statements(_LIST, ("created_at", "updated_at"))


def _link(row: Record, origin: str) -> Link:
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
    )


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
        link.max_quantity,
        list(link.slugs),
    )
    assert done == "UPDATE 1", f"{link.payment_link_id} changed under its lock"


async def find(tx: Tx, payment_link_id: str) -> Link:
    """The merchant's link; raises not_found."""
    row = await tx.db.fetchrow(FIND, tx.merchant_id, payment_link_id, tx.mode)
    return _found(row, tx)


async def lock(tx: Tx, payment_link_id: str) -> Link:
    """The merchant's link, nobody else's until the commit; raises not_found."""
    row = await tx.db.fetchrow(LOCK, tx.merchant_id, payment_link_id, tx.mode)
    return _found(row, tx)


async def find_for_buyer(tx: Tx, msg: ShowLink) -> Link:
    """By slug (old ones too) or by id alone; raises not_found."""
    by_slug = msg.slug is not None
    key = msg.slug if by_slug else msg.payment_link_id
    return _found(await tx.db.fetchrow(FIND_BY_SLUG if by_slug else FIND_FOR_BUYER, key), tx)


def _found(row: Record | None, tx: Tx) -> Link:
    if row is None:
        raise no_such_link()
    return _link(row, tx.public_url)


async def list_links(tx: Tx, msg: ListLinks) -> Page[PaymentLink]:
    """One page of the merchant's links."""
    rows = await tx.db.fetch(
        LIST[msg.sort_field, msg.sort_direction],
        tx.merchant_id,
        tx.mode,
        *keyset.beyond(msg.after),
        msg.created_after,
        msg.created_before,
        msg.updated_after,
        msg.updated_before,
        keyset.like(msg.query),
        msg.status,
        msg.mode,
        msg.has_plan,
        msg.page_size + 1,
    )
    return keyset.page(
        rows, msg, make=lambda row: _link(row, tx.public_url).shown(), id_name="payment_link_id"
    )


async def open_for_buyer(
    tx: Tx, msg: ResolveLink, fingerprint: bytes
) -> tuple[Link, Resolution | None]:
    """The link, and what these choices on this page became the first time, if they were made."""
    row = await tx.db.fetchrow(OPEN_FOR_BUYER, msg.payment_link_id, msg.context_id, fingerprint)
    link = _found(row, tx)
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


async def claim(tx: Tx, msg: ClaimPlace) -> ClaimSettled:
    """A place for this attempt, or why not: the same answer whenever it asks."""
    quantity = sum(msg.quantities.values())
    row = await tx.db.fetchrow(CLAIM, *_claim_of(tx, msg), quantity, tx.now, tx.mode)
    assert row is not None, "a SELECT without FROM gives one row"
    if row["is_granted"]:
        return _settled(msg, None)
    if row["is_new"]:
        code = await _no_place(tx, msg.payment_link_id, quantity)
        await tx.db.execute(REFUSE, tx.merchant_id, msg.attempt_id, code)
        return _settled(msg, code)
    return await _known_claim(tx, msg)


async def _no_place(tx: Tx, payment_link_id: str, quantity: int) -> str:
    row = await tx.db.fetchrow(FIND, tx.merchant_id, payment_link_id, tx.mode)
    return "RESOURCE_NOT_FOUND" if row is None else _link(row, "").no_place_for(quantity)


async def _known_claim(tx: Tx, msg: ClaimPlace) -> ClaimSettled:
    known = await tx.db.fetchrow(KNOWN_CLAIM, tx.merchant_id, msg.attempt_id)
    if known is None:
        code = "ORDER_PAYMENT_ATTEMPT_ACTIVE"
        await tx.db.execute(REFUSE_UNASKED, *_claim_of(tx, msg), code, tx.now)
        known = await tx.db.fetchrow(KNOWN_CLAIM, tx.merchant_id, msg.attempt_id)
    assert known is not None, "its own insert or a twin's is there now"
    is_granted = known["state"] in {"held", "final"}
    return _settled(msg, None if is_granted else known["refusal_code"] or "payment_failed")


def _claim_of(tx: Tx, msg: ClaimPlace | ReleasePlace) -> tuple[str, str, str, str]:
    return tx.merchant_id, msg.attempt_id, msg.order_id, msg.payment_link_id


def _settled(msg: ClaimPlace, refusal_code: str | None) -> ClaimSettled:
    return ClaimSettled(
        attempt_id=msg.attempt_id,
        order_id=msg.order_id,
        payment_link_id=msg.payment_link_id,
        is_granted=refusal_code is None,
        refusal_code=refusal_code,
    )


async def release(tx: Tx, msg: ReleasePlace) -> None:
    """Give the attempt's place back, or leave word that it will never have one."""
    await tx.db.execute(RELEASE, *_claim_of(tx, msg), tx.now, tx.mode)


async def complete(tx: Tx, msg: OrderPaid) -> Link:
    """Count a sale and make the order's held place final; raises not_found."""
    row = await tx.db.fetchrow(
        COMPLETE,
        msg.merchant_id,
        msg.payment_link_id,
        msg.order_id,
        msg.quantity_sold,
        msg.mode_environment,
    )
    return _found(row, tx)
