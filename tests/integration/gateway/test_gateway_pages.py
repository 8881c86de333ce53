"""Pages when something behind them is slow, away, or elsewhere: services answer by script here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.gateway.pages import checkout, guard, pay
from services.gateway.rates import RateLimit
from shared.contracts.links import ResolveLink, ShowLink
from shared.contracts.orders import ReviseOrder, ShowOrder
from shared.contracts.payments import ResumePayment
from shared.contracts.sessions import PaySession, SessionCompleted, ShowSession
from shared.db.pool import Pool
from shared.errors import DeadlineExceeded, Refusal, Unavailable, not_found
from tests.builders_gateway import SECRET_KEY, Shopfront, an_intent
from tests.builders_pages import (
    NOON,
    SESSION,
    ULID,
    a_session,
    a_shown_link,
    an_attempt,
    an_order,
    usd,
)
from tests.support.scripted_pages import PAID, PATH, a_pages_shop, get, press, stands

BANK = "https://bank.example/3ds/7?a=b"


@pytest.fixture
async def shop(pool: Pool) -> AsyncIterator[Shopfront]:
    async with a_pages_shop(pool) as shop:
        yield shop


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that these tests wait out are short."""
    monkeypatch.setattr(pay, "OUTCOME_SECONDS", 0.05)
    monkeypatch.setattr(checkout, "RETURN_SECONDS", 0.05)


# ---- what is away --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Unavailable("away"), DeadlineExceeded("silent")])
async def test_a_service_that_is_away_is_a_page_that_says_when_to_come_again(
    shop: Shopfront, error: Exception
):
    shop.services.answers = {ShowSession: error, ShowOrder: error, ShowLink: error}

    for path in (PATH, "/l/tea"):
        answer = await get(shop, path)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert "Back in a moment" in await answer.text()


async def test_a_bug_is_a_page_without_a_word_of_it(shop: Shopfront):
    shop.services.answers = {ShowLink: RuntimeError("SELECT secret FROM links")}

    answer = await get(shop, "/l/tea")

    text = await answer.text()
    assert answer.status == 500
    assert "SELECT" not in text
    assert answer.headers["X-Request-Id"] in text


async def test_too_many_posts_of_one_address_are_a_page_that_says_to_wait(shop: Shopfront):
    shop.gateway.buyer_limit = RateLimit(0.1, 1)
    stands(shop, a_session(status="closed", terminal_reason="api"))

    first, second = await press(shop), await press(shop)

    assert first.status == 303
    assert second.status == 429
    assert int(second.headers["Retry-After"]) > 1


async def test_one_address_may_try_only_so_many_names_of_links(shop: Shopfront):
    shop.gateway.buyer_limit = RateLimit(0.1, 3)
    shop.services.answers[ShowLink] = lambda asked: (
        a_shown_link() if asked.slug == "tea" else not_found("payment link")
    )

    tried = [(await get(shop, f"/l/tea-{number}")).status for number in range(5)]
    known = [(await get(shop, "/l/tea")).status for _ in range(5)]

    assert tried == [404, 404, 404, 429, 429]
    assert known == [200] * 5


async def test_a_session_without_its_order_yet_is_prepared(shop: Shopfront):
    stands(shop, order=not_found("order"))

    answer = await get(shop)

    assert answer.status == 202
    assert "Preparing your checkout" in await answer.text()
    assert (await press(shop, expected_amount="1")).headers["Location"] == PATH


async def test_an_order_of_another_id_is_asked_for_by_the_session_s_word(shop: Shopfront):
    elsewhere = f"ord_{ULID[:-1]}Z"
    stands(shop, a_session(source="api", order_id=elsewhere))
    shop.services.answers[ShowOrder] = lambda asked: (
        an_order(due=4200) if asked.order_id == elsewhere else not_found("order")
    )

    answer = await get(shop)

    assert "$42.00" in await answer.text()


# ---- the bank ------------------------------------------------------------------------------------


async def test_a_bank_elsewhere_is_reached_from_our_own_page(shop: Shopfront):
    """By a refresh: form-action would stop a redirect after the form's post."""
    stands(shop, attempt=an_attempt(status="requires_action", redirect_url=BANK))

    answer = await get(shop)

    assert answer.status == 200
    assert answer.headers["Refresh"] == f"0; url={BANK}"
    assert "Confirming your payment" in await answer.text()


