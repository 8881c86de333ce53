"""An example of every public event, as it travels: made from the reference's own examples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from services.gateway.api.examples import (
    ARCHIVED_PLAN,
    CLOSED_ORDER,
    CLOSED_SESSION,
    LINK,
    ORDER,
    PAID_ORDER,
    PLAN,
)
from services.gateway.api.examples import SESSION as OPEN_SESSION
from shared.bus.wire import cloudevent
from shared.contracts import (
    OWNERS,
    Context,
    Envelope,
    Event,
    links,
    orders,
    payments,
    plans,
    sessions,
    tickets,
)
from shared.contracts.payments import PaymentActivity, PaymentIntent
from shared.money import Money

Json = dict[str, Any]
_ULID: Final = "01KAT0M5V8Q4Z6R2N3W9XJ7HDE"
_NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
_MERCHANT: Final = f"mer_{_ULID}"
_CONTEXT: Final = Context(_MERCHANT, "test", f"req_{_ULID}")

_intent = PaymentIntent(
    payment_intent_id=f"pi_{_ULID}",
    amount_money=Money(amount=2500, currency="USD"),
    status="processing",
    order_id=f"ord_{_ULID}",
    checkout_session_id=f"cs_{_ULID}",
    source="payment_link",
    receipt_email="ada@example.com",
    activities=[
        PaymentActivity(
            activity_id=f"act_{_ULID}",
            type="created",
            description="Payment started.",
            to_status="processing",
            created_at=_NOON,
            order_id=f"ord_{_ULID}",
            checkout_session_id=f"cs_{_ULID}",
        )
    ],
    merchant_id=_MERCHANT,
    mode_environment="test",
    created_at=_NOON,
    updated_at=_NOON,
)
INTENT: Final[Json] = _intent.model_dump(mode="json", exclude_none=True)
_CARD: Final = {"payment_method_brand": "visa", "payment_method_last_four": "4242"}
_DECLINED: Final = {
    "failure_code": "card_declined",
    "failure_message": "The card was declined.",
}
_PROCESSING: Final = {"status": "processing"}
_ENDED: Final = {"status": "open", "terminal_reason": None}
_RESOLVED: Final[Json] = {
    "checkout_session_id": f"cs_{_ULID}",
    "order_id": f"ord_{_ULID}",
    "payment_link_id": f"pl_{_ULID}",
    "merchant_id": _MERCHANT,
    "mode_environment": "test",
    "offer": {
        "name": "Tea of the month",
        "currency": "USD",
        "lines": [
            {
                "key": "tea",
                "name": "Green tea",
                "quantity": 2,
                "unit_price_money": {"amount": 1250, "currency": "USD"},
            }
        ],
        "is_limited": True,
    },
    "configs": {"theme": {"primary_color": "#14532d"}},
    "utm": {"utm_source": "newsletter"},
    "resolved_at": "2026-11-24T12:00:00.000Z",
}
_TIP: Final[Json] = {
    "tip_id": f"tip_{_ULID}",
    "order_id": f"ord_{_ULID}",
    "metadata": {},
    "amount_money": {"amount": 500, "currency": "USD"},
    "percent": 20.0,
    "created_at": "2026-11-24T12:00:00.000Z",
}
_TIPPED: Final[Json] = {
    "tip_money": {"amount": 500, "currency": "USD"},
    "total_money": {"amount": 3000, "currency": "USD"},
    "balance_money": {"amount": 3000, "currency": "USD"},
}

_REFUND: Final[Json] = {"amount": 2500, "currency": "USD"}
_TICKET: Final[Json] = {
    "ticket_id": f"tkt_{_ULID}",
    "code": "GALA-000347",
    "number": 347,
    "name": "Balcony",
    "event": {
        "name": "Winter gala",
        "event_date": "2026-12-12T18:00:00.000Z",
        "event_end_date": "2026-12-12T22:00:00.000Z",
        "timezone": "Europe/Berlin",
        "location": "Concert hall, Berlin",
    },
    "order_id": f"ord_{_ULID}",
    "order_line_item_id": f"li_{_ULID}",
    "payment_link_id": f"pl_{_ULID}",
    "merchant_id": _MERCHANT,
    "mode_environment": "test",
    "issued_at": "2026-11-24T12:01:00.000Z",
}

# The sequence number, and the event's data.
DATA: Final[Mapping[type[Event], tuple[int, Json]]] = {
    links.LinkCreated: (1, LINK | {"version": 1, "completed_count": 0, "total_quantity_sold": 0}),
    links.LinkUpdated: (2, LINK | {"previous": {"name": "Tea", "version": 2}}),
    links.LinkActivated: (4, LINK | {"previous": {"status": "inactive", "version": 2}}),
    links.LinkDeactivated: (
        3,
        LINK | {"status": "inactive", "previous": {"status": "active", "version": 2}},
    ),
    links.LinkExhausted: (
        5,
        LINK
        | {"completed_count": 100, "remaining_quantity": 0, "is_sold_out": True}
        | {"previous": {"completed_count": 99, "remaining_quantity": 1, "is_sold_out": False}},
    ),
    links.LinkReopened: (
        7,
        LINK
        | {"completed_count": 100, "max_completions": 150, "remaining_quantity": 50}
        | {"previous": {"max_completions": 100, "remaining_quantity": 0, "is_sold_out": True}},
    ),
    links.LinkResolved: (1, _RESOLVED),
    sessions.SessionCreated: (1, OPEN_SESSION),
    sessions.SessionCompleted: (
        2,
        OPEN_SESSION
        | {"status": "paid", "terminal_reason": "payment_succeeded"}
        | {"completed_at": "2026-11-24T12:01:00.000Z", "payment_intent_ids": [f"pi_{_ULID}"]}
        | {"previous": _ENDED | {"completed_at": None, "payment_intent_ids": []}},
    ),
    sessions.SessionExpired: (
        2,
        OPEN_SESSION
        | {"status": "expired", "terminal_reason": "expired"}
        | {"expired_at": "2026-11-25T12:00:01.000Z", "previous": _ENDED | {"expired_at": None}},
    ),
    sessions.SessionClosed: (
        2,
        CLOSED_SESSION | {"previous": _ENDED | {"closed_reason": None}},
    ),
    sessions.SessionInvalidated: (
        2,
        OPEN_SESSION
        | {"status": "invalidated", "terminal_reason": "order_paid_elsewhere", "previous": _ENDED},
    ),
    orders.OrderCreated: (1, ORDER),
    orders.OrderUpdated: (
        2,
        ORDER
        | {"revision": 2, "tips": [_TIP], "net_amounts": ORDER["net_amounts"] | _TIPPED}
        | {"previous": {"revision": 1, "tips": [], "net_amounts": ORDER["net_amounts"]}},
    ),
    orders.OrderPaid: (
        2,
        PAID_ORDER
        | {"attempt_id": f"pi_{_ULID}", "paid_session_id": f"cs_{_ULID}"}
        | {"quantity_sold": 2, "line_quantities": {"tea": 2}}
        | {"previous": {"status": "open", "net_amounts": ORDER["net_amounts"]}},
    ),
    orders.OrderRefunded: (
        3,
        PAID_ORDER
        | {"status": "refunded", "refund_ids": [f"ref_{_ULID}"]}
        | {"net_amounts": PAID_ORDER["net_amounts"] | {"refunded_money": _REFUND}}
        | {"refund_id": f"ref_{_ULID}", "amount_money": _REFUND}
        | {"quantity_sold": 2, "line_quantities": {"tea": 2}}
        | {"previous": {"status": "paid", "net_amounts": PAID_ORDER["net_amounts"]}},
    ),
    orders.OrderClosed: (
        2,
        CLOSED_ORDER | {"previous": {"status": "open", "closed_reason": None}},
    ),
    payments.PaymentIntentProcessing: (1, INTENT),
    payments.PaymentIntentRequiresAction: (
        2,
        INTENT
        | {"status": "requires_action", "next_action_url": "https://bank.example/3ds/8f2c"}
        | {"previous": _PROCESSING | {"next_action_url": None}},
    ),
    payments.PaymentIntentSucceeded: (
        2,
        INTENT | _CARD | {"status": "succeeded", "previous": _PROCESSING},
    ),
    payments.PaymentIntentFailed: (
        2,
        INTENT
        | _CARD
        | _DECLINED
        | {"status": "requires_payment_method", "previous": _PROCESSING | {"failure_code": None}},
    ),
    payments.PaymentIntentCanceled: (
        2,
        INTENT
        | {"status": "canceled", "failure_code": "EVENT_SOLD_OUT"}
        | {"failure_message": "It has just sold out. Nothing was charged."}
        | {"previous": _PROCESSING | {"failure_code": None, "failure_message": None}},
    ),
    payments.PaymentIntentLate: (
        3,
        INTENT | _CARD | {"status": "succeeded", "previous": {"status": "expired"}},
    ),
    tickets.TicketIssued: (1, _TICKET),
    plans.SubscriptionPlanCreated: (1, PLAN | {"version": 1}),
    plans.SubscriptionPlanUpdated: (
        2,
        PLAN | {"previous": {"version": 1, "setup_fee_money": None}},
    ),
    plans.SubscriptionPlanArchived: (
        3,
        ARCHIVED_PLAN | {"previous": {"version": 2, "status": "active"}},
    ),
}


def example_of(kind: type[Event]) -> Json:
    """The whole CloudEvent, written by the very code that writes the real ones."""
    sequence, data = DATA[kind]
    said = kind.model_validate(data)
    envelope = Envelope(
        id=f"evt_{_ULID}",
        topic=kind.topic,
        body=said.to_json(),
        context=_CONTEXT,
        source=OWNERS[kind.__module__],
        subject=said.subject_id(),
        sequence=sequence,
        time=_NOON,
    )
    made: Json = orjson.loads(cloudevent(envelope))
    return made
