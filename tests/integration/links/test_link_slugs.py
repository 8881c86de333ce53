"""Slugs over real tables: whose a name is, who wins a race for it, and what a removed one does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from services.links.slugs import shape_of
from shared.contracts.link_requests import AddSlugParams
from shared.contracts.links import (
    AddSlug,
    CreateLink,
    LinkUpdated,
    PaymentLink,
    RemoveSlug,
    ShowLink,
)
from shared.db.pool import connection
from shared.errors import Refusal
from tests.builders_links import NEVER, params
from tests.support.desk import ORIGIN, Desk, Told

STRANGER = "mer_01JZZZZZZZZZZZZZZZZZZZZZZB"
MIGRATION = Path("services/links/migrations/0030_slug_shapes.sql")


async def made(links: Desk, slug: str | None = None, **whose: str) -> PaymentLink:
    told = await links(CreateLink(params=params(slug=slug)), **whose)
    assert isinstance(told.reply, PaymentLink)
    return told.reply


async def add(links: Desk, link: PaymentLink, slug: str | None, **whose: Any) -> Told:
    given = AddSlugParams(slug=slug, expected_version=whose.pop("expected_version", None))
    return await links(AddSlug(payment_link_id=link.payment_link_id, params=given), **whose)


async def remove(links: Desk, link: PaymentLink, slug: str, **whose: str) -> Told:
    return await links(RemoveSlug(payment_link_id=link.payment_link_id, slug=slug), **whose)


async def leads_to(links: Desk, slug: str) -> str:
    """The newest slug of the link behind one."""
    return str((await links(ShowLink(slug=slug), merchant_id="")).reply.slug)


async def refused(asked: Any) -> tuple[str, str, str | None]:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value.kind, caught.value.code, caught.value.param


TAKEN = ("conflict", "INVALID_VALUE", "slug")


@pytest.mark.parametrize("slug", ["tea-box", "teabox", "tea-b0x"])
async def test_a_slug_and_all_that_reads_like_it_belong_to_one_merchant(links: Desk, slug: str):
    link = await made(links, "tea-box")

    assert await refused(made(links, slug, merchant_id=STRANGER)) == TAKEN
    if slug != "tea-box":
        assert (await add(links, link, slug)).reply.slugs == [slug, "tea-box"]


async def test_of_many_merchants_who_want_one_slug_exactly_one_gets_it(links: Desk):
    owners = [f"mer_01JZZZZZZZZZZZZZZZZZZZZZ{number:02}" for number in range(8)]
    mine = [await made(links, merchant_id=owner) for owner in owners]
    slugs = ["tea-box", "teabox"] * 4

    outcomes = await asyncio.gather(
        *(
            add(links, link, slug, merchant_id=owner)
            for link, slug, owner in zip(mine, slugs, owners, strict=True)
        ),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in outcomes) == ["Refusal"] * 7 + ["Told"]


async def test_of_many_new_links_that_want_one_slug_exactly_one_gets_it(links: Desk):
    create = CreateLink(params=params(slug="tea"))

    outcomes = await asyncio.gather(*(links(create) for _ in range(8)), return_exceptions=True)

    assert sorted(type(one).__name__ for one in outcomes) == ["Refusal"] * 7 + ["Told"]


async def test_slugs_added_to_one_link_at_once_are_all_kept(links: Desk):
    link = await made(links, "tea")

    await asyncio.gather(*(add(links, link, f"tea-{number}") for number in range(2, 8)))

    told = await add(links, link, "tea")
    assert told.reply.slugs[0] == "tea"
    assert sorted(told.reply.slugs) == ["tea", *(f"tea-{number}" for number in range(2, 8))]
    assert told.reply.version == 8


async def test_a_link_without_a_slug_gets_a_readable_one_and_so_does_an_empty_ask(links: Desk):
    first, second = await made(links), await made(links)
    third = (await add(links, first, None)).reply

    assert first.slugs[0].startswith("tea-")
    assert len({*first.slugs, *second.slugs, third.slugs[0]}) == 3
    assert third.slugs[1:] == first.slugs


async def test_a_new_slug_is_told_and_every_older_one_leads_to_it(links: Desk):
    link = await made(links, "spring")
    await add(links, link, "summer")
    links.later(1)
    told = await add(links, link, "autumn")

    assert told.only(LinkUpdated).previous == {
        "slugs": ["summer", "spring"],
        "url": f"{ORIGIN}/l/summer",
        "version": 2,
    }
    assert told.reply.url == f"{ORIGIN}/l/autumn"
    assert told.reply.updated_at == links.now
    assert [await leads_to(links, one) for one in ("spring", "summer", "autumn")] == ["autumn"] * 3


async def test_adding_the_newest_again_changes_nothing(links: Desk):
    link = await made(links, "spring")

    told = await add(links, link, "spring")

    assert (told.reply, told.said) == (link, [])


async def test_a_slug_is_added_to_the_version_that_was_read_or_not_at_all(links: Desk):
    link = await made(links, "spring")
    await add(links, link, "summer", expected_version=1)

    answer = await refused(add(links, link, "autumn", expected_version=1))

    assert answer == ("conflict", "PAYMENT_LINK_CHANGED_RETRY", "expected_version")
    assert (await refused(links(ShowLink(slug="autumn"))))[0] == "not_found"


async def test_a_removed_slug_leads_nowhere_and_nobody_else_gets_it(links: Desk):
    link = await made(links, "spring")
    await add(links, link, "summer")

    told = await remove(links, link, "spring")

    assert told.reply.slugs == ["summer"]
    assert told.only(LinkUpdated).previous["slugs"] == ["summer", "spring"]
    assert (await refused(links(ShowLink(slug="spring"))))[0] == "not_found"
    assert await refused(made(links, "spring", merchant_id=STRANGER)) == TAKEN
    assert (await refused(remove(links, link, "spring")))[0] == "not_found"
    assert (await refused(remove(links, link, "summer")))[0] == "conflict"


async def test_its_own_merchant_may_take_a_removed_slug_again_for_any_link(links: Desk):
    link, other = await made(links, "spring"), await made(links, "winter")
    await add(links, link, "summer")
    assert await refused(add(links, other, "spring")) == TAKEN
    await remove(links, link, "spring")

    await add(links, other, "spring")

    assert await leads_to(links, "winter") == "spring"
    assert await leads_to(links, "summer") == "summer"


async def test_a_link_is_left_as_it_was_when_the_name_is_somebody_elses(links: Desk):
    link = await made(links, "spring")
    await made(links, "summer", merchant_id=STRANGER)

    assert await refused(add(links, link, "summer")) == TAKEN

    assert (await add(links, link, "spring")).reply == link


@pytest.mark.parametrize("other", [{"merchant_id": STRANGER}, {"mode": "live"}])
async def test_nobody_names_a_foreign_link(links: Desk, other: dict[str, str]):
    link = await made(links, "spring")
    unknown = link.model_copy(update={"payment_link_id": NEVER})

    for act in (add, remove):
        for one in (link, unknown):
            answer = await refused(act(links, one, "spring", **other))
            assert answer == ("not_found", "RESOURCE_NOT_FOUND", None)


async def test_slugs_of_before_are_given_the_shapes_that_the_code_gives(links: Desk):
    slugs = ["tea-box", "teabox", "n0rth", "rnarket", "vvillow", "1-0-1", "a1b2"]
    script = MIGRATION.read_text()
    (backfill,) = re.findall(r"^INSERT INTO slug_shapes.*?;$", script, re.MULTILINE | re.DOTALL)
    take = "INSERT INTO slugs VALUES ($1, $2, $3, $4::timestamptz + $5 * interval '1 second')"
    async with connection(links.pool) as db:
        for number, slug in enumerate(slugs):
            owner = STRANGER if slug == "teabox" else "mer_1"
            await db.execute(take, slug, owner, NEVER, links.now, number)
        await db.execute(backfill)

    kept = {row["shape"]: row["merchant_id"] for row in await links.rows("TABLE slug_shapes")}
    assert kept == dict.fromkeys(map(shape_of, slugs), "mer_1")
