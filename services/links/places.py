"""The SQL of places: what is claimed, given back and sold. Counters and claims change as one.

All counters of a link stand in its row, those of an event's tiers as maps by line key: one lock,
one guard, one change. Rows are locked in one order everywhere, claim before link, so that
claiming, giving back and counting a sale never wait for each other in a circle.
"""

# ruff: noqa: S608  (what is put into SQL here is this file's and the store's own text)
from __future__ import annotations

from typing import Any, Final

from services.links import store
from services.links.domain import Link
from shared.bus.tx import Tx
from shared.contracts.links import ClaimPlace, ClaimSettled, ReleasePlace
from shared.contracts.orders import OrderPaid, OrderRefunded


def _added(tiers: str, change: str, sign: str = "+") -> str:
    """A map of counts with another one added, key by key. Only an event counts its tiers."""
    return f"""
        CASE WHEN links.mode = 'event' THEN links.{tiers} || coalesce((
            SELECT jsonb_object_agg(
                key, greatest(0, coalesce((links.{tiers} ->> key)::bigint, 0) {sign} pieces::bigint)
            ) FROM jsonb_each_text({change}) AS of_tier (key, pieces)
        ), '{{}}') ELSE links.{tiers} END
    """


# What claims hold of a tier may not come to more than the tier has, as the template says now.
_NO_TIER_IS_FULL: Final = """
    NOT EXISTS (
        SELECT 1
        FROM jsonb_array_elements(template -> 'line_items') AS line,
             jsonb_each_text($8) AS wanted (key, pieces)
        WHERE line ->> 'key' = wanted.key
          AND coalesce((tiers_sold ->> wanted.key)::bigint, 0)
            - coalesce((tiers_returned ->> wanted.key)::bigint, 0)
            + coalesce((tiers_claimed ->> wanted.key)::bigint, 0) + wanted.pieces::bigint
            > (line ->> 'max_total_quantity')::bigint
    )
"""

# The new claim and its places, all or nothing. `place` joins `asked` instead of looking into it
# by a subquery: what is joined is kept when a concurrent claim makes the row be checked again.
# The guards say what the CHECKs say, and of the same row: a row that is not the newest any more
# is built and checked, too, before it is found to be old.
CLAIM: Final = f"""
    WITH asked AS (
        INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, places,
                            quantity, claimed_at, quantities)
        VALUES ($1, $2, $3, $4, 'held', 1, $5, $6, $8)
        ON CONFLICT DO NOTHING
        RETURNING attempt_id
    ), place AS (
        UPDATE links
        SET claimed_count = claimed_count + 1, claimed_quantity = claimed_quantity + $5,
            tiers_claimed = {_added("tiers_claimed", "$8")}
        FROM asked
        WHERE merchant_id = $1 AND payment_link_id = $4 AND mode_environment = $7
          AND (max_completions IS NULL
               OR completed_count - returned_count + claimed_count < max_completions)
          AND (max_quantity IS NULL
               OR total_quantity_sold - returned_quantity + claimed_quantity + $5 <= max_quantity)
          AND {_NO_TIER_IS_FULL}
        RETURNING links.payment_link_id
    )
    SELECT EXISTS (SELECT 1 FROM asked) AS is_new, EXISTS (SELECT 1 FROM place) AS is_granted
"""

KNOWN_CLAIM: Final = """
    SELECT state, refusal_code FROM claims WHERE merchant_id = $1 AND attempt_id = $2
"""

# Of an attempt that found no place: its row is this transaction's own and still 'held'.
REFUSE: Final = """
    UPDATE claims
    SET state = 'refused', refusal_code = $3, places = 0, quantity = 0, quantities = '{}'
    WHERE merchant_id = $1 AND attempt_id = $2 AND state = 'held'
"""

# Of an attempt that came while another one of its order holds a place.
REFUSE_UNASKED: Final = """
    INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, refusal_code,
                        places, quantity, claimed_at)
    VALUES ($1, $2, $3, $4, 'refused', $5, 0, 0, $6)
    ON CONFLICT DO NOTHING
"""

# The link's counters after a `change`. What is then beyond a cap is overbooked; greatest() passes
# over NULL, so that without a cap it is nothing. It also keeps an old row, which may not have the
# claim yet, from being refused before it is found to be old.
_COUNTED: Final = f"""
    UPDATE links
    SET completed_count = completed_count + change.sales,
        total_quantity_sold = total_quantity_sold + change.sold,
        claimed_count = greatest(0, claimed_count - change.places),
        claimed_quantity = greatest(0, claimed_quantity - change.held),
        returned_count = returned_count + change.returns,
        returned_quantity = returned_quantity + change.returned,
        tiers_sold = {_added("tiers_sold", "change.sold_of")},
        tiers_claimed = {_added("tiers_claimed", "change.held_of", "-")},
        tiers_returned = {_added("tiers_returned", "change.returned_of")},
        overbooked_places = greatest(0, completed_count + change.sales - max_completions
            + greatest(0, claimed_count - change.places) - returned_count - change.returns),
        overbooked_quantity = greatest(0, total_quantity_sold + change.sold - max_quantity
            + greatest(0, claimed_quantity - change.held) - returned_quantity - change.returned)
    FROM change
    WHERE merchant_id = $1 AND payment_link_id = $2 AND mode_environment = $3
    RETURNING {store.COLUMNS}
"""

