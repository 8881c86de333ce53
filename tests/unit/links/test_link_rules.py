"""What a merchant may put on a link, with the exact code and field of each refusal."""

from __future__ import annotations

from typing import Any

import pytest

from services.links import modes, template
from shared.contracts.link_requests import PaymentLinkUpdateParams
from shared.errors import Refusal
from tests.builders_links import params, tea, usd

EUR = {"amount": 500, "currency": "EUR"}
FIELD = {"key": "size", "label": "Size", "type": "text"}


def refusal_of(**given: Any) -> tuple[str, str, str | None]:
    with pytest.raises(Refusal) as caught:
        modes.checked(template.made(params(**given)))
    return caught.value.kind, caught.value.code, caught.value.param


def test_a_line_needs_only_its_price():
    made = template.made(params(name="Tea", line_items=[{"amount_money": usd(500)}]))

    (line,) = modes.checked(made).line_items

    assert (line.key, line.name, line.quantity) == ("item-1", "Tea", 1)


def test_a_made_key_never_takes_a_given_one():
    lines = [tea(), tea(key="item-1"), tea(), tea(key="item-4"), tea()]

    made = template.made(params(line_items=lines))

    assert [line.key for line in made.line_items] == [
        "item-2", "item-1", "item-3", "item-4", "item-5",
    ]  # fmt: skip


def test_a_link_with_nothing_on_it_yet_is_accepted():
    made = template.made(params(line_items=[]))

    assert modes.checked(made) == made


@pytest.mark.parametrize(
    "given, code, param",
    [
        pytest.param(
            {"line_items": [tea(), tea(amount_money=EUR)]},
            "CURRENCY_MISMATCH",
            "line_items[1].amount_money",
            id="two currencies in two lines",
        ),
        pytest.param(
            {"line_items": [tea(max_amount_money=EUR)]},
            "CURRENCY_MISMATCH",
            "line_items[0].max_amount_money",
            id="two currencies in one line",
        ),
        pytest.param(
            {"line_items": [tea(suggested_amounts=[usd(1), EUR])]},
            "CURRENCY_MISMATCH",
            "line_items[0].suggested_amounts[1]",
            id="a suggestion of another currency",
        ),
        pytest.param(
            {"tip": {"smart_tip_amounts": [usd(100), EUR]}},
            "CURRENCY_MISMATCH",
            "tip.smart_tip_amounts[1]",
            id="a tip of another currency",
        ),
        pytest.param(
            {"line_items": [tea(key="a"), tea(key="b"), tea(key="a")]},
            "INVALID_VALUE",
            "line_items[2].key",
            id="one key for two lines",
        ),
        pytest.param(
            {"line_items": [tea(min_quantity=5, max_quantity=2, quantity=5)]},
            "INVALID_VALUE",
            "line_items[0].min_quantity",
            id="least quantity above most",
        ),
        pytest.param(
            {"line_items": [tea(quantity=4, max_quantity=3)]},
            "LINE_ITEM_INVALID_QUANTITY",
            "line_items[0].quantity",
            id="quantity above its most",
        ),
        pytest.param(
            {"line_items": [tea(min_quantity=2)]},
            "LINE_ITEM_INVALID_QUANTITY",
            "line_items[0].quantity",
            id="the made quantity below its least",
        ),
        pytest.param(
            {"line_items": [tea(min_amount_money=usd(9), max_amount_money=usd(8))]},
            "INVALID_VALUE",
            "line_items[0].min_amount_money",
            id="least amount above most",
        ),
        pytest.param(
            {"line_items": [tea(500, min_amount_money=usd(501))]},
            "AMOUNT_OUT_OF_RANGE",
            "line_items[0].amount_money",
            id="price outside its own bounds",
        ),
        pytest.param(
            {"line_items": [tea(max_amount_money=usd(2000), suggested_amounts=[usd(2001)])]},
            "AMOUNT_OUT_OF_RANGE",
            "line_items[0].suggested_amounts[0]",
            id="suggestion above the most",
        ),
        pytest.param(
            {"line_items": [{"name": "Tea"}]},
            "FIELD_REQUIRED",
            "line_items[0].amount_money",
            id="no price",
        ),
        pytest.param(
            {"line_items": [tea(9_999_999_999), tea(1)]},
            "AMOUNT_OUT_OF_RANGE",
            "line_items",
            id="more than money can hold",
        ),
        pytest.param(
            {"custom_fields": [FIELD, FIELD]},
            "INVALID_VALUE",
            "custom_fields[1].key",
            id="one key for two questions",
        ),
        pytest.param(
            {"custom_fields": [FIELD | {"type": "dropdown"}]},
            "FIELD_REQUIRED",
            "custom_fields[0].options",
            id="a dropdown of nothing",
        ),
        pytest.param(
            {"custom_fields": [FIELD | {"type": "dropdown", "options": ["S", "S"]}]},
            "INVALID_VALUE",
            "custom_fields[0].options[1]",
            id="an option twice",
        ),
        pytest.param(
            {"customer": {"customer_id": "cus_01JZZZZZZZZZZZZZZZZZZZZZZZ"}},
            "LINK_CUSTOMER_NOT_ALLOWED",
            "customer.customer_id",
            id="a customer on a shared link",
        ),
        pytest.param(
            {"mode": "event", "plan_id": "plan_01JZZZZZZZZZZZZZZZZZZZZZZZ"},
            "INVALID_VALUE",
            "plan_id",
            id="an event with a plan",
        ),
        pytest.param(
            {"mode": "event", "event_config": {"timezone": "Europe/Nowhere"}},
            "INVALID_VALUE",
            "event_config.timezone",
            id="a time zone that is none",
        ),
        pytest.param(
            {"donation_min_amount_money": usd(1)},
            "INVALID_VALUE",
            "donation_min_amount_money",
            id="donation words on a standard link",
        ),
        pytest.param(
            {"event_config": {"location": "Oslo"}},
            "INVALID_VALUE",
            "event_config",
            id="event words on a standard link",
        ),
    ],
)
def test_a_contradiction_is_refused_with_its_field(given: dict[str, Any], code: str, param: str):
    assert refusal_of(**given) == ("invalid", code, param)


