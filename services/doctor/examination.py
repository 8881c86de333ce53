"""The whole examination, in the order in which somebody would mend things."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

import orjson

from services import installed
from services.doctor import broker, configuration, databases
from services.doctor.finding import Finding, fail, ok, verdict
from services.rooms import ROLES, migration_folders, room_of
from shared.bus.room import Room
from shared.config import Settings
from shared.db.embedded import EmbeddedPostgresError


async def examine(parts: Sequence[str], *, is_json: bool) -> bool:
    """Print a line per check (or one JSON object); whether nothing failed.

    `parts` are services, `topology` or `databases`; none: whatever is configured here.
    """
    settings, findings = configuration.read(parts)
    if not is_json:
        _say(one.line() for one in findings)
    if settings is not None:
        async for one in _checks(settings, parts):
            findings.append(one)
            if not is_json:
                _say([one.line()])
    is_well = not any(one.level == "fail" for one in findings)
    if is_json:
        report = {"ok": is_well, "checks": [one.to_json() for one in findings]}
        _say([orjson.dumps(report, option=orjson.OPT_INDENT_2).decode()])
    else:
        _say([verdict(findings)])
    return is_well


async def _checks(settings: Settings, parts: Sequence[str]) -> AsyncIterator[Finding]:
    async for one in _databases(settings):
        yield one
    rooms = {role: room_of(role) for role in ROLES if getattr(settings, f"{role}_amqp_url")}
    if parts:
        rooms = {role: room for role, room in rooms.items() if role in parts}
    async for one in _broker(settings, rooms):
        yield one


async def _databases(settings: Settings) -> AsyncIterator[Finding]:
    folders = migration_folders()
    ahead: dict[str, float] = {}
    try:
        async with installed.databases(settings, partly=True) as dsns:
            names = [unquote(urlsplit(dsn).path.removeprefix("/")) for dsn in dsns.values()]
            for name, dsn in dsns.items():
                has_bus = name in ROLES
                looked = await databases.look(name, dsn, folders[name], names, has_bus=has_bus)
                if looked.ahead_seconds is not None:
                    ahead[name] = looked.ahead_seconds
                for one in looked.findings:
                    yield one
    except EmbeddedPostgresError as error:
        yield fail("databases", str(error), "`make run` makes a shop here")
        return
    for one in databases.compare_clocks(ahead):
        yield one


async def _broker(settings: Settings, rooms: Mapping[str, Room]) -> AsyncIterator[Finding]:
    urls = {role: settings.secret(f"{role}_amqp_url") for role in rooms}
    for role, room in rooms.items():
        for one in await broker.look_as(room, urls[role]):
            yield one
    if settings.topology_management_url is None or settings.topology_amqp_url is None:
        if rooms:
            words = "bindings, policies and alarms are not looked at without FLINT_TOPOLOGY_…_URL"
            yield ok("broker topology", words)
        return
    for one in await broker.look_inside(
        [room_of(role) for role in ROLES],
        {role: (room, urls[role]) for role, room in rooms.items()},
        settings.secret("topology_management_url"),
        settings.secret("topology_amqp_url"),
    ):
        yield one


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
