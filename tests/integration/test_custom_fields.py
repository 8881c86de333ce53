"""Questions on a link, from the merchant's words to the answers on session, order and events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway.pages import remembered
from shared.db.pool import open_pool
from tests.support.buying import pay_order
from tests.support.plain_browser import Answer, Browser, a_browser, filled, settled
from tests.support.rigs import eventually
from tests.support.selling import a_link, ask, order_of, session
from tests.support.shops import Shop

QUESTIONS: list[dict[str, Any]] = [
    {"key": "note", "label": "Gift note", "type": "textarea", "max_length": 12, "sort_order": 3},
    {"key": "size", "label": "Size", "type": "dropdown", "options": ["S", "M"],
     "is_required": True, "sort_order": 1},
    {"key": "name", "label": "Engraving", "type": "text", "placeholder": "Ada", "sort_order": 2},
    {"key": "gift", "label": "Wrap it", "type": "checkbox", "is_required": True, "sort_order": 4},
]  # fmt: skip
GOOD = {"field.note": "Für dich 🍵\r\nA", "field.size": "M", "field.name": "", "field.gift": "true"}
ANSWERS = {"size": "M", "note": "Für dich 🍵\nA", "gift": "true"}


@pytest.fixture
async def browser(shop: Shop) -> AsyncIterator[Browser]:
    async with a_browser(shop) as browser:
        yield browser


async def pressed(browser: Browser, page: Answer, url: str, **form: str) -> Answer:
    context = page.field("resolution_context")
    return await browser.post(url, {"resolution_context": context, **form})


async def session_of(browser: Browser, answer: Answer) -> str:
    """The opened session, once its page is there."""
    assert answer.status == 303, answer.text
    assert (await browser.get(answer.location)).status == 200
    return answer.location.removeprefix("/c/")


async def said_of(shop: Shop, *subjects: str) -> dict[str, dict[str, Any]]:
    """The latest fact of each type about these, out of the gateway's event log."""
    pool = await open_pool(shop.database_url("gateway"), name="test", size=1)
    rows = await pool.fetch(
        "SELECT type, data::text FROM events WHERE subject = ANY($1) ORDER BY sequence",
        list(subjects),
    )
    await pool.close()
    return {row["type"]: json.loads(row["data"]) for row in rows}


async def replace_fields(shop: Shop, link: dict[str, Any], *fields: dict[str, Any]) -> Any:
    path = f"/v1/payment-links/{link['payment_link_id']}/custom-fields/replace"
    return await ask(shop, "POST", path, {"custom_fields": list(fields)})


async def test_answers_reach_the_session_the_order_and_every_event(shop: Shop, browser: Browser):
    link = await a_link(shop, custom_fields=QUESTIONS)
    page = await browser.get(link["url"])

    opened = await session_of(browser, await pressed(browser, page, link["url"], **GOOD))
    order = await order_of(shop, opened)
    await pay_order(shop, order["order_id"], "tok_visa")

    assert (await session(shop, opened))["custom_field_values"] == ANSWERS
    assert order["custom_field_values"] == ANSWERS

    async def all_said() -> dict[str, dict[str, Any]] | None:
        said = await said_of(shop, opened, order["order_id"])
        wanted = {"link.resolved", "checkout_session.created", "order.created", "order.paid"}
        return said if wanted <= said.keys() else None

    said = await eventually(all_said)
    assert {kind: one["custom_field_values"] for kind, one in said.items()} == dict.fromkeys(
        said, ANSWERS
    )


async def test_answers_are_shown_until_the_receipt_to_the_browser_that_gave_them(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, custom_fields=QUESTIONS)
    page = await browser.get(link["url"])
    opened = await session_of(browser, await pressed(browser, page, link["url"], **GOOD))
    path = f"/c/{opened}"

    mine = await browser.get(path)
    async with a_browser(shop) as stranger:
        theirs = await stranger.get(path)
        forged = filled(theirs, card_number="", **{remembered.ANSWERED: "1"})
        refused = await stranger.post(f"{path}/pay", forged)
    again = await browser.post(f"{path}/pay", filled(mine, card_number=""))
    await browser.post(f"{path}/pay", filled(again))
    await settled(browser, path)
    receipt = await browser.get(f"{path}/receipt")
    reloaded = await browser.get(f"{path}/receipt")

    for shown in (mine, again, receipt, reloaded):
        assert shown.sees("Size M Gift note Für dich 🍵 A Wrap it Yes")
        assert not shown.sees("Engraving"), "nothing was answered"
    for hidden in (theirs, refused):
        assert not hidden.sees("Gift note")
    assert refused.status == again.status == 422


async def test_questions_stand_on_the_page_in_their_order(shop: Shop, browser: Browser):
    link = await a_link(shop, custom_fields=QUESTIONS)

    page = await browser.get(link["url"])

    places = [page.text.index(f'name="field.{key}"') for key in ("size", "name", "note", "gift")]
    assert places == sorted(places)
    assert page.sees("At most 12 characters")
    assert 'placeholder="Ada"' in page.text