async def test_a_buyer_back_from_the_bank_is_not_sent_there_again(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    stands(shop, attempt=an_attempt(status="requires_action", redirect_url=BANK))
    shop.services.answers[ResumePayment] = an_intent()

    answer = await get(shop, f"{PATH}/return")
    text = await answer.text()
    (listens_at,) = re.findall(r'data-status-url="([^"]+)"', text)
    news = await (await get(shop, listens_at, Accept="application/json")).json()

    assert answer.status == 200
    assert "Refresh" not in answer.headers
    assert news == {"status": "processing", "next": ""}
    assert shop.services.last(ResumePayment).context.merchant_id


async def test_only_a_return_by_get_asks_the_bank(shop: Shopfront):
    stands(shop, attempt=an_attempt(status="requires_action", redirect_url=BANK))

    await shop.client.head(f"{PATH}/return")

    asked = [asked.command.topic for asked in shop.services.asked]
    assert sorted(asked) == ["orders.show", "sessions.show"]


# ---- pressing pay --------------------------------------------------------------------------------


def accepts(shop: Shopfront) -> None:
    accepted = {
        "attempt_id": f"pi_{ULID}",
        "checkout_session_id": SESSION,
        "order_id": f"ord_{ULID}",
    }
    shop.services.answers[PaySession] = accepted


async def test_one_form_is_one_message_and_the_next_form_another(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    stands(shop)
    accepts(shop)
    token = guard.form_token(SECRET_KEY, SESSION)

    for form_token in (token, token, guard.form_token(SECRET_KEY, SESSION)):
        await press(shop, form_token=form_token)

    pays = [asked for asked in shop.services.asked if isinstance(asked.command, PaySession)]
    one, again, another = [asked.message_id for asked in pays]
    assert one == again != another
    assert pays[0].command.payment_source_token == "tok_visa"
    assert pays[0].command.return_url == f"{shop.gateway.public_url}{PATH}/return"
    assert "4242" not in repr(pays)


async def test_paying_what_the_session_says_asks_for_no_order(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    stands(shop, order=AssertionError("nobody has to ask for the order"))
    accepts(shop)

    assert (await press(shop)).status == 303


async def test_a_total_that_the_session_has_not_heard_of_yet_is_the_order_s(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    stands(shop, order=an_order(due=1500))
    accepts(shop)

    answers = [await press(shop, expected_amount=amount) for amount in ("1500", "1600")]

    assert [answer.status for answer in answers] == [303, 409]
    assert shop.services.last(PaySession).command.expected_amount_money == usd(1500)


async def test_news_of_the_payment_leads_to_the_receipt_without_another_look(shop: Shopfront):
    stands(shop)
    accepts(shop)
    pressed = asyncio.create_task(press(shop))
    async with asyncio.timeout(5):
        while not shop.services.has_asked(PaySession):
            await asyncio.sleep(0.001)
        shop.services.answers[ShowSession] = AssertionError("nothing has to be looked up")
        while not pressed.done():
            shop.gateway.hub.tell(SESSION, topic=SessionCompleted.topic)
            await asyncio.sleep(0.001)

    assert (await pressed).headers["Location"] == f"{PATH}/receipt"


async def test_an_outcome_that_takes_long_is_waited_for_on_the_page(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    stands(shop)
    accepts(shop)
    shown = iter(range(100))
    shop.services.answers[ShowSession] = lambda _: {
        "checkout_session": a_session(),
        "attempt": an_attempt() if next(shown) else None,
    }

    answer = await press(shop)

    assert (answer.status, answer.headers["Location"]) == (303, PATH)
    assert "Confirming your payment" in await (await get(shop)).text()


async def test_a_silent_service_after_pay_is_a_page_that_may_be_reloaded(shop: Shopfront):
    stands(shop)
    shop.services.answers[PaySession] = DeadlineExceeded("silent")

    answer = await press(shop)

    assert answer.status == 503
    assert "whether the payment went through" in await answer.text()
    assert (await get(shop, f"{PATH}/pay")).headers["Location"] == PATH


@pytest.mark.parametrize(
    "refusal, status, words",
    [
        (Refusal("rate_limited", "RATE_LIMIT_EXCEEDED", "No."), 429, "it takes no more"),
        (Refusal("unprocessable", "CHECKOUT_VALIDATION_REJECTED", "Too far."), 422, "Too far."),
        (Refusal("conflict", "ORDER_CONFLICT", "x"), 409, "The total has changed"),
        (Refusal("invalid", "FIELD_REQUIRED", "x", param="email"), 422, "Enter your email"),
    ],
)
async def test_a_no_of_sessions_is_the_page_again_with_the_reason(
    shop: Shopfront, refusal: Refusal, status: int, words: str
):
    stands(shop)
    shop.services.answers[PaySession] = refusal

    answer = await press(shop)

    assert answer.status == status
    assert words in await answer.text()


@pytest.mark.parametrize("code", ["CHECKOUT_SESSION_NOT_OPEN", "CHECKOUT_PAYMENT_RESOLVING"])
async def test_a_session_that_moved_meanwhile_shows_its_own_page(shop: Shopfront, code: str):
    stands(shop)
    shop.services.answers[PaySession] = Refusal("conflict", code, "x")

    answer = await press(shop)

    assert (answer.status, answer.headers["Location"]) == (303, PATH)


async def test_nobody_takes_cards_in_live_mode_yet(shop: Shopfront):
    stands(shop, a_session(mode_environment="live"))

    answer = await press(shop)

    assert answer.status == 422
    assert "Cards cannot be taken here yet" in await answer.text()


async def test_a_tip_asked_for_twice_at_once_is_the_later_page(shop: Shopfront):
    tips = {"is_enabled": True, "tip_percentages": [10]}
    stands(shop, a_session(tip=tips))
    shop.services.answers[ReviseOrder] = Refusal("conflict", "ORDER_CONFLICT", "x")

    answer = await press(shop, action="update", tip="10%")

    assert answer.headers["Location"] == PATH
    assert shop.services.last(ReviseOrder).command.tip.percent == 10


# ---- after it ------------------------------------------------------------------------------------


async def test_who_paid_is_led_on_to_the_merchant_once(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch
):
    quick(monkeypatch)
    after = {"success_redirect_url": "https://shop.example/done?s={CHECKOUT_SESSION_ID}"}
    stands(shop, a_session(redirects=after))
    accepts(shop)
    await press(shop, email="ada@example.com")
    stands(shop, a_session(redirects=after, **PAID), an_attempt(status="succeeded"))

    first, second = await get(shop, f"{PATH}/receipt"), await get(shop, f"{PATH}/receipt")

    assert first.headers["Refresh"] == f"3; url=https://shop.example/done?s={SESSION}"
    assert "Refresh" not in second.headers
    assert "ada@example.com" in await second.text()


async def test_an_expired_page_leads_to_a_link_that_still_sells_and_to_no_other(shop: Shopfront):
    stands(shop, a_session(expires_at=NOON - timedelta(seconds=1)))
    pages = []
    for link in (a_shown_link(), a_shown_link(unavailable_reason="EVENT_ENDED"), Unavailable("x")):
        shop.services.answers[ShowLink] = link
        pages.append(await (await get(shop)).text())

    assert ["Start again" in page for page in pages] == [True, False, False]
    assert all("This checkout has expired" in page for page in pages)


async def test_a_place_that_went_to_somebody_else_is_said_so(shop: Shopfront):
    gone = an_attempt(status="failed", failure_code="EVENT_SOLD_OUT", failure_message="x")
    stands(shop, attempt=gone)

    assert "Sold out" in await (await get(shop)).text()


async def test_a_link_resolved_by_a_form_takes_the_version_the_page_showed(shop: Shopfront):
    shop.services.answers[ShowLink] = a_shown_link(version=3)
    page = await (await get(shop, "/l/tea?utm_source=letter")).text()
    (context,) = re.findall(r'name="resolution_context" value="([^"]+)"', page)
    shop.services.answers |= {
        ShowLink: a_shown_link(version=4),
        ResolveLink: Refusal("conflict", "PAYMENT_LINK_CHANGED_RETRY", "x"),
    }

    form = {"resolution_context": context, "quantity.tea": "2"}
    answer = await shop.client.post("/l/tea", data=form, allow_redirects=False)

    assert shop.services.last(ResolveLink).command.context_version == 3
    assert answer.status == 409
    assert "This offer has changed" in await answer.text()
