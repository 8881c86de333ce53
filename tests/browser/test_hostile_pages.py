"""Hostile texts in a real browser: shown, never run, and never able to turn an amount around."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.buyer import CHECKOUT, Buyer, forgive
from tests.browser.conftest import NewBuyer
from tests.support.selling import a_link, ask, session
from tests.support.shops import Shop

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'>"
TURNED = "\u202eTea"  # an override that nobody closes
UNCLOSED = "\u2069\u2067\u202bTea"  # an isolate closed too early, then some never closed
ARABIC = "شاي أخضر"
USD = {"amount": 1234, "currency": "USD"}

# Where each character of an amount stands, from the text's own beginning: an order reversed by
# somebody's override would be a falling one.
READING_ORDER = """(words) => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(words);
    if (at < 0 || !node.parentElement.checkVisibility()) continue;
    const lefts = [...words].map((_, index) => {
      const range = document.createRange();
      range.setStart(node, at + index);
      range.setEnd(node, at + index + 1);
      return range.getBoundingClientRect().left;
    });
    found.push(lefts.every((left, index) => index === 0 || left >= lefts[index - 1]));
  }
  return found;
}"""


def hostile(text: str) -> dict[str, Any]:
    """A link with the text wherever a buyer will see it."""
    return {
        "name": text,
        "description": text,
        "line_items": [
            {"key": "tea", "name": text, "description": text, "amount_money": USD, "quantity": 2}
        ],
        "custom_fields": [
            {"key": text[:64], "label": text, "type": "text", "placeholder": text},
            {"key": "pick", "label": text, "type": "dropdown", "options": [text, "b"]},
            {"key": "tick", "label": text, "type": "checkbox"},
        ],
        "theme": {"title": text},
        "payments": {"payment_note": text},
        "custom_text": {"checkout_button_text": text[:60], "order_summary_message": text},
        "legal": {"requires_terms_of_service": True},
    }


async def reads_well(buyer: Buyer, *amounts: str) -> None:
    for amount in amounts:
        order = await buyer.page.evaluate(READING_ORDER, amount)
        assert order, f"{amount} is not on the page"
        assert all(order), f"{amount} is turned around"


async def walked(shop: Shop, buyer: Buyer, text: str) -> None:
    """From the link to the receipt, with the text on every page."""
    link = await a_link(shop, **hostile(text))
    await buyer.go(link["url"])
    await reads_well(buyer, "$12.34", "$24.68")
    await buyer.page.select_option('[name="field.pick"]', index=1)
    await buyer.page.locator('[name^="field."]').first.fill(text)
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    await reads_well(buyer, "$24.68", "$12.34")
    assert (await session(shop, buyer.session_id))["custom_field_values"] == {
        text[:64]: text.strip(),
        "pick": text,
    }
    await buyer.page.check('[name="accept_terms"]')
    await buyer.pay()
    await buyer.has_receipt()
    await reads_well(buyer, "$24.68", "$12.34")


@pytest.mark.parametrize(
    "text", [SCRIPT, TURNED, UNCLOSED, ARABIC], ids=["script", "turned", "unclosed", "arabic"]
)
async def test_a_hostile_text_is_only_a_text_from_the_link_to_the_receipt(
    shop: Shop, buyer: Buyer, text: str
):
    dialogs: list[str] = []
    buyer.page.on("dialog", lambda dialog: dialogs.append(dialog.message))

    await walked(shop, buyer, text)

    assert await buyer.page.evaluate("window.hacked") is None
    assert dialogs == []
    # `buyer` itself fails on any word in the console: a refused script would be one.


async def test_a_closed_page_says_the_sellers_name_without_being_turned(shop: Shop, buyer: Buyer):
    link = await a_link(shop, **hostile(TURNED))
    await ask(shop, "POST", f"/v1/payment-links/{link['payment_link_id']}/deactivate")

    await buyer.go(link["url"])

    await reads_well(buyer, "paused")


async def test_questions_are_answered_in_the_browser_and_errors_stand_beside_them(
    shop: Shop, new_buyer: NewBuyer
):
    buyer = await new_buyer()
    fields = [
        {"key": "nick", "label": "Name on the cup", "type": "text", "max_length": 5,
         "is_required": True},
        {"key": "size", "label": "Size", "type": "dropdown", "options": ["S", "M"]},
        {"key": "größe 茶", "label": "Note", "type": "textarea"},
        {"key": "größe 酒", "label": "Another note", "type": "textarea"},
    ]  # fmt: skip
    link = await a_link(shop, custom_fields=fields)
    await buyer.go(link["url"])

    await buyer.type("field.nick", "🍵🍵🍵🍵🍵")
    assert await buyer.value("field.nick") == "🍵🍵🍵🍵🍵", "the browser counts UTF-16 units"
    await buyer.type("field.nick", "abcdef")
    await buyer.page.get_by_label("Another note").fill("kept")
    await buyer.press("Continue to payment")

    await buyer.sees("Name on the cup: at most 5 characters, not 6.")
    forgive(buyer, "422")
    await expect(buyer.page.locator("[data-error-summary]")).to_be_focused()
    await buyer.page.get_by_role("link", name="at most 5 characters").click()
    await expect(buyer.page.locator('[name="field.nick"]')).to_be_focused()
    assert await buyer.value("field.größe 酒") == "kept"
    assert not await buyer.page.locator("[id]").evaluate_all(
        "(all) => all.map((one) => one.id).filter((id, index, ids) => ids.indexOf(id) !== index)"
    )
    await buyer.type("field.nick", "🍵🍵🍵🍵🍵")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
    assert (await session(shop, buyer.session_id))["custom_field_values"] == {
        "nick": "🍵🍵🍵🍵🍵",
        "größe 酒": "kept",
    }


async def test_without_scripts_a_wrong_answer_is_said_and_everything_else_kept(
    shop: Shop, new_buyer: NewBuyer
):
    buyer = await new_buyer(java_script_enabled=False)
    field = {"key": "nick", "label": "Name", "type": "text", "max_length": 5}
    gift = {"key": "gift", "label": "Wrap it", "type": "checkbox"}
    link = await a_link(shop, custom_fields=[field, gift])
    await buyer.go(link["url"])
    await buyer.page.check('[name="field.gift"]')
    await buyer.type("field.nick", "abcdef")

    await buyer.press("Continue to payment")

    await buyer.sees("Name: at most 5 characters, not 6.")
    forgive(buyer, "422")
    assert await buyer.page.is_checked('[name="field.gift"]')
    await buyer.type("field.nick", "abcde")
    await buyer.press("Continue to payment")
    await buyer.is_at(CHECKOUT)
