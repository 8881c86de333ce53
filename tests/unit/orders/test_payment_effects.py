"""The calls to a provider: one each, under the step's key, and silence is an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.orders.payments import effects as room_effects
from services.orders.payments.effects import effects
from services.orders.room import room
from shared.contracts.base import TOPICS, Effect
from shared.contracts.payments import (
    AuthorizePayment,
    CapturePayment,
    ChargePayment,
    ChargeSettled,
    LookUpPayment,
    ProviderCall,
    VoidPayment,
)
from shared.errors import Unavailable
from shared.payments.port import Card, ProviderAnswer, ProviderRequest
from shared.payments.registry import Providers
from tests.builders_orders import usd


class Recorder:
    """A provider that writes down how it was called and answers as it was told."""

    name = "recorder"

    def __init__(self, answer: ProviderAnswer | Exception | None) -> None:
        self.answer = answer
        self.heard: list[tuple[str, Any]] = []

    async def tokenize(self, card: Card) -> str:
        del card
        raise AssertionError("no world handler ever sees a card")

    async def charge(self, request: ProviderRequest) -> ProviderAnswer:
        return await self._heard("charge", request)

    async def authorize(self, request: ProviderRequest) -> ProviderAnswer:
        return await self._heard("authorize", request)

    async def capture(self, request: ProviderRequest) -> ProviderAnswer:
        return await self._heard("capture", request)

    async def void(self, request: ProviderRequest) -> ProviderAnswer:
        return await self._heard("void", request)

    async def look_up(self, key: str) -> ProviderAnswer:
        return await self._heard("look_up", key)

    async def _heard(self, how: str, what: Any) -> ProviderAnswer:
        self.heard.append((how, what))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.sleep(3600)
        assert self.answer is not None
        return self.answer


COMMON: dict[str, Any] = {
    "attempt_id": "pi_1",
    "order_id": "ord_1",
    "provider": "recorder",
    "amount_money": usd(1200),
    "attempt_version": 3,
    "merchant_id": "mer_1",
}
CALLS = [
    (ChargePayment(**COMMON, payment_source_token="tok", return_url="https://a.example"), "charge"),
    (AuthorizePayment(**COMMON, payment_source_token="tok"), "authorize"),
    (CapturePayment(**COMMON, provider_ref="ref_1"), "capture"),
    (VoidPayment(**COMMON, provider_ref="ref_1"), "void"),
]


async def call(message: ProviderCall, recorder: Recorder) -> ChargeSettled:
    answer = await effects(Providers({"recorder": recorder}))[type(message)](message)
    assert isinstance(answer, ChargeSettled)
    return answer


@pytest.mark.parametrize("message, step", CALLS)
async def test_each_step_has_its_own_key_and_carries_all_the_provider_needs(message, step):
    recorder = Recorder(ProviderAnswer("declined", "ref_1", "card_declined", "No."))

    settled = await call(message, recorder)

    ((how, request),) = recorder.heard
    assert (how, request.key) == (step, f"pi_1:{step}")
    assert (request.attempt_id, request.amount_money, request.merchant_id) == (
        "pi_1",
        usd(1200),
        "mer_1",
    )
    assert request.provider_ref == getattr(message, "provider_ref", None)
    assert (settled.step, settled.outcome, settled.attempt_version) == (step, "declined", 3)
    assert (settled.failure_code, settled.failure_message) == ("card_declined", "No.")


async def test_a_look_up_asks_for_the_step_and_answers_as_that_step():
    recorder = Recorder(ProviderAnswer("succeeded", card_brand="visa", card_last_four="4242"))

    settled = await call(LookUpPayment(**COMMON, step="capture"), recorder)

    assert recorder.heard == [("look_up", "pi_1:capture")]
    assert (settled.step, settled.outcome, settled.card_last_four) == (
        "capture",
        "succeeded",
        "4242",
    )


@pytest.mark.parametrize("silence", [Unavailable("gone"), None])
async def test_silence_is_unknown_and_never_a_decline(silence, monkeypatch):
    monkeypatch.setattr(room_effects, "PROVIDER_SECONDS", 0.01)

    settled = await call(CALLS[0][0], Recorder(silence))

    assert (settled.outcome, settled.failure_code) == ("unknown", None)


async def test_a_bug_of_the_provider_s_adapter_is_not_hidden():
    with pytest.raises(KeyError):
        await call(CALLS[0][0], Recorder(KeyError("bug")))


def test_every_call_to_a_provider_has_its_handler():
    declared = {kind for kind in TOPICS.values() if issubclass(kind, ProviderCall)}

    assert set(room(Providers()).effects) == declared
    assert all(issubclass(kind, Effect) for kind in declared)
