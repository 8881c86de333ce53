"""The one hand that draws: once per picture, never for too many, and only so much is kept."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp.test_utils import make_mocked_request

from services.gateway.pictures.easel import Easel, Picture, picture_of, shown
from shared.errors import Unavailable

DOT = picture_of(b"dot", "image/png")


class Drawing:
    """A picture that is finished when the test says so."""

    def __init__(self, picture: Picture = DOT) -> None:
        self.picture = picture
        self.times = 0
        self.may_end = threading.Event()

    def __call__(self) -> Picture:
        self.times += 1
        assert self.may_end.wait(5)
        return self.picture


async def test_however_many_ask_at_once_it_is_drawn_once():
    easel, dot = Easel(), Drawing()
    asked = [asyncio.create_task(easel.drawn("dot", dot)) for _ in range(10)]
    await asyncio.sleep(0)
    dot.may_end.set()

    assert await asyncio.gather(*asked) == [DOT] * 10
    assert await easel.drawn("dot", dot) == DOT
    assert dot.times == 1


async def test_one_who_leaves_does_not_take_it_from_the_others():
    easel, dot = Easel(), Drawing()
    leaving, staying = (asyncio.create_task(easel.drawn("dot", dot)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    dot.may_end.set()

    assert await staying == DOT
    assert dot.times == 1


async def test_a_long_queue_sends_away_and_the_kept_are_shown_all_the_same():
    easel, dot, other = Easel(waiting_max=1), Drawing(), Drawing()
    dot.may_end.set()
    await easel.drawn("dot", dot)
    waiting = asyncio.create_task(easel.drawn("other", other))
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await easel.drawn("third", other)
    assert await easel.drawn("dot", dot) == DOT

    other.may_end.set()
    await waiting


async def test_a_drawing_that_fails_is_tried_again_by_the_next():
    easel, dot = Easel(), Drawing()
    dot.may_end.set()

    def fail() -> Picture:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await easel.drawn("dot", fail)
    assert await easel.drawn("dot", dot) == DOT


async def test_what_was_not_asked_for_longest_makes_room():
    easel = Easel(bytes_max=3 * len(DOT.body))
    for key in "abc":
        await easel.drawn(key, lambda: DOT)
    easel.kept("a")
    await easel.drawn("d", lambda: DOT)

    assert [key for key in "abcd" if easel.kept(key)] == ["a", "c", "d"]


@pytest.mark.parametrize("tag", [f'"{DOT.etag}"', f'W/"{DOT.etag}"', f'"x", "{DOT.etag}"', "*"])
def test_who_has_it_already_is_told_so_without_a_body(tag: str):
    request = make_mocked_request("GET", "/", {"If-None-Match": tag})

    answer = shown(request, DOT, "no-cache")

    assert (answer.status, answer.body) == (304, None)
    assert answer.headers["ETag"] == f'"{DOT.etag}"'


def test_another_picture_is_sent_whole():
    request = make_mocked_request("GET", "/", {"If-None-Match": '"other"'})

    answer = shown(request, DOT, "no-cache", "dot.png")

    assert (answer.status, answer.body, answer.content_type) == (200, b"dot", "image/png")
    assert answer.headers["Content-Disposition"] == 'inline; filename="dot.png"'
