"""The auditor finds whatever is wrong with a shop's books, and nothing in books that are right."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest

import services.audit
from services.audit import money, pages, places, tickets
from services.auditing import audit
from tests.faults.breaches import Breach
from tests.faults.breaches_of_money import MESSAGES, MONEY
from tests.faults.breaches_of_numbers import NUMBERS
from tests.faults.breaches_of_pages import PAGES, PLACES
from tests.faults.breaches_of_plans import PLANS
from tests.faults.breaches_of_tickets import TICKETS
from tests.faults.histories import ORIGIN, make_history
from tests.support.postgres import Databases

BREACHES = (*MESSAGES, *MONEY, *PAGES, *PLACES, *TICKETS, *NUMBERS, *PLANS)
FLINT = str(Path(sys.executable).parent / "flint")


class Books:
    """Five databases of one shop, and who is who in them."""

    def __init__(self, databases: Databases, dsns: dict[str, str], ids: dict[str, str]) -> None:
        self._databases = databases
        self.dsns = dsns
        self.ids = ids

    async def with_breach(self, breach: Breach) -> dict[str, str]:
        """Copies of the databases that it is planted in, and the others as they are."""
        dsns = dict(self.dsns)
        for name, sql in breach.plant.items():
            dsns[name] = await self._databases.copy(self.dsns[name])
            db = await asyncpg.connect(dsns[name])
            try:
                await db.execute(sql.format(**self.ids))
            finally:
                await db.close()
        return dsns

    async def drop(self, dsns: Mapping[str, str]) -> None:
        for dsn in set(dsns.values()) - set(self.dsns.values()):
            await self._databases.drop(dsn)


@pytest.fixture(scope="module")
async def books(databases: Databases) -> AsyncIterator[Books]:
    dsns, ids = await make_history(databases)
    yield Books(databases, dsns, ids)
    for dsn in dsns.values():
        await databases.drop(dsn)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.rule.replace(" ", "-"))
async def test_every_rule_finds_what_breaks_it(books: Books, breach: Breach) -> None:
    dsns = await books.with_breach(breach)

    report = await audit(dsns, ORIGIN, wait_seconds=0)

    assert not report.is_clean
    assert breach.found.format(**books.ids) in report.breaches.get(breach.rule, ()), report.lines()
    await books.drop(dsns)


def test_every_rule_has_something_that_breaks_it() -> None:
    assert {breach.rule for breach in BREACHES} == _rules()


async def test_nothing_is_found_in_books_that_are_right(books: Books) -> None:
    code, output = await _flint_audit(books.dsns)

    assert code == 0, output
    assert "audit: all is well" in output
    for counted in ("orders", "payment intents", "checkout sessions", "payment links", "events"):
        assert any(line.endswith(f"  {counted}") for line in output.splitlines()), counted


async def test_the_command_names_what_it_found_and_exits_with_1(books: Books) -> None:
    breach = next(one for one in BREACHES if one.rule == "the provider charged another sum")
    dsns = await books.with_breach(breach)

    code, output = await _flint_audit(dsns)

    assert code == 1
    assert f"BREACH  {breach.rule}: {books.ids['paid_attempt']}" in output.splitlines()
    await books.drop(dsns)


async def test_what_is_only_on_its_way_is_no_breach(books: Books) -> None:
    """A place that is still held when the audit looks first, and sold a moment later."""
    rule = "a place is held by a payment that has ended"
    breach = next(one for one in BREACHES if one.rule == rule)
    dsns = await books.with_breach(breach)
    looking = asyncio.create_task(audit(dsns, ORIGIN, wait_seconds=20))
    db = await asyncpg.connect(dsns["links"])
    await asyncio.wait([looking], timeout=0.2)  # the first look
    await db.execute("UPDATE claims SET state = 'final'")
    await db.close()

    report = await looking

    assert report.is_clean, report.lines()
    await books.drop(dsns)


def _rules() -> set[str]:
    """Every rule's name, from the auditor's own sources."""
    named: set[str] = {*money.RULES, *pages.RULES, *places.RULES, *tickets.RULES}
    named |= {*places.COUNTED.values()}
    for path in Path(services.audit.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "breach":
                rule = node.args[0]
                named |= {str(rule.value)} if isinstance(rule, ast.Constant) else set()
    return named


async def _flint_audit(dsns: Mapping[str, str]) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLINT_")}
    env |= {f"FLINT_{name.upper()}_DATABASE_URL": dsn for name, dsn in dsns.items()}
    process = await asyncio.create_subprocess_exec(
        FLINT, "audit", "--wait-seconds", "0", env=env, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
