"""The SQL of slugs: one statement decides whose a name is, for the whole installation."""

from __future__ import annotations

from typing import Final

from services.links.domain import Link
from services.links.slugs import shape_of, slug_taken
from shared.bus.tx import Tx

# The shape first: it is what tells merchants apart, and who has it has every slug of that shape.
# A slug of the merchant's own comes back if it was removed, or is the same link's already.
TAKE: Final = """
    WITH shape AS (
        INSERT INTO slug_shapes (shape, merchant_id)
        VALUES ($5, $2)
        ON CONFLICT (shape) DO UPDATE
        SET shape = excluded.shape WHERE slug_shapes.merchant_id = excluded.merchant_id
        RETURNING shape
    )
    INSERT INTO slugs (slug, merchant_id, payment_link_id, created_at)
    SELECT $1, $2, $3, $4 FROM shape
    ON CONFLICT (slug) DO UPDATE
    SET payment_link_id = excluded.payment_link_id, removed_at = NULL
    WHERE slugs.merchant_id = excluded.merchant_id
      AND (slugs.removed_at IS NOT NULL OR slugs.payment_link_id = excluded.payment_link_id)
"""

DROP: Final = """
    UPDATE slugs SET removed_at = $4
    WHERE slug = $1 AND merchant_id = $2 AND payment_link_id = $3 AND removed_at IS NULL
"""


async def take(tx: Tx, link: Link, slug: str) -> None:
    """The slug leads to this link from now on; raises slug_taken.

    Of two who want it at once, the second waits for the first one's commit and is refused.
    """
    owner = (link.merchant_id, link.payment_link_id)
    if await tx.db.execute(TAKE, slug, *owner, tx.now, shape_of(slug)) != "INSERT 0 1":
        raise slug_taken(slug)


async def drop(tx: Tx, link: Link, slug: str) -> None:
    """The slug leads nowhere from now on, and stays its merchant's."""
    owner = (link.merchant_id, link.payment_link_id)
    done = await tx.db.execute(DROP, slug, *owner, tx.now)
    assert done == "UPDATE 1", f"{slug} is on the link but not among its slugs"
