"""How a session begins: from a resolved link, or by the API. Pure."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from services.sessions.domain import Session
from shared.contracts.configs import HostedConfigs, ValidationCallbacks
from shared.contracts.links import LinkResolved, Offer, OfferLine
from shared.contracts.plans import SubscriptionPlan, offered
from shared.contracts.sessions import (
    CheckoutSessionCreateParams,
    SessionAttached,
    SessionConfigs,
    SessionCreated,
)
from shared.contracts.types import ModeEnvironment
from shared.errors import invalid, not_found, required
from shared.money import Money, total

SECONDS_DEFAULT: Final = 86_400
_ORIGINS: Final = ("quick_pay", "order_id", "plan_id")


def by_link(msg: LinkResolved, *, origin: str) -> tuple[Session, SessionCreated]:
    """The session a buyer's choices opened: everything in it came with the event."""
    hosted = {name: getattr(msg.configs, name) for name in HostedConfigs.model_fields}
    configs = SessionConfigs.model_construct(**hosted, validation_callbacks=ValidationCallbacks())
    session = Session(
        checkout_session_id=msg.checkout_session_id,
        merchant_id=msg.merchant_id,
        mode_environment=msg.mode_environment,
        order_id=msg.order_id,
        source="payment_link",
        amount_money=_due_on(msg.offer),
        configs=configs,
        expires_at=_expiry(configs, msg.resolved_at, msg.offer.sold_until),
        created_at=msg.resolved_at,
        updated_at=msg.resolved_at,
        origin=origin,
        name=msg.offer.name,
        payment_link_id=msg.payment_link_id,
        custom_fields=tuple(msg.custom_fields),
        custom_field_values=msg.custom_field_values,
        client_reference_id=msg.client_reference_id,
        donation_frequency=msg.offer.donation_frequency,
        subscription_terms=msg.offer.subscription_terms,
        metadata={},
    )
    return session, created(session)


def refuse_unless_one(params: CheckoutSessionCreateParams) -> None:
    """Exactly one of `quick_pay`, `order_id`, `plan_id` says what is to be paid."""
    given = [name for name in _ORIGINS if getattr(params, name) is not None]
    if not given:
        raise required(_ORIGINS[0])
    if len(given) > 1:
        raise invalid(given[1], f"Give either '{given[0]}' or '{given[1]}'.")


def plan_offer(params: CheckoutSessionCreateParams, plan: SubscriptionPlan | None) -> Offer | None:
    """The first payment of the plan that was asked for; None where none was.

    Raises not_found, SUBSCRIPTION_PLAN_ARCHIVED, INVALID_VALUE for a plan of which nothing is due.
    """
    if params.plan_id is None:
        return None
    found = offered(plan)
    due = found.due_today()
    if not due:
        message = "Nothing is due today on this plan, and a card is not saved without a payment."
        raise invalid("plan_id", message)
    return Offer(
        name=found.name,
        currency=found.currency,
        lines=[OfferLine(**asdict(line)) for line in due],
        subscription_terms=found.terms(),
    )


def by_api(
    params: CheckoutSessionCreateParams,
    *,
    ulid: str,
    balance: Money | None,
    plan: SubscriptionPlan | None = None,
    merchant_id: str,
    mode_environment: ModeEnvironment,
    origin: str,
    now: datetime,
) -> tuple[Session, SessionCreated, SessionAttached]:
    """For a quick payment or a plan's first one (their orders bear the same ULID), or for an
    order and its balance.
    """
    offer = plan_offer(params, plan)
    due = _due_on(offer) if offer else balance
    if params.quick_pay is not None:
        due = params.quick_pay.amount_money
    if due is None:
        raise not_found("order", "order_id")
    configs = SessionConfigs.model_construct(**_configs(params))
    session = Session(
        checkout_session_id=f"cs_{ulid}",
        merchant_id=merchant_id,
        mode_environment=mode_environment,
        order_id=params.order_id or f"ord_{ulid}",
        source="subscription" if offer else "api",
        amount_money=due,
        configs=configs,
        expires_at=_expiry(configs, now),
        created_at=now,
        updated_at=now,
        origin=origin,
        name=params.quick_pay.name if params.quick_pay else offer.name if offer else "",
        custom_field_values={},
        client_reference_id=params.client_reference_id,
        subscription_terms=offer.subscription_terms if offer else None,
        metadata=params.metadata,
    )
    attached = SessionAttached.model_construct(
        **session.fields(), previous={}, quick_pay=params.quick_pay, offer=offer
    )
    return session, created(session), attached


def created(session: Session) -> SessionCreated:
    """The fact of a new session."""
    return SessionCreated.model_construct(**session.fields(), previous={})


def _due_on(offer: Offer) -> Money:
    due = [line.unit_price_money * line.quantity for line in offer.lines]
    return total(due, offer.currency)


def _configs(params: CheckoutSessionCreateParams) -> dict[str, Any]:
    return {name: getattr(params, name) for name in SessionConfigs.model_fields}


def _expiry(
    configs: SessionConfigs, opened_at: datetime, sold_until: datetime | None = None
) -> datetime:
    """After its time, or when what it sells is sold no more."""
    seconds = configs.expiration.expiration_seconds or SECONDS_DEFAULT
    end = opened_at + timedelta(seconds=seconds)
    return end if sold_until is None else min(end, sold_until)
