"""When an event is, in the zone it belongs to and with that zone named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.pages.moments import format_moment, format_period, place_of_zone

EVENING = datetime(2027, 7, 17, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "lasts, told",
    [
        (None, "Saturday, 17 July 2027, 19:00 CEST"),
        (timedelta(hours=4), "Saturday, 17 July 2027, 19:00 – 23:00 CEST"),
        (
            timedelta(hours=9),
            "Saturday, 17 July 2027, 19:00 – Sunday, 18 July 2027, 04:00 CEST",
        ),
    ],
)
def test_the_day_is_said_once_unless_it_ends_on_another(lasts: timedelta | None, told: str):
    end = None if lasts is None else EVENING + lasts

    assert format_period(EVENING, end, "Europe/Berlin", "en_GB") == told


def test_the_day_is_the_zone_s_and_not_greenwich_s():
    late = datetime(2027, 7, 17, 23, 30, tzinfo=UTC)

    assert format_moment(late, "Asia/Tokyo", "en_GB").startswith("Sunday, 18 July 2027, 08:30")


@pytest.mark.parametrize(
    "zone, told, city",
    [
        ("America/Sao_Paulo", "GMT-03:00", "Sao Paulo"),
        ("Asia/Kathmandu", "GMT+05:45", "Kathmandu"),
        ("America/New_York", "EDT", "New York"),
        ("UTC", "UTC", ""),
    ],
)
def test_a_zone_without_letters_is_told_by_its_distance(zone: str, told: str, city: str):
    assert format_moment(EVENING, zone, "en").rpartition(" ")[2] == told
    assert place_of_zone(zone, "en") == city
