"""All SQL about orders. Rows keep keys, filters and sums as columns, the rest of it as jsonb."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from services.orders.ordering.domain import Sale
from shared.bus.tx import Tx
from shared.contracts.lists import Cursor, Page
from shared.contracts.orders import (
    AppliedDiscount,
    ListOrders,
    NetAmounts,
    Order,
    OrderActivity,
    OrderLineItem,
    Tip,
)
from shared.contracts.tickets import Ticket
from shared.db import keyset
from shared.db.pool import Record
from shared.errors import invalid, not_found
from shared.money import money

COLUMNS: Final = """
    merchant_id, id, mode, order_number, status, closed_reason, source, customer_id, buyer_email,
    payment_link_id, subscription_id, currency, subtotal_minor, discount_minor, tax_minor,
    tip_minor, total_minor, paid_minor, refunded_minor, balance_minor, line_items, discounts,
    tips, activities, details, payment_intent_ids, refund_ids, checkout_session_ids, is_limited,
    live_attempt_id, paid_attempt_id, free_attempt_ids, is_closing, revision, created_at,
    updated_at, tickets
"""
ADD: Final = f"""
    INSERT INTO orders ({COLUMNS}, search_text) VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38
    )
    ON CONFLICT (merchant_id, id) DO NOTHING
"""  # noqa: S608 the only thing put in is our own constant
# What happens to an order. Its contents stay as they are, so they are not written again.
SAVE_LIFE: Final = """
    UPDATE orders SET
        status = $3, closed_reason = $4, buyer_email = $5, paid_minor = $6, refunded_minor = $7,
        balance_minor = $8, activities = $9, payment_intent_ids = $10, checkout_session_ids = $11,
        live_attempt_id = $12, paid_attempt_id = $13, is_closing = $14, updated_at = $15,
        free_attempt_ids = $16, tickets = $17
    WHERE merchant_id = $1 AND id = $2
"""
SAVE_CONTENTS: Final = """
    UPDATE orders SET
        subtotal_minor = $3, discount_minor = $4, tax_minor = $5, tip_minor = $6,
        total_minor = $7, balance_minor = $8, line_items = $9, discounts = $10, tips = $11,
        activities = $12, details = $13, search_text = $14, revision = $15, updated_at = $16
    WHERE merchant_id = $1 AND id = $2 AND status = 'open' AND revision = $15 - 1
"""
FIND: Final = f"""
    SELECT {COLUMNS} FROM orders WHERE merchant_id = $1 AND mode = $2 AND id = $3
"""  # noqa: S608 the only thing put in is our own constant
FIND_FOR_BUYER: Final = f"""
    SELECT {COLUMNS} FROM orders WHERE id = $1
"""  # noqa: S608 the only thing put in is our own constant
LOCK: Final = FIND + " FOR UPDATE"
LOCK_FOR_BUYER: Final = FIND_FOR_BUYER + " FOR UPDATE"
SORTS: Final = {
    "created_at": ("created_at", "timestamptz"),
    "updated_at": ("updated_at", "timestamptz"),
    "due_money": ("balance_minor", "bigint"),
}
DETAILS: Final = (
    "buyer_note",
    "merchant_note",
    "subscription_plan_id",
    "custom_field_values",
    "client_reference_id",
    "utm",
    "donation_frequency",
    "subscription_terms",
    "event",
    "metadata",
)

_lines: Final = TypeAdapter(list[OrderLineItem])
_discounts: Final = TypeAdapter(list[AppliedDiscount])
_tips: Final = TypeAdapter(list[Tip])
_activities: Final = TypeAdapter(list[OrderActivity])
_tickets: Final = TypeAdapter(list[Ticket])


async def add(tx: Tx, sale: Sale) -> bool:
    """Whether it is new: an order that is already there stays as it is."""
    return await tx.db.execute(ADD, *_row(sale)) == "INSERT 0 1"


async def find(tx: Tx, order_id: str) -> Sale:
    """The merchant's order. Raises not_found for unknown, foreign and other-mode ids alike."""
    return _found(await tx.db.fetchrow(FIND, tx.merchant_id, tx.mode, order_id))


async def lock(tx: Tx, order_id: str) -> Sale:
    """The same, nobody else's until the commit."""
    return _found(await tx.db.fetchrow(LOCK, tx.merchant_id, tx.mode, order_id))


async def lock_if_there(tx: Tx, order_id: str) -> Sale | None:
    """The same, where its absence means something."""
    row = await tx.db.fetchrow(LOCK, tx.merchant_id, tx.mode, order_id)
    return sale_of(row) if row else None


