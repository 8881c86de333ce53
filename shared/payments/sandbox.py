"""The sandbox: a provider that needs nothing from outside, with a ledger of its own.

It keeps its books in its own database, as a real provider would, so that an audit can compare
them with ours. Every call is one statement, hence one transaction: a call either happened with
all its entries or did not happen. Cards and their behaviour are in `sandbox_cards`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from shared.clock import utc_now
from shared.contracts.payments import FailureCode, Outcome
from shared.db.pool import Connection, Pool, Record, connection, is_outage, open_pool, reason
from shared.errors import Unavailable, not_found
from shared.ids import new_ulid
from shared.money import Money, money
from shared.payments.port import Card, ProviderAnswer, ProviderRequest
from shared.payments.sandbox_cards import (
    MESSAGES,
    PENDING_SECONDS,
    Behaviour,
    SandboxCard,
    card_of,
    token_of,
)

MIGRATIONS: Final = Path(__file__).parent / "migrations"
ENTRIES_BATCH: Final = 1_000

ChallengeState = Literal["open", "succeeded", "failed", "canceled"]
EntryKind = Literal["charge", "authorize", "capture", "void"]

# A pending payment whose time has come is settled, whoever looks; nobody has to move it.
STATE_NOW: Final = """
    CASE WHEN state <> 'pending' OR settles_at > clock_timestamp() THEN state
         WHEN kind = 'charge' THEN 'captured' ELSE 'authorized' END
"""

START: Final = """
    WITH call AS (
        INSERT INTO sandbox_calls (key, step, provider_ref, amount_minor, outcome, failure_code)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (key) DO NOTHING
        RETURNING step, provider_ref, amount_minor, outcome, failure_code
    ), payment AS (
        INSERT INTO sandbox_payments (
            provider_ref, attempt_id, merchant_id, mode, kind, state, amount_minor,
            captured_minor, currency, token, failure_code, return_url, settles_at
        )
        SELECT provider_ref, $7, $8, $9, step, $10, amount_minor,
            CASE WHEN step = 'charge' AND $10 IN ('captured', 'pending') THEN amount_minor
                 ELSE 0 END,
            $11, $12, failure_code, $13,
            CASE WHEN $10 = 'pending' THEN now() + make_interval(secs => $14) END
        FROM call
    ), entry AS (
        INSERT INTO sandbox_ledger (provider_ref, attempt_id, kind, amount_minor, currency, at)
        SELECT provider_ref, $7, step, amount_minor, $11,
            CASE WHEN $10 = 'pending' THEN now() + make_interval(secs => $14) ELSE now() END
        FROM call WHERE $10 IN ('captured', 'authorized', 'pending')
    )
    SELECT step, provider_ref, amount_minor, outcome, failure_code, $12 AS token FROM call
"""

CAPTURE: Final = f"""
    WITH held AS (
        SELECT provider_ref, attempt_id, currency, token,
            ({STATE_NOW}) = 'authorized' AND $3 <= amount_minor AS is_held
        FROM sandbox_payments WHERE provider_ref = $2 FOR UPDATE
    ), call AS (
        INSERT INTO sandbox_calls (key, step, provider_ref, amount_minor, outcome, failure_code)
        SELECT $1, 'capture', provider_ref, $3,
            CASE WHEN is_held THEN 'succeeded' ELSE 'declined' END,
            CASE WHEN is_held THEN NULL ELSE 'processing_error' END
        FROM held
        ON CONFLICT (key) DO NOTHING
        RETURNING step, provider_ref, amount_minor, outcome, failure_code
    ), taken AS (
        UPDATE sandbox_payments SET state = 'captured', captured_minor = $3, settles_at = NULL
        WHERE provider_ref = $2 AND EXISTS (SELECT 1 FROM call WHERE outcome = 'succeeded')
    ), entry AS (
        INSERT INTO sandbox_ledger (provider_ref, attempt_id, kind, amount_minor, currency, at)
        SELECT provider_ref, attempt_id, 'capture', $3, currency, now()
        FROM held WHERE EXISTS (SELECT 1 FROM call WHERE outcome = 'succeeded')
    )
    SELECT c.step, c.provider_ref, c.amount_minor, c.outcome, c.failure_code, h.token
    FROM call c JOIN held h USING (provider_ref)
