"""The exam of the payment port: every adapter of the registry takes it, the sandbox included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from shared.errors import Refusal, Unavailable
from shared.ids import new_ulid
from shared.money import money
from shared.payments.port import Card, PaymentProvider, ProviderAnswer, ProviderRequest
from shared.payments.registry import ADAPTERS, Providers, ProviderSettings
from shared.payments.sandbox import MIGRATIONS, Sandbox
from tests.conftest import FreshDatabase


@pytest.fixture(params=ADAPTERS)
async def provider(
    request: pytest.FixtureRequest, fresh_database: FreshDatabase
) -> AsyncIterator[PaymentProvider]:
    settings = ProviderSettings("http://localhost:8080", await fresh_database(MIGRATIONS))
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(ADAPTERS[request.param](settings))


@pytest.fixture
async def sandbox(fresh_database: FreshDatabase) -> AsyncIterator[Sandbox]:
    settings = ProviderSettings("http://localhost:8080", await fresh_database(MIGRATIONS))
    async with ADAPTERS["sandbox"](settings) as opened:
        yield Providers({"sandbox": opened}).sandbox


def a_request(step: str = "charge", **changes: object) -> ProviderRequest:
    attempt_id = str(changes.get("attempt_id", f"pi_{new_ulid()}"))
    made = ProviderRequest(
        key=f"{attempt_id}:{step}",
        attempt_id=attempt_id,
        amount_money=money(2500, "USD"),
        payment_source_token="tok_visa",
        return_url="http://localhost:8080/c/cs_1/return",
        merchant_id="mer_1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name real fields


def after(first: ProviderRequest, step: str, answer: ProviderAnswer) -> ProviderRequest:
    """The next step of the same attempt."""
    key = f"{first.attempt_id}:{step}"
    return replace(first, key=key, provider_ref=answer.provider_ref, payment_source_token=None)


async def books_of(sandbox: Sandbox) -> list[tuple[str, int]]:
    return [(entry.kind, entry.amount_minor) async for entry in sandbox.entries()]


async def test_one_attempt_takes_money_once(provider):
    request = a_request()

    first = await provider.charge(request)
    again = await provider.charge(request)

    assert first.outcome == "succeeded"
    assert (first.card_brand, first.card_last_four) == ("visa", "4242")
    assert again == first


async def test_twenty_concurrent_calls_with_one_key_are_one_ledger_entry(sandbox):
    request = a_request()

    answers = await asyncio.gather(*(sandbox.charge(request) for _ in range(20)))

    assert set(answers) == {answers[0]}
    assert await books_of(sandbox) == [("charge", 2500)]


async def test_a_key_used_for_another_amount_is_a_bug_and_takes_nothing(sandbox):
    request = a_request()
    await sandbox.charge(request)

    with pytest.raises(ValueError, match="another amount"):
        await sandbox.charge(replace(request, amount_money=money(9900, "USD")))

    assert await books_of(sandbox) == [("charge", 2500)]


async def test_a_key_never_heard_of_is_absent(provider):
    assert (await provider.look_up("pi_none:charge")).outcome == "absent"


@pytest.mark.parametrize(
    "token, code",
    [
        ("tok_declined", "card_declined"),
        ("tok_card_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired_card", "expired_card"),
        ("tok_incorrect_cvc", "incorrect_cvc"),
        ("tok_processing_error", "processing_error"),
        ("tok_from_elsewhere", "payment_failed"),
    ],
)
async def test_a_declined_card_says_why_and_takes_nothing(sandbox, token, code):
    for step in (sandbox.charge, sandbox.authorize):
        answer = await step(a_request(step.__name__, payment_source_token=token))

        assert (answer.outcome, answer.failure_code) == ("declined", code)
        assert answer.failure_message
    assert await books_of(sandbox) == []


async def test_a_hold_takes_nothing_until_it_is_captured(sandbox):
    request = a_request("authorize")

    held = await sandbox.authorize(request)
    books_before = await books_of(sandbox)
    captured = await sandbox.capture(after(request, "capture", held))
    again = await sandbox.capture(after(request, "capture", held))

    assert (held.outcome, books_before) == ("authorized", [("authorize", 2500)])
    assert (captured.outcome, again) == ("succeeded", captured)
    assert await books_of(sandbox) == [("authorize", 2500), ("capture", 2500)]


async def test_no_more_is_captured_than_was_held(provider):
    request = a_request("authorize")
    held = await provider.authorize(request)

    too_much = replace(after(request, "capture", held), amount_money=money(2501, "USD"))

    assert (await provider.capture(too_much)).outcome == "declined"


async def test_what_was_voided_cannot_be_captured(provider):
    request = a_request("authorize")
    held = await provider.authorize(request)

    voided = await provider.void(after(request, "void", held))
    captured = await provider.capture(after(request, "capture", held))

    assert (voided.outcome, captured.outcome) == ("voided", "declined")
    assert (await provider.look_up(request.key)).outcome == "voided"


async def test_a_void_after_the_capture_tells_that_the_money_was_taken(provider):
    request = a_request("authorize")
    held = await provider.authorize(request)
    await provider.capture(after(request, "capture", held))

    assert (await provider.void(after(request, "void", held))).outcome == "succeeded"


async def test_of_many_captures_and_voids_at_once_one_kind_wins(sandbox):
    request = a_request("authorize")
    held = await sandbox.authorize(request)

    answers = await asyncio.gather(
        *(sandbox.capture(after(request, "capture", held)) for _ in range(5)),
        *(sandbox.void(after(request, "void", held)) for _ in range(5)),
    )

    captured, voided = {one.outcome for one in answers[:5]}, {one.outcome for one in answers[5:]}
    assert (captured, voided) in [({"succeeded"}, {"succeeded"}), ({"declined"}, {"voided"})]
    assert len(await books_of(sandbox)) == 2


async def test_two_keys_cannot_capture_one_hold_twice(sandbox):
    request = a_request("authorize")
    held = await sandbox.authorize(request)
    capture = after(request, "capture", held)

    answers = await asyncio.gather(
        *(sandbox.capture(replace(capture, key=f"{capture.key}:{n}")) for n in range(5))
    )

    assert sorted(one.outcome for one in answers) == ["declined"] * 4 + ["succeeded"]


async def test_a_capture_of_nothing_is_declined(sandbox):
    answer = await sandbox.capture(a_request("capture", provider_ref="sbx_none"))

    assert (answer.outcome, answer.failure_code) == ("declined", "processing_error")


@pytest.mark.parametrize("step", ["charge", "authorize"])
async def test_a_lost_answer_is_told_by_the_look_up_and_nothing_happens_twice(sandbox, step):
    request = a_request(step, payment_source_token="tok_unknown")

    with pytest.raises(Unavailable):
        await getattr(sandbox, step)(request)
    found = await sandbox.look_up(request.key)
    again = await getattr(sandbox, step)(request)

    assert found.outcome == {"charge": "succeeded", "authorize": "authorized"}[step]
    assert again == found
    assert await books_of(sandbox) == [(step, 2500)]


async def test_the_answer_to_a_capture_gets_lost_as_well(sandbox):
    request = a_request("authorize", payment_source_token="tok_unknown")
    with pytest.raises(Unavailable):
        await sandbox.authorize(request)
    capture = after(request, "capture", await sandbox.look_up(request.key))

    with pytest.raises(Unavailable):
        await sandbox.capture(capture)

    assert (await sandbox.look_up(capture.key)).outcome == "succeeded"


@pytest.mark.parametrize("step", ["charge", "authorize"])
async def test_a_challenge_that_is_passed_succeeds_once(sandbox, step):
    request = a_request(step, payment_source_token="tok_3ds")
    asked = await getattr(sandbox, step)(request)
    assert asked.provider_ref is not None
    before = await sandbox.challenge(asked.provider_ref)

    await sandbox.authenticate(asked.provider_ref, True)
    after_all = await sandbox.authenticate(asked.provider_ref, False)

    assert asked.redirect_url == f"http://localhost:8080/sandbox/3ds/{asked.provider_ref}"
    assert (before.amount_money, before.return_url) == (request.amount_money, request.return_url)
    assert (before.state, after_all.state) == ("open", "succeeded")
    found = await sandbox.look_up(request.key)
    assert found.outcome == {"charge": "succeeded", "authorize": "authorized"}[step]
    assert await books_of(sandbox) == [(step, 2500)]


async def test_a_challenge_that_fails_is_a_decline(sandbox):
    request = a_request(payment_source_token="tok_3ds")
    asked = await sandbox.charge(request)

    failed = await sandbox.authenticate(asked.provider_ref or "", False)

    found = await sandbox.look_up(request.key)
    assert failed.state == "failed"
    assert (found.outcome, found.failure_code) == ("declined", "authentication_required")
    assert await sandbox.charge(request) == asked  # the same call, the same answer, for ever
    assert await books_of(sandbox) == []


async def test_a_challenge_that_was_given_up_cannot_be_passed_later(sandbox):
    request = a_request(payment_source_token="tok_3ds")
    asked = await sandbox.charge(request)

    given_up = await sandbox.void(after(request, "void", asked))
    too_late = await sandbox.authenticate(asked.provider_ref or "", True)

    assert (given_up.outcome, too_late.state) == ("voided", "canceled")
    assert await books_of(sandbox) == []


async def test_a_payment_without_a_challenge_has_no_page(sandbox):
    paid = await sandbox.charge(a_request())

    for provider_ref in (paid.provider_ref, "sbx_none"):
        with pytest.raises(Refusal, match="No such challenge"):
            await sandbox.challenge(provider_ref or "")


@pytest.mark.parametrize("step", ["charge", "authorize"])
async def test_a_pending_payment_succeeds_by_itself_when_its_time_has_come(sandbox, step):
    request = a_request(step, payment_source_token="tok_pending")

    answer = await getattr(sandbox, step)(request)
    before = (await sandbox.look_up(request.key)).outcome, await books_of(sandbox)
    await let_time_pass(sandbox, request)
    found = await sandbox.look_up(request.key)

    assert answer.outcome == "pending"
    assert before == ("pending", [])
    assert found.outcome == {"charge": "succeeded", "authorize": "authorized"}[step]
    assert [kind for kind, _ in await books_of(sandbox)] == [step]


async def test_a_pending_payment_cannot_be_voided_and_is_told_of_later(sandbox):
    request = a_request(payment_source_token="tok_pending")
    pending = await sandbox.charge(request)
    void = after(request, "void", pending)

    now = await sandbox.void(void)
    await let_time_pass(sandbox, request)
    later = await sandbox.void(void)

    assert (now.outcome, later.outcome) == ("pending", "succeeded")


async def let_time_pass(sandbox: Sandbox, request: ProviderRequest) -> None:
    """Five seconds in no time: the payment and its entry are moved back by ten."""
    async with sandbox._pool.acquire() as db, db.transaction():
        await db.execute("SET LOCAL session_replication_role = replica")  # past the trigger
        await db.execute("UPDATE sandbox_payments SET settles_at = now() - interval '5 s'")
        await db.execute("UPDATE sandbox_ledger SET at = now() - interval '5 s'")


@pytest.mark.parametrize(
    "statement", ["UPDATE sandbox_ledger SET amount_minor = 1", "DELETE FROM sandbox_ledger"]
)
async def test_the_ledger_can_only_be_added_to(sandbox, statement):
    await sandbox.charge(a_request())

    async with sandbox._pool.acquire() as db:
        with pytest.raises(Exception, match="append-only"):
            await db.execute(statement)

    assert await books_of(sandbox) == [("charge", 2500)]


async def test_a_silent_database_is_an_outage_and_not_a_decline(sandbox):
    await sandbox._pool.close()

    with pytest.raises(Unavailable):
        await sandbox.charge(a_request())


async def test_every_card_of_the_table_becomes_its_token(provider):
    token = await provider.tokenize(Card("4242 4242 4242 4242", "12/60", "123"))

    assert (await provider.charge(a_request(payment_source_token=token))).outcome == "succeeded"
