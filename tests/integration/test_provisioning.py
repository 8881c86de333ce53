"""`flint migrate --create`: one database and one role per service, shut to every other role."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.provisioning import make_databases
from services.rooms import DATABASES
from shared.config import Settings
from tests.support.postgres import Databases


def named_addresses(databases: Databases) -> dict[str, str]:
    """Addresses of databases and roles that are not there yet."""
    run = secrets.token_hex(3)
    urls = {}
    for name in DATABASES:
        parts = urlsplit(databases.server.url(f"flint_{run}_{name}"))
        host = parts.netloc.rpartition("@")[2]
        login = f"flint_{run}_{name}:{secrets.token_hex(16)}"
        urls[f"{name}_database_url"] = parts._replace(netloc=f"{login}@{host}").geturl()
    return urls


async def test_every_role_owns_its_database_and_is_refused_by_the_others(databases: Databases):
    urls = named_addresses(databases)
    settings = Settings.model_validate(urls | {"admin_database_url": databases.server.admin_dsn})

    await make_databases(settings)
    await make_databases(settings)  # Repeating it is no harm.

    try:
        db = await asyncpg.connect(urls["links_database_url"], timeout=10)
        await db.execute("CREATE TABLE tea (cups int)")
        await db.close()
        login = urlsplit(urls["links_database_url"]).netloc
        for name in set(DATABASES) - {"links"}:
            foreign = urlsplit(urls[f"{name}_database_url"])._replace(netloc=login).geturl()
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(foreign, timeout=10)
    finally:
        await _remove(databases, urls)


async def _remove(databases: Databases, urls: dict[str, str]) -> None:
    for url in urls.values():
        await databases.drop(url)
    admin = await asyncpg.connect(databases.server.admin_dsn, timeout=10)
    for url in urls.values():
        await admin.execute(f'DROP ROLE "{urlsplit(url).username}"')
    await admin.close()