async def find_for_buyer(tx: Tx, order_id: str) -> Sale:
    """By id alone. Raises not_found."""
    return _found(await tx.db.fetchrow(FIND_FOR_BUYER, order_id))


async def lock_for_buyer(tx: Tx, order_id: str) -> Sale:
    """The same, nobody else's until the commit."""
    return _found(await tx.db.fetchrow(LOCK_FOR_BUYER, order_id))


async def save_life(tx: Tx, sale: Sale) -> None:
    """Write what happened to a locked order."""
    done = await tx.db.execute(SAVE_LIFE, *life_of(sale))
    assert done == "UPDATE 1", f"{sale.order.order_id} was not there to be saved"


async def save_contents(tx: Tx, sale: Sale) -> None:
    """Write the next revision of a locked order."""
    order, sums = sale.order, sale.order.net_amounts
    done = await tx.db.execute(
        SAVE_CONTENTS,
        order.merchant_id,
        order.order_id,
        *_priced(sums),
        sums.balance_money.amount,
        *_contents(sale),
        _search_text(order),
        order.revision,
        order.updated_at,
    )
    assert done == "UPDATE 1", f"{order.order_id} is not at revision {order.revision - 1}"


def life_of(sale: Sale) -> tuple[Any, ...]:
    """The arguments of `SAVE_LIFE`."""
    order, sums = sale.order, sale.order.net_amounts
    return (
        order.merchant_id,
        order.order_id,
        order.status,
        order.closed_reason,
        order.buyer_email,
        sums.paid_money.amount,
        sums.refunded_money.amount,
        sums.balance_money.amount,
        _dump(_activities, order.activities),
        order.payment_intent_ids,
        order.checkout_session_ids,
        sale.live_attempt_id,
        sale.paid_attempt_id,
        sale.is_closing,
        order.updated_at,
        list(sale.free_attempt_ids),
        _dump(_tickets, order.tickets),
    )


async def list_orders(tx: Tx, asked: ListOrders) -> Page[Order]:
    """One keyset page. Raises `Refusal` for an unknown `sort_field`."""
    if asked.sort_field not in SORTS:
        raise invalid("sort_field", f"Orders can be sorted by {', '.join(SORTS)}.")
    column, kind = SORTS[asked.sort_field]
    where, arguments = _filters(asked)
    if asked.after is not None:
        sign = "<" if asked.sort_direction == "desc" else ">"
        where.append(
            f"({column}, id) {sign} (${len(arguments) + 3}::{kind}, ${len(arguments) + 4})"
        )
        arguments += _cursor_arguments(asked.after, kind)
    sql = " ".join(
        (
            "SELECT",
            COLUMNS,
            "FROM orders WHERE merchant_id = $1 AND mode = $2",
            *(f"AND {one}" for one in where),
            f"ORDER BY {column} {asked.sort_direction}, id {asked.sort_direction}",
            f"LIMIT {asked.page_size + 1}",
        )
    )
    rows = await tx.db.fetch(sql, tx.merchant_id, tx.mode, *arguments)
    shown = rows[: asked.page_size]
    next_ = _cursor(shown[-1], column) if len(rows) > asked.page_size else None
    return Page[Order](rows=[sale_of(row).order for row in shown], next=next_)


def sale_of(row: Record) -> Sale:
    """The one place where a row becomes an order."""
    details = row["details"]
    return Sale(
        order=Order.model_validate(
            {
                **{name: details[name] for name in DETAILS if name in details},
                "order_id": row["id"],
                "order_number": row["order_number"],
                "status": row["status"],
                "closed_reason": row["closed_reason"],
                "source": row["source"],
                "customer_id": row["customer_id"],
                "buyer_email": row["buyer_email"],
                "payment_link_id": row["payment_link_id"],
                "subscription_id": row["subscription_id"],
                "net_amounts": _amounts(row),
                "line_items": row["line_items"],
                "discounts": row["discounts"],
                "tips": row["tips"],
                "tickets": row["tickets"],
                "activities": row["activities"],
                "payment_intent_ids": row["payment_intent_ids"],
                "refund_ids": row["refund_ids"],
                "checkout_session_ids": row["checkout_session_ids"],
                "revision": row["revision"],
                "merchant_id": row["merchant_id"],
                "mode_environment": row["mode"],
                "created_at": row["created_at"],
                "updated_at": row["updated_at"],
            }
        ),
        is_limited=row["is_limited"],
        line_keys=details.get("line_keys", {}),
        ticket_prefix=details.get("ticket_prefix", ""),
        buyer_tip_id=details.get("buyer_tip_id"),
        live_attempt_id=row["live_attempt_id"],
        paid_attempt_id=row["paid_attempt_id"],
        free_attempt_ids=tuple(row["free_attempt_ids"]),
        is_closing=row["is_closing"],
    )