"""  # noqa: S608 the only thing put in is our own constant

# What cannot be stopped now (pending) is not a call that happened: the caller asks again.
VOID: Final = f"""
    WITH held AS (
        SELECT provider_ref, attempt_id, amount_minor, currency, token, ({STATE_NOW}) AS state
        FROM sandbox_payments WHERE provider_ref = $2 FOR UPDATE
    ), call AS (
        INSERT INTO sandbox_calls (key, step, provider_ref, amount_minor, outcome)
        SELECT $1, 'void', provider_ref, amount_minor,
            CASE WHEN state = 'captured' THEN 'succeeded' ELSE 'voided' END
        FROM held WHERE state <> 'pending'
        ON CONFLICT (key) DO NOTHING
        RETURNING step, provider_ref, amount_minor, outcome, failure_code
    ), freed AS (
        UPDATE sandbox_payments SET state = 'voided', settles_at = NULL
        WHERE provider_ref = $2 AND ({STATE_NOW}) IN ('authorized', 'action_required')
            AND EXISTS (SELECT 1 FROM call WHERE outcome = 'voided')
    ), entry AS (
        INSERT INTO sandbox_ledger (provider_ref, attempt_id, kind, amount_minor, currency, at)
        SELECT provider_ref, attempt_id, 'void', amount_minor, currency, now()
        FROM held WHERE state = 'authorized' AND EXISTS (SELECT 1 FROM call)
    )
    SELECT c.step, c.provider_ref, c.amount_minor, c.outcome, c.failure_code, h.token
    FROM call c JOIN held h USING (provider_ref)
"""  # noqa: S608 the only thing put in is our own constant

FIND: Final = f"""
    SELECT c.step, c.outcome, c.failure_code, c.amount_minor, p.provider_ref, p.token,
        p.failure_code AS payment_failure_code, ({STATE_NOW}) AS state
    FROM sandbox_calls c JOIN sandbox_payments p USING (provider_ref)
    WHERE c.key = $1
"""  # noqa: S608 the only thing put in is our own constant

CHALLENGE: Final = f"""
    SELECT provider_ref, amount_minor, currency, token, return_url, ({STATE_NOW}) AS state
    FROM sandbox_payments WHERE provider_ref = $1
"""  # noqa: S608 the only thing put in is our own constant

AUTHENTICATE: Final = """
    WITH moved AS (
        UPDATE sandbox_payments SET
            state = CASE WHEN NOT $2 THEN 'declined'
                         WHEN kind = 'charge' THEN 'captured' ELSE 'authorized' END,
            captured_minor = CASE WHEN $2 AND kind = 'charge' THEN amount_minor ELSE 0 END,
            failure_code = CASE WHEN NOT $2 THEN 'authentication_required' END
        WHERE provider_ref = $1 AND state = 'action_required'
        RETURNING provider_ref, attempt_id, kind, amount_minor, currency
    )
    INSERT INTO sandbox_ledger (provider_ref, attempt_id, kind, amount_minor, currency, at)
    SELECT provider_ref, attempt_id, kind, amount_minor, currency, now() FROM moved WHERE $2
"""

ENTRIES: Final = """
    SELECT entry, attempt_id, kind, amount_minor, currency, at FROM sandbox_ledger
    WHERE entry > $1 AND at <= clock_timestamp() ORDER BY entry LIMIT $2
