"""`flint audit`: check the invariants over all databases and the provider's ledger."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Final

from services.audit import messages, money, numbers, pages, places, plans, tickets
from services.audit.report import Report
from services.installed import databases
from services.rooms import ROLES
from shared.config import Settings
from shared.db.pool import Pool, open_pool
from shared.payments.registry import ProviderSettings, open_providers

PAUSE_SECONDS: Final = 0.5
POOL_SIZE: Final = 2
STATEMENT_SECONDS: Final = 600.0  # some statements read a whole table


async def audit_all(settings: Settings, wait_seconds: float) -> bool:
    """Print what was counted and every breach; whether all is well.

    A breach counts only if it is still there after `wait_seconds` of looking: facts are on
    their way between services for a moment.
    """
    async with databases(settings) as dsns:
        report = await audit(dsns, settings.public_url, wait_seconds)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    sys.stdout.write("audit: all is well\n" if report.is_clean else "audit: BREACHES FOUND\n")
    return report.is_clean


async def audit(dsns: Mapping[str, str], public_url: str, wait_seconds: float) -> Report:
    """Look until nothing is wrong or the time is over; what stayed wrong is in the report."""
    deadline = time.monotonic() + wait_seconds
    async with AsyncExitStack() as stack:
        pools = {name: await _pool(stack, name, dsns[name]) for name in ROLES}
        settings = ProviderSettings(public_url=public_url, sandbox_dsn=dsns["sandbox"])
        sandbox = (await stack.enter_async_context(open_providers(settings))).sandbox
        report = first = await _look(pools, sandbox.entries())
        while not report.is_clean and time.monotonic() < deadline:
            await asyncio.sleep(PAUSE_SECONDS)
            report = first.still_in(await _look(pools, sandbox.entries()))
    return report


async def _look(pools: Mapping[str, Pool], ledger: AsyncIterator[money.LedgerEntry]) -> Report:
    report = Report()
    links, sessions, orders = pools["links"], pools["sessions"], pools["orders"]
    log = await messages.check(pools, report)
    await money.check(orders, ledger, log, report)
    await pages.check(sessions, orders, log, report)
    await places.check(links, sessions, orders, report)
    await tickets.check(links, orders, report)
    await plans.check(links, orders, report)
    await numbers.check(pools["gateway"], report)
    return report


async def _pool(stack: AsyncExitStack, name: str, dsn: str) -> Pool:
    pool = await open_pool(
        dsn, name=f"audit-{name}", size=POOL_SIZE, command_seconds=STATEMENT_SECONDS
    )
    stack.push_async_callback(pool.close)
    return pool
