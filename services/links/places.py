"""The SQL of places: what is claimed, given back and sold. Counters and claims change as one.

Rows are locked in one order everywhere, claim before link, so that claiming, giving back and
counting a sale never wait for each other in a circle.
"""

# ruff: noqa: S608  (what is put into SQL here is the store's own list of columns)
from __future__ import annotations

from typing import Final

from services.links import store
from services.links.domain import Link
from shared.bus.tx import Tx
from shared.contracts.links import ClaimPlace, ClaimSettled, ReleasePlace
from shared.contracts.orders import OrderPaid

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
    RETURNING {store.COLUMNS}
"""


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
    row = await tx.db.fetchrow(store.FIND, tx.merchant_id, payment_link_id, tx.mode)
    return "RESOURCE_NOT_FOUND" if row is None else store.link_of(row, "").no_place_for(quantity)


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
    return store.found(row, tx)
