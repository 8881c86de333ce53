"""The calls to payment providers. No database: one call, one key, and what it told as an event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from shared.bus.room import WorldHandler
from shared.contracts.base import Effect
from shared.contracts.payments import (
    AuthorizePayment,
    CapturePayment,
    ChargePayment,
    ChargeSettled,
    LookUpPayment,
    ProviderCall,
    Step,
    VoidPayment,
)
from shared.errors import Unavailable
from shared.failures import describe
from shared.payments.port import PaymentProvider, ProviderAnswer, ProviderRequest
from shared.payments.registry import Providers
from shared.telemetry import metrics, tracing

log = structlog.get_logger("flint.orders")
PROVIDER_SECONDS: Final = 10.0

Ask = Callable[[PaymentProvider, Any], Coroutine[Any, Any, ProviderAnswer]]
# A call, the step it is about, and how the provider is asked.
CALLS: Final[dict[type[ProviderCall], tuple[Step | None, Ask]]] = {
    ChargePayment: ("charge", lambda provider, msg: provider.charge(_request(msg, "charge"))),
    AuthorizePayment: (
        "authorize",
        lambda provider, msg: provider.authorize(_request(msg, "authorize")),
    ),
    CapturePayment: ("capture", lambda provider, msg: provider.capture(_request(msg, "capture"))),
    VoidPayment: ("void", lambda provider, msg: provider.void(_request(msg, "void"))),
    LookUpPayment: (None, lambda provider, msg: provider.look_up(_key(msg, msg.step))),
}


def effects(providers: Providers) -> dict[type[Effect], WorldHandler]:
    """The world handlers of the room, over the open providers."""
    return {kind: _handler(providers, step, ask) for kind, (step, ask) in CALLS.items()}


def _handler(providers: Providers, step: Step | None, ask: Ask) -> WorldHandler:
    async def call(msg: Any) -> ChargeSettled:
        answer = await _heard(ask(providers[msg.provider], msg), msg)
        return _settled(msg, step or msg.step, answer)

    return call


async def _heard(asking: Awaitable[ProviderAnswer], msg: ProviderCall) -> ProviderAnswer:
    """Silence is an answer too: the outcome is unknown, and somebody will ask by the same key."""
    started = time.perf_counter()
    with tracing.span(msg.topic, "client", flint__provider=msg.provider) as span:
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                answer = await asking
        except (Unavailable, TimeoutError) as error:
            log.info(
                "provider.silent",
                attempt_id=msg.attempt_id,
                call=msg.topic,
                reason=describe(error),
            )
            answer = ProviderAnswer("unknown")
        span.set("flint.outcome", answer.outcome)
    call = msg.topic.removeprefix("payments.")
    metrics.called(msg.provider, call, answer.outcome, time.perf_counter() - started)
    return answer


def _request(msg: Any, step: Step) -> ProviderRequest:
    return ProviderRequest(
        key=_key(msg, step),
        attempt_id=msg.attempt_id,
        amount_money=msg.amount_money,
        payment_source_token=getattr(msg, "payment_source_token", None),
        return_url=getattr(msg, "return_url", None),
        provider_ref=getattr(msg, "provider_ref", None),
        merchant_id=msg.merchant_id,
        mode=msg.mode_environment,
    )


def _key(msg: ProviderCall, step: Step) -> str:
    return f"{msg.attempt_id}:{step}"


def _settled(msg: ProviderCall, step: Step, answer: ProviderAnswer) -> ChargeSettled:
    return ChargeSettled(
        attempt_id=msg.attempt_id,
        order_id=msg.order_id,
        step=step,
        outcome=answer.outcome,
        provider_ref=answer.provider_ref,
        failure_code=answer.failure_code,
        failure_message=answer.failure_message,
        redirect_url=answer.redirect_url,
        card_brand=answer.card_brand,
        card_last_four=answer.card_last_four,
        attempt_version=msg.attempt_version,
        checkout_session_id=msg.checkout_session_id,
    )