"""

# step and state → what a look-up tells: the truth as it is now, not the first answer.
NOW: Final[dict[tuple[str, str], Outcome]] = {
    ("charge", "action_required"): "action_required",
    ("charge", "pending"): "pending",
    ("charge", "captured"): "succeeded",
    ("charge", "declined"): "declined",
    ("charge", "voided"): "voided",
    ("authorize", "action_required"): "action_required",
    ("authorize", "pending"): "pending",
    ("authorize", "authorized"): "authorized",
    ("authorize", "captured"): "authorized",
    ("authorize", "declined"): "declined",
    ("authorize", "voided"): "voided",
}
FIRST_STATES: Final[dict[Behaviour, dict[str, str]]] = {
    "pays": {"charge": "captured", "authorize": "authorized"},
    "declines": {"charge": "declined", "authorize": "declined"},
    "challenges": {"charge": "action_required", "authorize": "action_required"},
    "takes_time": {"charge": "pending", "authorize": "pending"},
    "answers_get_lost": {"charge": "captured", "authorize": "authorized"},
}
CHALLENGE_STATES: Final[dict[str, ChallengeState]] = {
    "action_required": "open",
    "authorized": "succeeded",
    "captured": "succeeded",
    "declined": "failed",
    "voided": "canceled",
}


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the books. Money was taken by `charge` and `capture` entries."""

    attempt_id: str
    kind: EntryKind
    amount_minor: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the 3-D Secure page shows, and where it sends the buyer back to."""

    provider_ref: str
    amount_money: Money
    return_url: str | None
    state: ChallengeState
    card_last_four: str


class Sandbox:
    """A `PaymentProvider`. `pool` is the sandbox's own database, migrated with `MIGRATIONS`."""

    name = "sandbox"

    def __init__(self, pool: Pool, *, public_url: str) -> None:
        self._pool = pool
        self._public_url = public_url.rstrip("/")

    async def tokenize(self, card: Card) -> str:
        """The token of a test card. Raises `Refusal` with the field it is about."""
        return token_of(card, today=utc_now())

    async def charge(self, request: ProviderRequest) -> ProviderAnswer:
        """Take the money, as the token's card behaves."""
        return await self._start(request, "charge")

    async def authorize(self, request: ProviderRequest) -> ProviderAnswer:
        """Hold the money, as the token's card behaves."""
        return await self._start(request, "authorize")

    async def capture(self, request: ProviderRequest) -> ProviderAnswer:
        """Take at most what is held; `declined` when it no longer is."""
        arguments = (request.key, request.provider_ref, request.amount_money.amount)
        return await self._call(request, CAPTURE, *arguments)

    async def void(self, request: ProviderRequest) -> ProviderAnswer:
        """Give up on a hold or an open challenge; `succeeded` if the money was taken before."""
        return await self._call(request, VOID, request.key, request.provider_ref)

    async def look_up(self, key: str) -> ProviderAnswer:
        """What became of the key, as it is now."""
        async with self._connection() as db:
            row = await db.fetchrow(FIND, key)
        if row is None:
            return ProviderAnswer("absent")
        outcome = NOW.get((row["step"], row["state"]), row["outcome"])
        code = row["payment_failure_code"] or row["failure_code"]
        return self._answer(row, outcome, code if outcome == "declined" else None)

    async def challenge(self, provider_ref: str) -> Challenge:
        """The 3-D Secure challenge of a payment. Raises `Refusal` (not_found)."""
        async with self._connection() as db:
            row = await db.fetchrow(CHALLENGE, provider_ref)
        card = card_of(row["token"]) if row else None
        if row is None or card is None or card.behaviour != "challenges":
            raise not_found("challenge")
        return _challenge(row, card)

    async def authenticate(self, provider_ref: str, succeeds: bool) -> Challenge:
        """The buyer's answer; only the first one counts. Raises `Refusal` (not_found)."""
        async with self._connection() as db:
            await db.execute(AUTHENTICATE, provider_ref, succeeds)
        return await self.challenge(provider_ref)

    async def entries(self) -> AsyncIterator[LedgerEntry]:
        """The whole ledger up to now, oldest first."""
        last = 0
        while True:
            async with self._connection() as db:
                rows = await db.fetch(ENTRIES, last, ENTRIES_BATCH)
            for row in rows:
                yield _entry(row)
            if len(rows) < ENTRIES_BATCH:
                return
            last = rows[-1]["entry"]

    async def _start(self, request: ProviderRequest, step: str) -> ProviderAnswer:
        card = card_of(request.payment_source_token)
        if card is None:
            return ProviderAnswer(
                "declined",
                failure_code="payment_failed",
                failure_message="The payment source token is not one of the sandbox's.",
            )
        state = FIRST_STATES[card.behaviour][step]
        return await self._call(
            request,
            START,
            request.key,
            step,
            f"sbx_{new_ulid()}",
            request.amount_money.amount,
            NOW[step, state],
            card.failure_code,
            request.attempt_id,
            request.merchant_id,
            request.mode,
            state,
            request.amount_money.currency,
            card.token,
            request.return_url,
            float(PENDING_SECONDS),
        )

    async def _call(self, request: ProviderRequest, sql: str, *arguments: Any) -> ProviderAnswer:
        """Do it unless the key was heard before, then give the answer that is kept."""
        async with self._connection() as db:
            first = await db.fetchrow(sql, *arguments)
            row = first or await db.fetchrow(FIND, request.key)
        if row is None:
            return _unheard(sql)
        card = card_of(row["token"])
        if first and card is not None and card.behaviour == "answers_get_lost":
            raise Unavailable("The sandbox lost its answer, as this card does.")
        if row["step"] != "void" and row["amount_minor"] != request.amount_money.amount:
            raise ValueError(f"{request.key} was used before for another amount")
        return self._answer(row, row["outcome"], row["failure_code"])

    def _answer(self, row: Record, outcome: Outcome, code: FailureCode | None) -> ProviderAnswer:
        card = card_of(row["token"])
        redirect = f"{self._public_url}/sandbox/3ds/{row['provider_ref']}"
        return ProviderAnswer(
            outcome=outcome,
            provider_ref=row["provider_ref"],
            failure_code=code,
            failure_message=MESSAGES[code] if code else None,
            redirect_url=redirect if outcome == "action_required" else None,
            card_brand="visa",
            card_last_four=card.last_four if card else None,
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with connection(self._pool) as db:
                yield db
        except Exception as error:
            if is_outage(error):
                raise Unavailable(f"The sandbox is silent: {reason(error)}") from error
            raise


@asynccontextmanager
async def open_sandbox(dsn: str, *, public_url: str) -> AsyncIterator[Sandbox]:
    """The sandbox over its own database; closed at the end."""
    pool = await open_pool(dsn, name="sandbox")
    try:
        yield Sandbox(pool, public_url=public_url)
    finally:
        await pool.close()


def _unheard(sql: str) -> ProviderAnswer:
    """No call was recorded: a void that has to wait, or a `provider_ref` that never was."""
    if sql is VOID:
        return ProviderAnswer("pending")
    code: FailureCode = "processing_error"
    return ProviderAnswer("declined", failure_code=code, failure_message=MESSAGES[code])


def _challenge(row: Record, card: SandboxCard) -> Challenge:
    return Challenge(
        provider_ref=row["provider_ref"],
        amount_money=money(row["amount_minor"], row["currency"]),
        return_url=row["return_url"],
        state=CHALLENGE_STATES[row["state"]],
        card_last_four=card.last_four,
    )


def _entry(row: Record) -> LedgerEntry:
    assert row["kind"] in get_args(EntryKind), "the table's CHECK says so"
    return LedgerEntry(
        row["attempt_id"], row["kind"], row["amount_minor"], row["currency"], row["at"]
    )
