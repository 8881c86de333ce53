"""`/metrics`: what was counted so far, written out at most once a second however many ask."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.telemetry.metrics import REGISTRY

FRESH_SECONDS: Final = 1.0
NEVER: Final = float("-inf")


class Exposition:
    """The text of this process's registry."""

    def __init__(self) -> None:
        self._text = b""
        self._written_at = NEVER

    async def answer(self, _: web.Request) -> web.Response:
        """Prometheus's text format."""
        now = time.monotonic()
        if now - self._written_at >= FRESH_SECONDS:
            self._text, self._written_at = generate_latest(REGISTRY), now
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE_LATEST})
