"""The sandbox's cards and what each of them does: the one table, and how a card becomes a token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts.payments import FailureCode
from shared.errors import invalid
from shared.payments.port import Card

Behaviour = Literal[
    "pays",
    "declines",
    "challenges",  # asks for 3-D Secure
    "takes_time",  # pending, succeeds `PENDING_SECONDS` later
    "answers_get_lost",  # does as told, and the first answer to each call never arrives
]

PENDING_SECONDS: Final = 5
EXPIRY: Final = re.compile(r"^\s*([0-9]{1,2})\s*/?\s*(?:20)?([0-9]{2})\s*$")


@dataclass(frozen=True, slots=True)
class SandboxCard:
    """One test card. All of them are visa."""

    number: str
    token: str
    behaviour: Behaviour = "pays"
    failure_code: FailureCode | None = None

    @property
    def last_four(self) -> str:
        """All of a number that may be shown."""
        return self.number[-4:]


CARDS: Final = (
    SandboxCard("4242424242424242", "tok_visa"),
    SandboxCard("4000000000000002", "tok_declined", "declines", "card_declined"),
    SandboxCard("4000000000009995", "tok_insufficient_funds", "declines", "insufficient_funds"),
    SandboxCard("4000000000000069", "tok_expired_card", "declines", "expired_card"),
    SandboxCard("4000000000000127", "tok_incorrect_cvc", "declines", "incorrect_cvc"),
    SandboxCard("4000000000000119", "tok_processing_error", "declines", "processing_error"),
    SandboxCard("4000002500003155", "tok_3ds", "challenges"),
    SandboxCard("4000000000000341", "tok_saved_fails_on_renewal"),
    SandboxCard("4000000000000077", "tok_pending", "takes_time"),
    SandboxCard("4000000000000259", "tok_unknown", "answers_get_lost"),
)
BY_NUMBER: Final = {card.number: card for card in CARDS}
BY_TOKEN: Final = {card.token: card for card in CARDS}
ALIASES: Final = {"tok_card_declined": "tok_declined"}

MESSAGES: Final[dict[FailureCode, str]] = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The card has insufficient funds.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The security code is incorrect.",
    "authentication_required": "The payment was not confirmed.",
    "processing_error": "The card could not be processed. Try again in a little while.",
    "payment_action_expired": "The payment was not confirmed in time.",
    "payment_failed": "The payment failed.",
}


def card_of(token: str | None) -> SandboxCard | None:
    """The test card behind a token."""
    return BY_TOKEN.get(ALIASES.get(token or "", token or ""))


def token_of(card: Card, *, today: datetime) -> str:
    """The token of a test card; refuses what no provider would take. No message has the number."""
    number = re.sub(r"[ -]", "", card.number)
    if not _is_card_number(number):
        raise invalid("card_number", "The card number is not valid.")
    known = BY_NUMBER.get(number)
    if known is None:
        raise invalid("card_number", "Use a test card, such as 4242 4242 4242 4242.")
    _check_expiry(card.exp, today)
    if not re.fullmatch(r"[0-9]{3,4}", card.cvc.strip()):
        raise invalid("card_cvc", "The security code has 3 or 4 digits.")
    return known.token


def _is_card_number(number: str) -> bool:
    return re.fullmatch(r"[0-9]{12,19}", number) is not None and _luhn(number)


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _check_expiry(text: str, today: datetime) -> None:
    match = EXPIRY.match(text)
    if match is None or not 1 <= int(match[1]) <= 12:
        raise invalid("card_exp", "Write the expiry date as MM/YY.")
    # A card is good until the end of its month.
    if (2000 + int(match[2]), int(match[1])) < (today.year, today.month):
        raise invalid("card_exp", "The card has expired.")
