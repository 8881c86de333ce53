"""How a session begins: from a resolved link, or by the API. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from services.sessions.domain import Session
from shared.contracts.configs import HostedConfigs, ValidationCallbacks
from shared.contracts.links import LinkResolved
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
    due = [line.unit_price_money * line.quantity for line in msg.offer.lines]
    session = Session(
        checkout_session_id=msg.checkout_session_id,
        merchant_id=msg.merchant_id,
        mode_environment=msg.mode_environment,
        order_id=msg.order_id,
        source="payment_link",
        amount_money=total(due, msg.offer.currency),
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
    if params.plan_id is not None:
        raise not_found("plan", "plan_id")  # plans are not sold yet


def by_api(
    params: CheckoutSessionCreateParams,
    *,
    ulid: str,
    balance: Money | None,
    merchant_id: str,
    mode_environment: ModeEnvironment,
    origin: str,
    now: datetime,
) -> tuple[Session, SessionCreated, SessionAttached]:
    """For a quick payment (its order bears the same ULID) or for an order and its balance."""
    due = params.quick_pay.amount_money if params.quick_pay else balance
    if due is None:
        raise not_found("order", "order_id")
    configs = SessionConfigs.model_construct(**_configs(params))
    session = Session(
        checkout_session_id=f"cs_{ulid}",
        merchant_id=merchant_id,
        mode_environment=mode_environment,
        order_id=params.order_id or f"ord_{ulid}",
        source="api",
        amount_money=due,
        configs=configs,
        expires_at=_expiry(configs, now),
        created_at=now,
        updated_at=now,
        origin=origin,
        name=params.quick_pay.name if params.quick_pay else "",
        custom_field_values={},
        client_reference_id=params.client_reference_id,
        metadata=params.metadata,
    )
    fields = session.fields()
    attached = SessionAttached.model_construct(**fields, previous={}, quick_pay=params.quick_pay)
    return session, created(session), attached


def created(session: Session) -> SessionCreated:
    """The fact of a new session."""
    return SessionCreated.model_construct(**session.fields(), previous={})


def _configs(params: CheckoutSessionCreateParams) -> dict[str, Any]:
    return {name: getattr(params, name) for name in SessionConfigs.model_fields}


def _expiry(
    configs: SessionConfigs, opened_at: datetime, sold_until: datetime | None = None
) -> datetime:
    """After its time, or when what it sells is sold no more."""
    seconds = configs.expiration.expiration_seconds or SECONDS_DEFAULT
    end = opened_at + timedelta(seconds=seconds)
    return end if sold_until is None else min(end, sold_until)