def test_an_item_of_the_catalogue_is_unknown_until_there_is_one():
    given = {"line_items": [{"item_id": "item_01JZZZZZZZZZZZZZZZZZZZZZZZ"}]}

    assert refusal_of(**given) == ("not_found", "RESOURCE_NOT_FOUND", "line_items[0].item_id")


def patched(given: dict[str, Any], patch: dict[str, Any]) -> template.Template:
    old = template.made(params(**given))
    return template.patched(old, PaymentLinkUpdateParams.model_validate(patch))


def test_a_config_merges_field_by_field_and_null_clears():
    theme = {"primary_color": "#112233", "title": "Teas", "font": "serif"}

    new = patched({"theme": theme}, {"theme": {"title": "Best teas", "font": None}}).theme

    assert (new.primary_color, new.title, new.font) == ("#112233", "Best teas", None)


def test_null_for_a_whole_config_clears_all_of_it():
    new = patched({"theme": {"title": "Teas"}, "description": "x"}, {"theme": None})

    assert new.theme.title is None
    assert new.description == "x"


def test_metadata_merges_and_null_removes_a_key():
    new = patched({"metadata": {"a": "1", "b": "2"}}, {"metadata": {"a": None, "c": "3"}})

    assert new.metadata == {"b": "2", "c": "3"}


def test_metadata_never_grows_past_fifty_keys():
    full = {str(number): "x" for number in range(50)}

    assert len(patched({"metadata": full}, {"metadata": {"0": None, "new": "x"}}).metadata) == 50
    with pytest.raises(Refusal, match="At most 50"):
        patched({"metadata": full}, {"metadata": {"new": "x"}})


def test_the_cap_is_cleared_by_its_own_word_or_by_null():
    capped = {"max_completions": 10}

    assert patched(capped, {"clear_max_completions": True}).max_completions is None
    assert patched(capped, {"max_completions": None}).max_completions is None
    assert patched(capped, {"name": "Green tea"}).max_completions == 10


def test_clearing_and_setting_the_cap_at_once_is_refused():
    with pytest.raises(Refusal) as caught:
        patched({}, {"clear_max_completions": True, "max_completions": 5})

    assert (caught.value.code, caught.value.param) == ("INVALID_VALUE", "clear_max_completions")


def test_a_name_cannot_be_cleared():
    with pytest.raises(Refusal) as caught:
        patched({}, {"name": None})

    assert (caught.value.code, caught.value.param) == ("FIELD_REQUIRED", "name")


def test_an_empty_patch_changes_nothing():
    given = {"theme": {"title": "Teas"}, "metadata": {"a": "1"}, "max_completions": 3}

    assert patched(given, {}) == template.made(params(**given))
