"""`flint audit --every-seconds …`: the audit as a process of its own, whose outcome can page."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from prometheus_client import Gauge

from services.audit.report import IDS_SHOWN_MAX
from services.auditing import audit
from services.installed import databases
from services.probes import Readiness, internal_door
from services.running import stop_on_signals
from shared.config import Settings
from shared.db.pool import is_outage
from shared.errors import Unavailable
from shared.failures import describe
from shared.telemetry.metrics import REGISTRY

log = structlog.get_logger("flint.audit")
# Here and not with the others: a process that never audits must not say that nothing is wrong.
BREACHES: Final = Gauge(
    "flint_audit_breaches", "Breaches that the last audit found", registry=REGISTRY
)
AUDITED_AT: Final = Gauge(
    "flint_audited_timestamp_seconds", "When the last audit ended", registry=REGISTRY
)


async def audit_for_ever(settings: Settings, wait_seconds: float, every_seconds: float) -> None:
    """Until SIGTERM or SIGINT. What cannot be reached now is audited the next time."""
    stop = stop_on_signals()
    door = internal_door(Readiness((), stop), settings.internal_host, settings.internal_port)
    async with door:
        while not stop.is_set():
            try:
                await _once(settings, wait_seconds)
            except Exception as error:
                if not (isinstance(error, Unavailable) or is_outage(error)):
                    raise
                log.warning("audit.postponed", reason=describe(error))
            await _pause(stop, every_seconds)


async def _once(settings: Settings, wait_seconds: float) -> None:
    async with databases(settings) as dsns:
        report = await audit(dsns, settings.public_url, wait_seconds)
    BREACHES.set(sum(len(ids) for ids in report.breaches.values()))
    AUDITED_AT.set_to_current_time()
    for rule, ids in report.breaches.items():
        log.error("audit.breached", rule=rule, count=len(ids), ids=sorted(ids)[:IDS_SHOWN_MAX])
    log.info("audit.ended", is_clean=report.is_clean)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
