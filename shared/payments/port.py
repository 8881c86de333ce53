"""The port of a payment provider. It knows only money: no orders, no sessions, no pages.

Every call that may move money carries a key. The same key gets the same answer for ever, and
`look_up` tells what became of a key; so a caller that heard nothing asks, and never starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shared.contracts.payments import FailureCode, Outcome
from shared.contracts.types import CardBrand, ModeEnvironment
from shared.money import Money


@dataclass(frozen=True, slots=True)
class Card:
    """What a buyer typed. Lives only between the form and `tokenize`; its repr tells nothing."""

    number: str = field(repr=False)
    exp: str = field(repr=False)
    cvc: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One call. `key` is `<attempt_id>:<step>`; `provider_ref` is set for capture and void."""

    key: str
    attempt_id: str
    amount_money: Money
    payment_source_token: str | None = field(default=None, repr=False)
    return_url: str | None = None
    provider_ref: str | None = None
    merchant_id: str = ""
    mode: ModeEnvironment = "test"


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What the provider said. `declined` comes with a code, `action_required` with a url."""

    outcome: Outcome
    provider_ref: str | None = None
    failure_code: FailureCode | None = None
    failure_message: str | None = None
    redirect_url: str | None = None
    card_brand: CardBrand | None = None
    card_last_four: str | None = None


class PaymentProvider(Protocol):
    """All of it raises `Unavailable` when the provider is silent: the outcome is then unknown."""

    @property
    def name(self) -> str:
        """The name under which the registry knows it."""
        ...

    async def tokenize(self, card: Card) -> str:
        """A token for the card, for the gateway only.

        Raises `Refusal` (invalid) with param `card_number`, `card_exp` or `card_cvc`.
        """
        ...

    async def charge(self, request: ProviderRequest) -> ProviderAnswer:
        """Take the money: succeeded, declined, action_required or pending."""
        ...

    async def authorize(self, request: ProviderRequest) -> ProviderAnswer:
        """Hold the money: authorized, declined, action_required or pending."""
        ...

    async def capture(self, request: ProviderRequest) -> ProviderAnswer:
        """Take what `provider_ref` holds, at most that much: succeeded or declined."""
        ...

    async def void(self, request: ProviderRequest) -> ProviderAnswer:
        """Give up on `provider_ref`, so that it can never succeed later.

        voided; succeeded if the money was taken before; pending if it cannot be stopped now.
        """
        ...

    async def look_up(self, key: str) -> ProviderAnswer:
        """What became of the call with this key, as it is now; absent if it never arrived."""
        ...
