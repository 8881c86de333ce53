"""Keeping the embedded server up: one that ends is started again, a bounded number of times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from shared.db.embedded import EmbeddedPostgres, EmbeddedPostgresError

log = structlog.get_logger("flint.postgres")

PAUSES_SECONDS: Final = (0.1, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS: Final = 60.0  # after so long it is no longer the same trouble


async def keep_running(
    postgres: EmbeddedPostgres, pauses: Sequence[float] = PAUSES_SECONDS
) -> None:
    """Until cancelled. Raises EmbeddedPostgresError when it ends again and again."""
    tries = 0
    while True:
        began = time.monotonic()
        words = await postgres.ended()
        if time.monotonic() - began > STEADY_SECONDS:
            tries = 0
        while True:
            if tries >= len(pauses):
                raise EmbeddedPostgresError(
                    f"PostgreSQL in {postgres.folder} keeps ending ({words}): nothing that was "
                    f"accepted is lost; see {postgres.folder}/server.log, then start flint again"
                )
            log.warning("postgres.ended", reason=words, starts_in_seconds=pauses[tries])
            await asyncio.sleep(pauses[tries])
            tries += 1
            try:
                await postgres.start_again()
            except (EmbeddedPostgresError, OSError) as error:
                words = str(error)
            else:
                log.info("postgres.started_again", pid=postgres.pid)
                break