# A tombstone where nothing was claimed yet: a late duplicate claim can then never be granted.
RELEASE: Final = f"""
    WITH given_back AS (
        INSERT INTO claims (merchant_id, attempt_id, order_id, payment_link_id, state, places,
                            quantity, claimed_at)
        VALUES ($1, $4, $5, $2, 'released', 0, 0, $6)
        ON CONFLICT (merchant_id, attempt_id) DO UPDATE
        SET state = 'released' WHERE claims.state = 'held'
        RETURNING places, quantity, quantities
    ), change AS (
        SELECT 0 AS sales, 0 AS sold, places, quantity AS held, 0 AS returns, 0 AS returned,
               '{{}}'::jsonb AS sold_of, quantities AS held_of, '{{}}'::jsonb AS returned_of
        FROM given_back WHERE places = 1
    )
    {_COUNTED}
"""

# A sale counts whether its order held a place or not (an offer made before there was a cap).
COMPLETE: Final = f"""
    WITH final AS (
        UPDATE claims SET state = 'final'
        WHERE merchant_id = $1 AND order_id = $4 AND state = 'held'
        RETURNING places, quantity, quantities
    ), change AS (
        SELECT 1 AS sales, $5::bigint AS sold, coalesce(places, 0) AS places,
               coalesce(quantity, 0) AS held, 0 AS returns, 0 AS returned, $6::jsonb AS sold_of,
               coalesce(quantities, '{{}}') AS held_of, '{{}}'::jsonb AS returned_of
        FROM (VALUES (1)) AS sale LEFT JOIN final ON true
    )
    {_COUNTED}
"""

# Once per order. It may come before the sale itself is counted: both are only added up.
GIVE_BACK: Final = f"""
    WITH back AS (
        INSERT INTO returns (merchant_id, order_id, payment_link_id, quantity, quantities,
                             returned_at)
        VALUES ($1, $4, $2, $5, $6, $7)
        ON CONFLICT DO NOTHING
        RETURNING quantity, quantities
    ), change AS (
        SELECT 0 AS sales, 0 AS sold, 0 AS places, 0 AS held, 1 AS returns, quantity AS returned,
               '{{}}'::jsonb AS sold_of, '{{}}'::jsonb AS held_of, quantities AS returned_of
        FROM back
    )
    {_COUNTED}
"""


async def claim(tx: Tx, msg: ClaimPlace) -> ClaimSettled:
    """A place for this attempt, or why not: the same answer whenever it asks."""
    pieces = sum(msg.quantities.values())
    row = await tx.db.fetchrow(CLAIM, *_claim_of(tx, msg), pieces, tx.now, tx.mode, msg.quantities)
    assert row is not None, "a SELECT without FROM gives one row"
    if row["is_granted"]:
        return _settled(msg, None)
    if row["is_new"]:
        code = await _no_place(tx, msg)
        await tx.db.execute(REFUSE, tx.merchant_id, msg.attempt_id, code)
        return _settled(msg, code)
    return await _known_claim(tx, msg)


async def _no_place(tx: Tx, msg: ClaimPlace) -> str:
    row = await tx.db.fetchrow(store.FIND, tx.merchant_id, msg.payment_link_id, tx.mode)
    if row is None:
        return "RESOURCE_NOT_FOUND"
    return store.link_of(row, "").capacity.no_place_for(msg.quantities)


async def _known_claim(tx: Tx, msg: ClaimPlace) -> ClaimSettled:
    known = await tx.db.fetchrow(KNOWN_CLAIM, tx.merchant_id, msg.attempt_id)
    if known is None:
        code = "ORDER_PAYMENT_ATTEMPT_ACTIVE"
        await tx.db.execute(REFUSE_UNASKED, *_claim_of(tx, msg), code, tx.now)
        known = await tx.db.fetchrow(KNOWN_CLAIM, tx.merchant_id, msg.attempt_id)
    assert known is not None, "its own insert or a twin's is there now"
    is_granted = known["state"] in {"held", "final"}
    return _settled(msg, None if is_granted else known["refusal_code"] or "payment_failed")


def _claim_of(tx: Tx, msg: ClaimPlace) -> tuple[str, str, str, str]:
    return tx.merchant_id, msg.attempt_id, msg.order_id, msg.payment_link_id


def _settled(msg: ClaimPlace, refusal_code: str | None) -> ClaimSettled:
    return ClaimSettled(
        attempt_id=msg.attempt_id,
        order_id=msg.order_id,
        payment_link_id=msg.payment_link_id,
        is_granted=refusal_code is None,
        refusal_code=refusal_code,
        checkout_session_id=msg.checkout_session_id,
    )


async def release(tx: Tx, msg: ReleasePlace) -> None:
    """Give the attempt's place back, or leave word that it will never have one."""
    attempt = (msg.attempt_id, msg.order_id, tx.now)
    await tx.db.execute(RELEASE, tx.merchant_id, msg.payment_link_id, tx.mode, *attempt)


async def complete(tx: Tx, msg: OrderPaid) -> Link:
    """Count a sale and make the order's held place final; raises not_found."""
    row = await tx.db.fetchrow(COMPLETE, *_sale_of(msg))
    return store.found(row, tx)


async def give_back(tx: Tx, msg: OrderRefunded) -> Link | None:
    """Free what the order took; None if it was freed before."""
    row = await tx.db.fetchrow(GIVE_BACK, *_sale_of(msg), tx.now)
    return None if row is None else store.found(row, tx)


def _sale_of(msg: OrderPaid | OrderRefunded) -> tuple[Any, ...]:
    link = (msg.merchant_id, msg.payment_link_id, msg.mode_environment)
    return (*link, msg.order_id, msg.quantity_sold, msg.line_quantities)