def _found(row: Record | None) -> Sale:
    if row is None:
        raise not_found("order")
    return sale_of(row)


def _amounts(row: Record) -> NetAmounts:
    currency = row["currency"]
    sums: dict[str, Any] = {
        name: money(row[name.replace("_money", "_minor")], currency)
        for name in NetAmounts.model_fields
    }
    return NetAmounts(**sums)


def _row(sale: Sale) -> tuple[Any, ...]:
    """The arguments of `ADD`, in the order of `COLUMNS`."""
    order, sums = sale.order, sale.order.net_amounts
    return (
        order.merchant_id,
        order.order_id,
        order.mode_environment,
        order.order_number,
        order.status,
        order.closed_reason,
        order.source,
        order.customer_id,
        order.buyer_email,
        order.payment_link_id,
        order.subscription_id,
        sale.currency,
        *_priced(sums),
        sums.paid_money.amount,
        sums.refunded_money.amount,
        sums.balance_money.amount,
        *_contents(sale),
        order.payment_intent_ids,
        order.refund_ids,
        order.checkout_session_ids,
        sale.is_limited,
        sale.live_attempt_id,
        sale.paid_attempt_id,
        list(sale.free_attempt_ids),
        sale.is_closing,
        order.revision,
        order.created_at,
        order.updated_at,
        _dump(_tickets, order.tickets),
        _search_text(order),
    )


def _dump(adapter: TypeAdapter[Any], parts: Any) -> Any:
    return adapter.dump_python(parts, mode="json", exclude_none=True)


def _priced(sums: NetAmounts) -> tuple[int, ...]:
    """What the order comes to, in minor units, in the order of the columns."""
    parts = (sums.subtotal_money, sums.discount_money, sums.tax_money, sums.tip_money)
    return tuple(part.amount for part in (*parts, sums.total_money))


def _contents(sale: Sale) -> tuple[Any, ...]:
    """What is sold and what was done with it, in the order of the columns."""
    order = sale.order
    return (
        _dump(_lines, order.line_items),
        _dump(_discounts, order.discounts),
        _dump(_tips, order.tips),
        _dump(_activities, order.activities),
        _details(sale),
    )


def _details(sale: Sale) -> dict[str, Any]:
    shown = sale.order.model_dump(mode="json", include=set(DETAILS), exclude_none=True)
    ours = {
        "line_keys": dict(sale.line_keys),
        "ticket_prefix": sale.ticket_prefix,
        "buyer_tip_id": sale.buyer_tip_id,
    }
    return {name: value for name, value in (shown | ours).items() if value}


def _search_text(order: Order) -> str:
    """What `query` looks into, beside the buyer's address: number, names, descriptions, SKUs."""
    words = [order.order_number]
    for line in order.line_items:
        words += [word for word in (line.name, line.description, line.sku) if word]
    return "\n".join(words)


def _filters(asked: ListOrders) -> tuple[list[str], list[Any]]:
    """WHERE clauses and their arguments; $1 and $2 are the merchant and the mode."""
    clauses: list[str] = []
    arguments: list[Any] = []

    def add(clause: str, value: Any) -> None:
        if value is not None:
            arguments.append(value)
            clauses.append(clause.replace("?", f"${len(arguments) + 2}"))

    for name in ("customer_id", "status", "order_number", "source", "subscription_id"):
        add(f"{name} = ?", getattr(asked, name))
    for column, (after, before) in asked.ranges().items():
        add(f"{column} > ?", after)
        add(f"{column} < ?", before)
    add("(search_text ILIKE ? OR buyer_email ILIKE ?)", keyset.like(asked.query or None))
    return clauses, arguments


def _cursor(row: Record, column: str) -> Cursor:
    value = row[column]
    return (value.isoformat() if isinstance(value, datetime) else str(value), row["id"])


def _cursor_arguments(cursor: Cursor, kind: str) -> list[Any]:
    value, last_id = cursor
    return [int(value) if kind == "bigint" else datetime.fromisoformat(value), last_id]
