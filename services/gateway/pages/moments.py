"""Moments as a buyer reads them: in the zone they belong to, and with that zone named."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_timezone_gmt, get_timezone_location

DayStyle = Literal["long", "full"]
UTC_NAMES: Final = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})


def format_moment(
    moment: datetime, timezone: str = "UTC", locale: str = "en", *, day: DayStyle = "full"
) -> str:
    """With the zone named: an event's time means nothing without it."""
    local = moment.astimezone(ZoneInfo(timezone))
    date = format_date(local, day, locale=locale)
    return f"{date}, {_clock(local, locale)} {_zone(local, locale)}"


def format_period(start: datetime, end: datetime | None, timezone: str, locale: str = "en") -> str:
    """From when to when; the day is said once if it ends on the same one."""
    if end is None:
        return format_moment(start, timezone, locale)
    zone = ZoneInfo(timezone)
    first, last = start.astimezone(zone), end.astimezone(zone)
    if first.date() != last.date():
        opens = f"{format_date(first, 'full', locale=locale)}, {_clock(first, locale)}"
        return f"{opens} – {format_moment(end, timezone, locale)}"
    hours = f"{_clock(first, locale)} – {_clock(last, locale)}"
    return f"{format_date(first, 'full', locale=locale)}, {hours} {_zone(last, locale)}"


def place_of_zone(timezone: str, locale: str = "en") -> str:
    """The city whose clocks are meant ("Berlin"); empty for UTC, which is nobody's."""
    if timezone in UTC_NAMES:
        return ""
    return str(get_timezone_location(ZoneInfo(timezone), locale=locale, return_city=True))


def _clock(local: datetime, locale: str) -> str:
    clock = format_time(local, "short", tzinfo=local.tzinfo, locale=locale)
    return clock.replace("\u202f", "\u00a0")  # many fonts have no narrow space and show none


def _zone(local: datetime, locale: str) -> str:
    """CEST; where a zone has no letters of its own, its distance from Greenwich."""
    name = local.tzname() or ""
    return name if name.isalpha() else get_timezone_gmt(local, "long", locale=locale)
