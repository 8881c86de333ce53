"""The names a link goes by: made, reserved, looking alike, added and taken off."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.links.slugs import RESERVED, SLUGS_MAX, shape_of, slug_for
from shared.contracts.links import LinkUpdated
from shared.contracts.types import Slug
from shared.errors import Refusal
from tests.builders_links import NOON, a_link

LATER = NOON + timedelta(minutes=1)
SLUG = TypeAdapter(Slug)


@pytest.mark.parametrize(
    "name, slug",
    [
        ("Tea", "tea-0abcdefg"),
        ("Crème Brûlée, 2 pieces!", "creme-brulee-2-pieces-0abcdefg"),
        ("お茶", "link-0abcdefg"),
        ("x" * 100, "x" * 40 + "-0abcdefg"),
        ("a" * 39 + " b", "a" * 39 + "-0abcdefg"),
    ],
)
def test_a_made_slug_is_readable_and_ends_in_chance(name: str, slug: str):
    assert slug_for(None, name=name, suffix="0abcdefg") == slug


@given(st.text(max_size=250))
def test_a_made_slug_is_always_a_slug(name: str):
    assert SLUG.validate_python(slug_for(None, name=name, suffix="0abcdefg"))


@pytest.mark.parametrize(
    "slug", ["admin", "l0gin", "1ogin", "well-known", "wellknown", "terrns", "a-p-i"]
)
def test_a_reserved_word_and_what_reads_like_one_is_no_slug(slug: str):
    assert slug_for("tea", name="x", suffix="y") == "tea"
    with pytest.raises(Refusal) as caught:
        slug_for(slug, name="x", suffix="y")

    assert (caught.value.kind, caught.value.code, caught.value.param) == (
        "invalid",
        "INVALID_VALUE",
        "slug",
    )


@pytest.mark.parametrize(
    "one, other",
    [
        ("paypal", "paypa1"),
        ("northwind-tea", "n0rthwind-tea"),
        ("northwind-tea", "northwindtea"),
        ("market", "rnarket"),
        ("willow", "vvillow"),
    ],
)
def test_slugs_that_can_be_taken_for_one_another_have_one_shape(one: str, other: str):
    assert shape_of(one) == shape_of(other)


def test_slugs_that_only_begin_alike_have_shapes_of_their_own():
    assert len({shape_of(one) for one in ("tea", "teas", "tee", "mail", "mall", "tea-2")}) == 6


@pytest.mark.parametrize(
    "slug",
    [
        "te",
        "-tea",
        "tea-",
        "Tea",
        "t\u0435a",
        "tea\n",
        "tea time",
        "t/a",
        "té",
        "x" * 65,
        "",
        "...",
    ],
)
def test_what_is_no_slug_is_told_what_one_is(slug: str):
    with pytest.raises(ValidationError, match="3 to 64 of a-z"):
        SLUG.validate_python(slug)


def test_the_newest_slug_is_the_address_and_the_older_ones_stay():
    link, facts = a_link().add_slug("first-flush", LATER)

    assert (link.slug, link.slugs, link.version) == ("first-flush", ("first-flush", "tea"), 2)
    assert [type(fact) for fact in facts] == [LinkUpdated]
    assert facts[0].slugs == ["first-flush", "tea"]
    assert facts[0].url.endswith("/l/first-flush")
    assert facts[0].previous == {
        "slugs": ["tea"],
        "url": "https://pay.example.com/l/tea",
        "version": 1,
    }


def test_an_older_slug_can_become_the_newest_again():
    link, facts = a_link(slugs=("new", "old")).add_slug("old", LATER)

    assert link.slugs == ("old", "new")
    assert len(facts) == 1
    assert link.add_slug("old", LATER) == (link, [])


def test_a_link_has_so_many_slugs_and_no_more():
    full = a_link(slugs=tuple(f"tea-{number}" for number in range(SLUGS_MAX)))

    with pytest.raises(Refusal, match="at most 50"):
        full.add_slug("one-more", LATER)
    assert full.add_slug("tea-9", LATER)[0].slug == "tea-9"


def test_the_newest_that_is_left_is_the_address():
    link, facts = a_link(slugs=("new", "old", "oldest")).remove_slug("new", LATER)

    assert (link.slugs, link.version) == (("old", "oldest"), 2)
    assert facts[0].previous["slugs"] == ["new", "old", "oldest"]


def test_the_last_slug_stays_and_what_is_not_there_is_not_found():
    link = a_link()

    with pytest.raises(Refusal) as last:
        link.remove_slug("tea", LATER)
    with pytest.raises(Refusal) as other:
        link.remove_slug("coffee", LATER)

    assert (last.value.kind, last.value.param) == ("conflict", "slug")
    assert (other.value.kind, other.value.param) == ("not_found", "slug")


words = st.sampled_from([f"tea-{letter}" for letter in "abcdefgh"])
moves = st.lists(st.tuples(st.sampled_from(["add", "remove"]), words), max_size=30)


@given(moves)
def test_whatever_is_added_and_removed_the_last_added_that_is_left_comes_first(
    asked: list[tuple[str, str]],
):
    link, order = a_link(slugs=("tea-a",)), ["tea-a"]

    for move, slug in asked:
        try:
            now, facts = getattr(link, f"{move}_slug")(slug, LATER)
        except Refusal:
            assert move == "remove"
            assert slug not in order or order == [slug]
            continue
        order = [one for one in order if one != slug] + [slug] * (move == "add")
        assert now.slugs == tuple(reversed(order))
        assert now.version == link.version + (now.slugs != link.slugs)
        assert [fact.previous["slugs"] for fact in facts] == [list(link.slugs)] * len(facts)
        assert bool(facts) is (now.slugs != link.slugs)
        link = now


def test_reserved_words_are_slugs_that_somebody_could_want():
    assert all(SLUG.validate_python(word) for word in RESERVED if len(word) >= 3)
