"""A PostgreSQL for tests: the one given, a container if the run asks for it, else the embedded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import asyncpg

from shared.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from shared.db.migrate import migrate, read_folders
from tests.support.servers import (
    PASSWORD,
    NoServer,
    containers_are_wanted,
    docker_answers,
    running,
    short_folder,
)

IMAGE: Final = "postgres:17"
GIVEN: Final = "FLINT_TEST_DATABASE_URL"
FAST: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum_naptime": "60s",  # It would look into hundreds of databases, one after the other.
}


class PostgresServer:
    """Any server whose administrator's address we know."""

    def __init__(self, admin_dsn: str, *, is_given: bool = False) -> None:
        self.admin_dsn = admin_dsn
        self.is_given = is_given

    def url(self, database: str) -> str:
        return urlsplit(self.admin_dsn)._replace(path=f"/{quote(database, safe='')}").geturl()


@contextlib.asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    async with contextlib.AsyncExitStack() as stack:
        if given := os.environ.get(GIVEN):
            yield PostgresServer(given, is_given=True)
        elif containers_are_wanted():
            yield _contained(stack)
        else:
            yield await _embedded(stack)


def _contained(stack: contextlib.AsyncExitStack) -> PostgresServer:
    if not docker_answers():
        raise NoServer("No container engine answers: start Docker")
    from testcontainers.community.postgres import PostgresContainer

    settings = " ".join(f"-c {name}={value}" for name, value in FAST.items())
    container = PostgresContainer(IMAGE, password=PASSWORD, driver=None).with_command(
        f"postgres {settings} -c max_connections=200"
    )
    stack.enter_context(running(container))
    return PostgresServer(container.get_connection_url())


async def _embedded(stack: contextlib.AsyncExitStack) -> PostgresServer:
    folder = stack.enter_context(short_folder("postgres"))
    try:
        server = await stack.enter_async_context(EmbeddedPostgres(folder, extra=FAST))
    except EmbeddedPostgresError as error:
        raise NoServer(f"No PostgreSQL for the tests: {error}; or set {GIVEN}") from error
    return PostgresServer(server.url("postgres"))


class Databases:
    """Fresh databases, copied from a template that was migrated once per list of folders."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._run = secrets.token_hex(3)  # Several runs may share a given server.
        self._made = 0
        self._templates: set[str] = set()

    async def create(self, folders: Sequence[Path]) -> str:
        template = await self._template(folders) if folders else "template0"
        self._made += 1
        name = f"flint_test_{self._run}_{self._made}"
        await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.server.url(name)

    async def copy(self, dsn: str) -> str:
        """Another one with the same content; nobody may be connected to the first."""
        self._made += 1
        name = f"flint_test_{self._run}_{self._made}"
        template = urlsplit(dsn).path.removeprefix("/")
        await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.server.url(name)

    async def drop(self, dsn: str) -> None:
        await self._drop(urlsplit(dsn).path.removeprefix("/"))

    async def close(self) -> None:
        """Leave nothing behind on a server that outlives the run."""
        for template in self._templates if self.server.is_given else ():
            await self._drop(template)

    async def _template(self, folders: Sequence[Path]) -> str:
        state = "".join(migration.sha256 + migration.file for migration in read_folders(folders))
        name = f"flint_template_{self._run}_{hashlib.sha256(state.encode()).hexdigest()[:12]}"
        if name not in self._templates:
            await self._admin(f'CREATE DATABASE "{name}" TEMPLATE template0')
            self._templates.add(name)
            await migrate(self.server.url(name), folders)
        return name

    async def _drop(self, name: str) -> None:
        await self._admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def _admin(self, statement: str) -> None:
        db = await asyncpg.connect(self.server.admin_dsn, timeout=10)
        try:
            await db.execute(statement)
        finally:
            await db.close()
