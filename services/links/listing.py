"""All SQL of lists of links. Whatever is asked for, an index leads to the page.

A list without filters is one run of an index. Filters ask for several runs of another one, which
are merged. A text, or a time that is not the one sorted by, is looked for among the nearest rows
first: what is common is found there at once. What is rare has an index of its own that leads to
all of it, and few are quickly sorted.
"""

# ruff: noqa: S608  (what is put into SQL here is this file's own text)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

from services.links.store import COLUMNS, link_of
from shared.bus.tx import Tx
from shared.contracts.link_requests import LinkMode, LinkStatus
from shared.contracts.links import ListLinks, PaymentLink
from shared.contracts.lists import Page
from shared.db import keyset

NEAR: Final = 1_000
SORTS: Final = ("created_at", "updated_at")
_STATUSES: Final = list(get_args(LinkStatus))
_MODES: Final = list(get_args(LinkMode))


def _statements(template: str) -> keyset.Statements:
    return keyset.statements(template, SORTS, id_name="payment_link_id")


PLAIN: Final = _statements(f"SELECT {COLUMNS} FROM links WHERE :common :order LIMIT $9")

FILTERED: Final = _statements(f"""
    SELECT {COLUMNS}
    FROM unnest($10::text[]) AS asked (status), unnest($11::text[]) AS kind (mode),
         unnest($12::boolean[]) AS plan (is_there),
         LATERAL (
            SELECT {COLUMNS} FROM links
            WHERE links.status = asked.status AND links.mode = kind.mode
              AND (links.plan_id IS NOT NULL) = plan.is_there AND :common
            :order LIMIT $9
         ) AS links
    :order LIMIT $9
""")

_MATCHES: Final = """
    :within AND status = ANY($10::text[]) AND mode = ANY($11::text[])
    AND (plan_id IS NOT NULL) = ANY($12::boolean[])
"""


def _narrowed(matches: str, by_index: str) -> keyset.Statements:
    return _statements(f"""
        WITH near AS MATERIALIZED (
            SELECT payment_link_id, created_at, updated_at, status, mode, plan_id, name,
                   description
            FROM links WHERE :nearest :order LIMIT {NEAR}
        ), hits AS MATERIALIZED (
            SELECT payment_link_id, :sort FROM near WHERE {matches} :order LIMIT $9
        ), others AS MATERIALIZED (
            SELECT payment_link_id, :sort FROM links
            WHERE (SELECT count(*) FROM hits) < $9 AND (SELECT count(*) FROM near) = {NEAR}
              AND :nearest AND {by_index} AND {matches}
        ), found AS (
            SELECT payment_link_id, :sort FROM hits
            UNION SELECT payment_link_id, :sort FROM others
            :order LIMIT $9
        )
        SELECT {COLUMNS} FROM found JOIN links USING (payment_link_id, :sort)
        WHERE links.merchant_id = $1 AND links.mode_environment = $2
        :order
    """)


BY_TIME: Final = _narrowed(_MATCHES, "TRUE")
BY_TEXT: Final = _narrowed(
    f"{_MATCHES} AND strpos(link_searched(name, description), lower($13)) > 0",
    "link_grams(merchant_id, mode_environment, name, description)"
    " @@ link_grams_wanted($1, $2, $13)",
)


async def list_links(tx: Tx, msg: ListLinks) -> Page[PaymentLink]:
    """One page of the merchant's links."""
    statements, more = way(msg)
    # Prepared anew, so that it is planned for what is asked: the plan for anything is right for
    # nothing here, and would walk a million rows for the one that an index has.
    statement = await tx.db.prepare(statements[msg.sort_field, msg.sort_direction])
    rows = await statement.fetch(
        *keyset.common(tx, msg),
        msg.page_size + 1,
        *more,
    )
    return keyset.page(
        rows, msg, make=lambda row: link_of(row, tx.public_url).shown(), id_name="payment_link_id"
    )


def way(msg: ListLinks) -> tuple[keyset.Statements, Sequence[Any]]:
    """The statements whose index leads to what is asked for, and their further parameters."""
    filters = (
        [msg.status] if msg.status else _STATUSES,
        [msg.mode] if msg.mode else _MODES,
        [msg.has_plan] if msg.has_plan is not None else [False, True],
    )
    if msg.query:
        return BY_TEXT, (*filters, msg.query)
    other = {"created_at": "updated_at", "updated_at": "created_at"}[msg.sort_field]
    if any(msg.ranges()[other]):
        return BY_TIME, filters
    if msg.status or msg.mode or msg.has_plan is not None:
        return FILTERED, filters
    return PLAIN, ()
