"""Where this installation's databases are: configured, or the ones that `flint run` keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.rooms import DATABASES
from shared.config import ConfigurationError, Settings
from shared.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from shared.db.pool import open_pool


@asynccontextmanager
async def databases(settings: Settings, *, partly: bool = False) -> AsyncIterator[dict[str, str]]:
    """Addresses by name: the configured ones, or the embedded server's, running or not.

    Raises ConfigurationError if only some are configured, unless `partly` is enough.
    """
    given = [name for name in DATABASES if getattr(settings, f"{name}_database_url") is not None]
    if given:
        missing = [f"FLINT_{name.upper()}_DATABASE_URL" for name in DATABASES if name not in given]
        if missing and not partly:
            raise ConfigurationError(f"bad configuration: {' and '.join(missing)} is missing")
        yield {name: settings.secret(f"{name}_database_url") for name in given}
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    dsns = {name: postgres.url(f"flint_{name}") for name in DATABASES}
    if await _is_running(dsns["links"]):
        yield dsns
        return
    if not (settings.data / "postgres").is_dir():
        raise EmbeddedPostgresError(
            f"There is no shop in {settings.data}/: set FLINT_DATA, or the "
            "FLINT_…_DATABASE_URL variables of the installation."
        )
    async with postgres:
        yield dsns


async def _is_running(dsn: str) -> bool:
    try:
        pool = await open_pool(dsn, name="installed", size=2)
    except Exception:  # whatever keeps it from answering, it is not a server we can use
        return False
    await pool.close()
    return True
