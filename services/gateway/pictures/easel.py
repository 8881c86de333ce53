"""Where pictures are drawn: one at a time, beside the event loop, and the last ones are kept.

Drawing is the dearest thing that an anonymous request can ask for. So it takes one thread and no
more, the same picture is drawn once however many ask, and who comes to a long queue is sent away.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from shared.errors import Unavailable

KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
WAITING_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture; `etag` changes when a byte of it does."""

    body: bytes
    content_type: str
    etag: str


def picture_of(body: bytes, content_type: str) -> Picture:
    """The bytes with what HTTP says about them."""
    return Picture(body, content_type, hashlib.sha256(body).hexdigest()[:32])


class Easel:
    """`await drawn(key, draw)`: `draw` runs in a thread, unless the picture of that key is here."""

    def __init__(self, *, bytes_max: int = KEPT_BYTES_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._bytes_max = bytes_max
        self._waiting_max = waiting_max
        self._hand = asyncio.Lock()
        self._kept: OrderedDict[Hashable, Picture] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[Hashable, asyncio.Task[Picture]] = {}

    def kept(self, key: Hashable) -> Picture | None:
        """The picture, if it need not be drawn."""
        picture = self._kept.get(key)
        if picture is not None:
            self._kept.move_to_end(key)
        return picture

    async def drawn(self, key: Hashable, draw: Callable[[], Picture]) -> Picture:
        """The picture of that key. Raises Unavailable when too many wait for theirs."""
        picture = self.kept(key)
        if picture is not None:
            return picture
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self._waiting_max:
                raise Unavailable("too many pictures are asked for at once")
            task = self._under_way[key] = asyncio.create_task(self._draw(key, draw))
        return await asyncio.shield(task)  # Who leaves does not take it from the others.

    async def _draw(self, key: Hashable, draw: Callable[[], Picture]) -> Picture:
        try:
            async with self._hand:
                picture = await asyncio.to_thread(draw)
        finally:
            del self._under_way[key]
        self._keep(key, picture)
        return picture

    def _keep(self, key: Hashable, picture: Picture) -> None:
        self._kept[key] = picture
        self._bytes += len(picture.body)
        while self._bytes > self._bytes_max:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


def shown(request: web.Request, picture: Picture, caching: str, name: str = "") -> web.Response:
    """The picture as an answer; 304 for who has this very one already."""
    headers = {"ETag": f'"{picture.etag}"', "Cache-Control": caching}
    known = request.if_none_match or ()
    if any(one.value in ("*", picture.etag) for one in known):
        return web.Response(status=304, headers=headers)
    if name:
        headers["Content-Disposition"] = f'inline; filename="{name}"'
    return web.Response(body=picture.body, content_type=picture.content_type, headers=headers)