async def test_everything_wrong_is_named_at_once_and_what_was_typed_stays(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, custom_fields=QUESTIONS)
    page = await browser.get(link["url"])
    wrong = {"field.note": "🍵" * 13, "field.size": "XXL", "field.name": "Ada & Bob"}

    answer = await pressed(browser, page, link["url"], **wrong)

    assert answer.status == 422
    for key in ("note", "size", "gift"):
        assert f'id="f-field-{key}-error"' in answer.text
        assert f'href="#f-field-{key}"' in answer.text
    assert 'id="f-field-name-error"' not in answer.text
    assert "🍵" * 13 in answer.text
    assert answer.field("field.name") == "Ada & Bob"
    assert "autofocus data-error-summary" in answer.text
    assert (await pressed(browser, answer, link["url"], **GOOD)).status == 303


async def test_twenty_long_answers_in_any_script_fit_through_the_form(shop: Shop, browser: Browser):
    fields = [
        {"key": f"q{number}", "label": f"Q{number}", "type": "textarea", "max_length": 4096}
        for number in range(20)
    ]
    link = await a_link(shop, custom_fields=fields)
    page = await browser.get(link["url"])
    answers = {f"field.q{number}": "y" * 4096 for number in range(20)}
    answers["field.q7"] = "🍵" * 4096

    opened = await session_of(browser, await pressed(browser, page, link["url"], **answers))

    values = (await session(shop, opened))["custom_field_values"]
    assert values == {name.removeprefix("field."): value for name, value in answers.items()}


async def test_what_a_session_froze_stays_whatever_becomes_of_the_link(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, custom_fields=QUESTIONS)
    page = await browser.get(link["url"])
    opened = await session_of(browser, await pressed(browser, page, link["url"], **GOOD))
    frozen = await session(shop, opened)

    await replace_fields(shop, link, {"key": "size", "label": "Size", "type": "dropdown",
                                      "options": ["XL"], "is_required": True})  # fmt: skip

    again = await session_of(browser, await pressed(browser, page, link["url"], **GOOD))
    assert again == opened, "the same page and choices are the same session"
    now = await session(shop, opened)
    assert now["custom_fields"] == frozen["custom_fields"]
    assert now["custom_field_values"] == ANSWERS
    paid = await pay_order(shop, now["order_id"], "tok_visa")
    assert (paid["status"], paid["custom_field_values"]) == ("paid", ANSWERS)


async def test_who_answers_on_an_older_page_is_asked_again_and_keeps_what_still_fits(
    shop: Shop, browser: Browser
):
    link = await a_link(shop, custom_fields=QUESTIONS)
    page = await browser.get(link["url"])
    await replace_fields(shop, link, *QUESTIONS[:1], {"key": "size", "label": "Size",
                         "type": "dropdown", "options": ["L", "XL"]})  # fmt: skip

    answer = await pressed(browser, page, link["url"], **GOOD)

    assert answer.status in (409, 422)  # changed; or, looked at a moment later, "M" is no option
    assert "Für dich 🍵\nA</textarea>" in answer.text
    assert '<option value="XL">' in answer.text
    assert (await pressed(browser, answer, link["url"], **{"field.size": "XL"})).status == 303


@pytest.mark.parametrize(
    "changes, param",
    [
        ({"custom_fields": [QUESTIONS[0] | {"key": f"k{n}"} for n in range(21)]}, "custom_fields"),
        ({"custom_fields": [QUESTIONS[0], QUESTIONS[0]]}, "custom_fields[1].key"),
        ({"custom_fields": [QUESTIONS[1] | {"options": []}]}, "custom_fields[0].options"),
        (
            {"custom_fields": [QUESTIONS[1] | {"options": [str(n) for n in range(201)]}]},
            "custom_fields[0].options",
        ),
        ({"custom_fields": [QUESTIONS[0] | {"max_length": 4097}]}, "custom_fields[0].max_length"),
        ({"custom_fields": [QUESTIONS[0] | {"type": "number"}]}, "custom_fields[0].type"),
        ({"custom_fields": [QUESTIONS[0] | {"key": "a\nb"}]}, "custom_fields[0].key"),
        ({"custom_fields": [QUESTIONS[0] | {"labels": "x"}]}, "custom_fields[0].labels"),
    ],
)
async def test_a_wrong_question_is_one_clear_400(
    local_shop: Shop, changes: dict[str, Any], param: str
):
    async with local_shop.api() as http:
        for path in ("", f"/{local_shop.demo['links']['standard']['payment_link_id']}"):
            body = {"name": "Tea"} | changes if not path else changes
            where = f"/v1/payment-links{path}" + ("/custom-fields/replace" if path else "")
            async with http.post(where, json=body) as answer:
                error = (await answer.json())["error"]

            assert (answer.status, error["param"]) == (400, param), error
