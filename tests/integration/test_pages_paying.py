"""Paying over plain HTTP: what is wrong pays nothing, what is sent twice pays once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from tests.support.plain_browser import Browser, a_browser, checkout, filled, settled
from tests.support.selling import ask, order_of, payments_of
from tests.support.shops import Shop


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


# ---- paying --------------------------------------------------------------------------------------


async def test_a_good_form_pays_and_leads_to_the_receipt(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page))

    assert answer.status == 303
    await settled(browser, path)
    receipt = await browser.get(f"{path}/receipt")
    assert receipt.sees("Payment received")
    assert (await browser.get(path)).location == f"{path}/receipt"
    assert payments_of(await order_of(shop, path.removeprefix("/c/"))) == [1200]


async def test_the_same_form_sent_five_times_at_once_is_one_payment(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    answers = await asyncio.gather(*(browser.post(f"{path}/pay", filled(page)) for _ in range(5)))

    assert {answer.status for answer in answers} == {303}
    assert (await settled(browser, path))["status"] == "paid"
    order = await order_of(shop, path.removeprefix("/c/"))
    assert payments_of(order) == [1200]
    assert len(order["payment_intent_ids"]) == 1


@pytest.mark.parametrize("token", ["", "forged", "another session's"])
async def test_a_missing_or_forged_or_foreign_form_token_pays_nothing(
    shop: Shop, browser: Browser, token: str
):
    path, page = await checkout(shop, browser)
    if token == "another session's":
        _, other = await checkout(shop, browser)
        token = other.field("form_token")

    answer = await browser.post(f"{path}/pay", filled(page, form_token=token))

    assert answer.status == 403
    assert answer.sees("This form has expired")
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


@pytest.mark.parametrize("amount", ["1", "0", "", "-1200", "1200.0", "1e3", "99999999999999"])
async def test_another_total_than_the_one_that_is_due_pays_nothing(
    shop: Shop, browser: Browser, amount: str
):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page, expected_amount=amount))

    assert answer.status == 409
    assert answer.sees("The total has changed")
    assert answer.field("expected_amount") == "1200"
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


async def test_a_page_left_open_while_the_tip_changed_elsewhere_pays_nothing_and_shows_it(
    shop: Shop, browser: Browser
):
    tips = {"is_enabled": True, "tip_percentages": [10]}
    path, old = await checkout(shop, browser, tip=tips)
    async with a_browser(shop) as elsewhere:
        page = await elsewhere.get(path)
        tipped = {"form_token": page.field("form_token"), "action": "update", "tip": "10%"}
        assert (await elsewhere.post(f"{path}/pay", tipped)).status == 303

    refused = await browser.post(f"{path}/pay", filled(old))

    assert refused.status == 409
    assert refused.sees("The total has changed")
    assert refused.field("expected_amount") == "1320"
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []
    assert not (await browser.get(path)).sees("The total has changed"), "no attempt has failed"
    paid = await browser.post(f"{path}/pay", filled(refused))
    assert paid.status == 303
    await settled(browser, path)
    assert payments_of(await order_of(shop, path.removeprefix("/c/"))) == [1320]


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("card_number", "", "Enter the card number."),
        ("card_number", "4242424242424241", "The card number is not valid."),
        ("card_exp", "01/20", "The card has expired."),
        ("card_exp", "soon", "Write the expiry date as MM/YY."),
        ("card_cvc", "1", "The security code has 3 or 4 digits."),
        ("email", "nobody", "This does not look like an email address."),
    ],
)
async def test_a_field_that_is_wrong_is_named_and_nothing_of_the_card_comes_back(
    shop: Shop, browser: Browser, field: str, value: str, words: str
):
    path, page = await checkout(shop, browser)

    answer = await browser.post(f"{path}/pay", filled(page, **{field: value}))

    assert answer.status == 422
    assert answer.sees(words)
    assert f'id="f-{field}-error"' in answer.text
    assert "4242424242424242" not in answer.text
    assert answer.field("card_name") == "Ada Lovelace"
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


async def test_a_session_that_has_ended_pays_nothing(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    await ask(shop, "POST", f"/v1/checkout-sessions/{path.removeprefix('/c/')}/close", {})

    answer = await browser.post(f"{path}/pay", filled(page))

    assert (answer.status, answer.location) == (303, path)
    assert (await browser.get(path)).sees("This checkout was closed")
    assert (await browser.get(f"{path}/receipt")).location == path
    assert (await order_of(shop, path.removeprefix("/c/")))["payment_intent_ids"] == []


async def test_card_numbers_and_addresses_are_in_no_log(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)

    await browser.post(f"{path}/pay", filled(page, card_number="4000000000000002"))
    await browser.post(f"{path}/pay", filled(page, card_number="5555555555554444"))
    await settled(browser, path)

    logs = shop.logs()
    for typed in ("4000000000000002", "5555555555554444", "ada@example.com", "Ada Lovelace"):
        assert typed not in logs


# ---- hearing of it -------------------------------------------------------------------------------


async def test_a_stream_tells_when_it_is_paid_and_ends(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    pressed = asyncio.create_task(
        browser.post(f"{path}/pay", filled(page, card_number="4000000000000077"))
    )
    while (await ask(shop, "GET", f"/v1/checkout-sessions/{path.removeprefix('/c/')}"))[
        "is_payment_in_progress"
    ] is False:
        await asyncio.sleep(0.05)

    stream = await browser.get(f"{path}/status", Accept="text/event-stream")

    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["X-Accel-Buffering"] == "no"
    said = [json.loads(line) for line in re.findall(r"^data: (.*)$", stream.text, re.MULTILINE)]
    assert said[0] == {"status": "processing", "next": ""}
    assert said[-1] == {"status": "paid", "next": f"{path}/receipt"}
    await pressed


async def test_the_bank_s_page_takes_one_answer_from_its_own_form(shop: Shop, browser: Browser):
    path, page = await checkout(shop, browser)
    pressed = await browser.post(f"{path}/pay", filled(page, card_number="4000002500003155"))
    await settled(browser, path)
    bank = pressed.location if "3ds" in pressed.location else (await browser.get(path)).location
    challenge = await browser.get(bank)
    form = {"form_token": challenge.field("form_token")}

    assert (await browser.post(bank, {"outcome": "complete"})).status == 403
    assert (await browser.post(bank, form | {"outcome": "maybe"})).status == 400
    answer = await browser.post(bank, form | {"outcome": "complete"})
    late = await browser.post(bank, form | {"outcome": "fail"})

    assert answer.location == late.location == f"{path}/return"
    await browser.get(f"{path}/return")
    assert (await settled(browser, path))["status"] == "paid"
    assert payments_of(await order_of(shop, path.removeprefix("/c/"))) == [1200]
