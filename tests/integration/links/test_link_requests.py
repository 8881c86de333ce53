"""What the merchant does with links, over real tables."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.contracts.link_requests import ReplaceCustomFieldsParams, ReplaceLineItemsParams
from shared.contracts.links import (
    ActivateLink,
    CreateLink,
    DeactivateLink,
    GetLink,
    LinkCreated,
    LinkDeactivated,
    LinkUpdated,
    ListLinks,
    PaymentLink,
    ReplaceCustomFields,
    ReplaceLineItems,
    ShowLink,
    UpdateLink,
)
from shared.errors import Refusal
from tests.builders_links import NEVER, params, tea
from tests.builders_plans import PLAN, a_plan
from tests.support.desk import ORIGIN, Desk

STRANGER = "mer_01JZZZZZZZZZZZZZZZZZZZZZZB"


async def made(links: Desk, **given: Any) -> PaymentLink:
    links.later(1)
    plan = given.pop("plan", None)
    told = await links(CreateLink(params=params(**given), plan=plan))
    assert isinstance(told.reply, PaymentLink)
    return told.reply


async def test_a_created_link_is_read_back_as_it_was_answered(links: Desk):
    given = params(
        description="Loose leaf",
        theme={"primary_color": "#112233"},
        custom_fields=[{"key": "note", "label": "Note", "type": "text"}],
        max_completions=5,
        slug="green-tea",
        metadata={"shop": "1"},
    )

    told = await links(CreateLink(params=given))
    read = await links(GetLink(payment_link_id=told.reply.payment_link_id))

    assert read.reply == told.reply
    assert told.reply.url == f"{ORIGIN}/l/green-tea"
    assert (told.reply.status, told.reply.version, told.reply.slugs) == ("active", 1, ["green-tea"])
    assert told.only(LinkCreated).model_dump() == told.reply.model_dump() | {"previous": {}}


@pytest.mark.parametrize("other", [{"merchant_id": STRANGER}, {"mode": "live"}])
async def test_a_foreign_link_looks_like_an_unknown_one(links: Desk, other: dict[str, str]):
    link_id = (await made(links)).payment_link_id
    questions = [
        GetLink(payment_link_id=link_id),
        UpdateLink(payment_link_id=link_id, params={"name": "Mine"}),
        ReplaceLineItems(payment_link_id=link_id, params=ReplaceLineItemsParams()),
        ReplaceCustomFields(payment_link_id=link_id, params=ReplaceCustomFieldsParams()),
        ActivateLink(payment_link_id=link_id),
        DeactivateLink(payment_link_id=link_id),
    ]

    for question in questions:
        foreign, unknown = question, question.model_copy(update={"payment_link_id": NEVER})
        answers = []
        for asked in (foreign, unknown):
            with pytest.raises(Refusal) as caught:
                await links(asked, **(other if asked is foreign else {}))
            answers.append(caught.value.to_wire())
        assert answers[0] == answers[1]
        assert answers[0]["kind"] == "not_found"
    assert (await links(ListLinks(), **other)).reply.rows == []


async def test_a_patch_merges_raises_the_version_and_tells_the_old_values(links: Desk):
    link = await made(links, theme={"title": "Teas", "font": "serif"}, max_completions=3)
    patch = {"theme": {"font": None}, "description": "x", "clear_max_completions": True}

    links.later(1)
    told = await links(UpdateLink(payment_link_id=link.payment_link_id, params=patch))

    assert told.reply.version == 2
    assert (told.reply.theme.title, told.reply.theme.font) == ("Teas", None)
    assert told.reply.max_completions is None
    assert told.reply.updated_at == links.now
    previous = told.only(LinkUpdated).previous
    assert (previous["max_completions"], previous["description"]) == (3, None)
    assert (await links(GetLink(payment_link_id=link.payment_link_id))).reply == told.reply


async def test_a_patch_of_a_stale_reader_is_refused_and_changes_nothing(links: Desk):
    link = await made(links)
    await links(UpdateLink(payment_link_id=link.payment_link_id, params={"name": "New"}))

    patch = {"name": "Newer", "expected_version": 1}
    with pytest.raises(Refusal, match="version 2"):
        await links(UpdateLink(payment_link_id=link.payment_link_id, params=patch))

    assert (await links(GetLink(payment_link_id=link.payment_link_id))).reply.name == "New"


async def test_concurrent_patches_lose_nothing(links: Desk):
    link = await made(links)
    patches = [{"metadata": {str(number): "x"}} for number in range(8)]

    await asyncio.gather(
        *(links(UpdateLink(payment_link_id=link.payment_link_id, params=one)) for one in patches)
    )

    kept = (await links(GetLink(payment_link_id=link.payment_link_id))).reply
    assert (kept.version, sorted(kept.metadata)) == (9, list("01234567"))


async def test_replaced_lines_and_questions_are_checked_like_new_ones(links: Desk):
    link = await made(links)
    lines = ReplaceLineItemsParams.model_validate({"line_items": [tea(), tea(name="Cup")]})
    question = {"key": "note", "label": "Note", "type": "dropdown"}
    wrong = ReplaceCustomFieldsParams.model_validate({"custom_fields": [question]})

    told = await links(ReplaceLineItems(payment_link_id=link.payment_link_id, params=lines))
    with pytest.raises(Refusal) as caught:
        await links(ReplaceCustomFields(payment_link_id=link.payment_link_id, params=wrong))

    assert [line.key for line in told.reply.line_items] == ["item-1", "item-2"]
    assert told.reply.version == 2
    assert caught.value.param == "custom_fields[0].options"


async def test_deactivating_says_whether_open_sessions_go_too(links: Desk):
    link_id = (await made(links)).payment_link_id

    told = await links(DeactivateLink(payment_link_id=link_id, close_open_sessions=True))
    again = await links(DeactivateLink(payment_link_id=link_id))

    assert told.only(LinkDeactivated).close_open_sessions
    assert again.said == []
    assert (again.reply.status, again.reply.version) == ("inactive", 2)


async def test_a_buyer_finds_the_link_by_slug_or_by_id(links: Desk):
    link = await made(links, slug="tea")

    by_slug = await links(ShowLink(slug="tea"), merchant_id="")
    by_id = await links(ShowLink(payment_link_id=link.payment_link_id), merchant_id="", mode="live")

    assert by_slug.reply == by_id.reply
    assert by_slug.reply.payment_link.url == f"{ORIGIN}/l/tea"
    assert by_slug.reply.unavailable_reason is None
    with pytest.raises(Refusal, match="No such payment link"):
        await links(ShowLink(slug="coffee"))


async def pages(links: Desk, **asked: Any) -> list[list[str]]:
    """The names on every page until the last."""
    found: list[list[str]] = []
    after = None
    while True:
        page = (await links(ListLinks(after=after, **asked))).reply
        found.append([row.name for row in page.rows])
        if page.next is None:
            return found
        after = page.next


async def test_a_list_has_every_link_once_and_no_empty_last_page(links: Desk):
    for name in "abcd":
        await made(links, name=name)

    assert await pages(links, page_size=2) == [["d", "c"], ["b", "a"]]
    assert await pages(links, page_size=3, sort_direction="asc") == [["a", "b", "c"], ["d"]]


async def test_rows_inserted_meanwhile_do_not_shift_a_page(links: Desk):
    for name in "abc":
        await made(links, name=name)

    first = (await links(ListLinks(page_size=2))).reply
    await made(links, name="new")
    second = (await links(ListLinks(page_size=2, after=first.next))).reply

    assert [row.name for row in first.rows + second.rows] == ["c", "b", "a"]


async def test_links_of_one_instant_are_told_apart_by_their_id(links: Desk):
    for name in "abcde":
        await links(CreateLink(params=params(name=name)))

    found = await pages(links, page_size=2)

    assert sorted(name for page in found for name in page) == list("abcde")


async def test_a_list_is_sorted_by_its_latest_change_if_asked(links: Desk):
    first, _ = await made(links, name="a"), await made(links, name="b")
    links.later(1)
    await links(UpdateLink(payment_link_id=first.payment_link_id, params={"name": "a2"}))

    assert await pages(links, sort_field="updated_at") == [["a2", "b"]]
    assert await pages(links, updated_after=links.now) == [[]]


@pytest.mark.parametrize(
    "asked, names",
    [
        ({"query": "TEA"}, ["Tea"]),
        ({"query": "leaf"}, ["100% Tee"]),
        ({"query": "0%"}, ["100% Tee"]),
        ({"query": "_"}, []),
        ({"status": "inactive"}, ["Off"]),
        ({"mode": "donation"}, ["Gift"]),
        ({"has_plan": True}, ["Club"]),
    ],
)
async def test_a_list_is_filtered(links: Desk, asked: dict[str, Any], names: list[str]):
    await made(links, name="Tea")
    await made(links, name="100% Tee", description="loose LEAF")
    await made(links, name="Gift", mode="donation", line_items=[])
    await made(links, name="Club", plan_id=PLAN, line_items=[], plan=a_plan())
    off = await made(links, name="Off")
    await links(DeactivateLink(payment_link_id=off.payment_link_id))

    assert await pages(links, **asked) == [names]


async def test_time_ranges_leave_their_ends_out(links: Desk):
    first, second, third = [await made(links, name=name) for name in "abc"]
    between = {"created_after": first.created_at, "created_before": third.created_at}

    assert await pages(links, **between) == [[second.name]]
