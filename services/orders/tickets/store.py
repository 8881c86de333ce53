"""The SQL of tickets: a register without gaps, one row for each number of a link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.bus.tx import Tx
from shared.contracts.orders import Order

# Whoever issues for the same link waits here until this order's payment is committed or undone.
TAKE_NUMBERS: Final = """
    WITH counter AS (
        INSERT INTO ticket_counters AS counters (merchant_id, payment_link_id, issued)
        VALUES ($1, $2, cardinality($4::text[]))
        ON CONFLICT (merchant_id, payment_link_id) DO UPDATE
        SET issued = counters.issued + excluded.issued
        RETURNING issued - cardinality($4::text[]) AS before
    ), register AS (
        INSERT INTO tickets (merchant_id, payment_link_id, number, ticket_id, order_id, issued_at)
        SELECT $1, $2, before + position, ticket_id, $3, $5
        FROM counter, unnest($4::text[]) WITH ORDINALITY AS asked (ticket_id, position)
        RETURNING number
    )
    SELECT min(number) FROM register
"""


async def take_numbers(tx: Tx, order: Order, ticket_ids: Sequence[str]) -> int:
    """The first of as many numbers as there are tickets, in one row; they are this order's."""
    key = (order.merchant_id, order.payment_link_id, order.order_id)
    first: int = await tx.db.fetchval(TAKE_NUMBERS, *key, list(ticket_ids), tx.now)
    return first
