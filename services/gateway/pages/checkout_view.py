"""A checkout as its page: the form to pay, the panel to wait, or why it can no longer be paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from urllib.parse import quote

from services.gateway.pages import views
from services.gateway.pages.link_view import legal_of, terms_of
from services.gateway.pages.seeing import Seen
from services.gateway.pages.summary import answers_of, summary_of
from services.gateway.pages.tickets import shown_event
from services.gateway.pages.tips import custom_text, tip_of
from services.gateway.pages.words import end_of, why_declined, why_stopped, wish_note
from shared.contracts.configs import PrefilledCustomer
from shared.contracts.orders import Order
from shared.contracts.sessions import CheckoutSession
from shared.contracts.types import Address


def checkout_page(
    seen: Seen,
    brand: views.Brand,
    *,
    form_token: str,
    now: datetime,
    locale: str,
    recalled: Mapping[str, str] = MappingProxyType({}),
    values: Mapping[str, str] = MappingProxyType({}),
    errors: Mapping[str, str] | None = None,
    notice: str = "",
) -> views.CheckoutPage:
    """The page of a session that can be paid, with what this browser's cookie recalls.

    `values` are those of a form that was sent just now.
    """
    session, order = seen.session, _order_of(seen)
    asked, tip = session.customer, tip_of(session.tip, order)
    filled = {"tip_custom": custom_text(order, tip, locale), **recalled, **values}
    return replace(
        waiting_page(seen, brand, recalled),
        is_processing=False,
        form_token=form_token,
        is_email_required=bool(asked.require_email),
        is_phone_required=bool(asked.require_phone),
        is_billing_address_required=bool(asked.require_billing_address),
        is_shipping_address_required=bool(asked.require_shipping_address),
        shipping_label=session.custom_text.shipping_address_label or "Shipping address",
        tip=tip,
        payment_note=session.payments.payment_note or "",
        decline="" if errors or notice else why_declined(seen.attempt),
        notice=notice or ("" if errors else why_stopped(seen.attempt)),
        seconds_left=max(0, int((session.expires_at - now).total_seconds())),
        cancel_url=filled_in(session.redirects.cancel_redirect_url, session),
        values=prefilled(session) | filled,
        errors=errors or {},
    )


def waiting_page(
    seen: Seen, brand: views.Brand, recalled: Mapping[str, str] = MappingProxyType({})
) -> views.CheckoutPage:
    """The page while a payment is confirmed. `recalled` is what its browser's cookie says."""
    session, order = seen.session, _order_of(seen)
    path = f"/c/{session.checkout_session_id}"
    custom = session.custom_text
    due = order.net_amounts.balance_money
    return views.CheckoutPage(
        brand=brand,
        pay_action=f"{path}/pay",
        update_action=f"{path}/pay",
        status_url=f"{path}/status",
        form_token="",
        summary=summary_of(order, due, custom.order_summary_message or ""),
        order_revision=order.revision,
        event_name=order.event.name if order.event else "",
        event=shown_event(order.event) if order.event else None,
        answers=answers_of(session, recalled),
        button_text=custom.checkout_button_text or "Pay",
        is_processing=True,
        wish_note=wish_note(order.donation_frequency),
        terms=terms_of(order.subscription_terms),
        legal=legal_of(session.legal),
    )


def ended_page(seen: Seen, brand: views.Brand, start_again_url: str) -> views.StatusPage:
    """Why the session can no longer be paid, and where to go from there."""
    session = seen.session
    kind = end_of(session)
    is_over = kind in ("expired", "closed")
    back = session.redirects.cancel_redirect_url
    if kind == "expired":
        back = session.expiration.expiration_url or back
    return views.StatusPage(
        brand=brand,
        kind=kind,
        name=_name_of(seen.order),
        start_again_url=start_again_url if is_over else "",
        merchant_url=filled_in(back, session),
    )


def filled_in(url: str | None, session: CheckoutSession) -> str:
    """A merchant's address with the two ids it may ask for, percent-encoded."""
    named = {
        "{CHECKOUT_SESSION_ID}": session.checkout_session_id,
        "{ORDER_ID}": session.order_id,
    }
    filled = url or ""
    for name, value in named.items():
        filled = filled.replace(name, quote(value, safe=""))
    return filled


def prefilled(session: CheckoutSession) -> dict[str, str]:
    """What the merchant said about the buyer of this one session, as the form's fields.

    A link's session is left out: what it knows of the buyer came with one browser, and only that
    browser's cookie may bring it back.
    """
    known = session.customer.prefilled_customer_info
    if known is None or session.source == "payment_link":
        return {}
    return (
        _contact(known)
        | _address("billing", known.billing_address)
        | _address("shipping", known.shipping_address)
    )


def _contact(known: PrefilledCustomer) -> dict[str, str]:
    return {
        "email": known.email or "",
        "phone": known.phone_number or "",
        "card_name": known.name or "",
        "shipping.name": known.name or "",
    }


def _address(kind: str, address: Address | None) -> dict[str, str]:
    parts = address.model_dump(exclude_none=True) if address else {}
    return {f"{kind}.{name}": value for name, value in parts.items()}


def _name_of(order: Order | None) -> str:
    return order.line_items[0].name if order and len(order.line_items) == 1 else ""


def _order_of(seen: Seen) -> Order:
    assert seen.order is not None, "a page to pay on is only shown with its order"
    return seen.order
