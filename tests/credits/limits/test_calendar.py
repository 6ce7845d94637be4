"""Calendar periods begin and end with the organization's dates, also where clocks skip or repeat midnight."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from credits.limits import calendar

ZONES = (
    "UTC",
    "America/New_York",
    "America/Santiago",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ZONES)
def test_midnight_is_the_first_instant_of_its_date(zone):
    there = ZoneInfo(zone)
    for number in range(800):
        day = date(2026, 1, 1) + timedelta(days=number)
        start = calendar.midnight(day, zone)
        assert start.astimezone(there).date() == day
        assert (start - TICK).astimezone(there).date() < day


@pytest.mark.parametrize("period", calendar.PERIODS)
def test_every_day_is_in_one_period_and_the_next_begins_where_it_ends(period):
    for number in range(800):
        day = date(2027, 1, 1) + timedelta(days=number)
        start = calendar.first_day(day, period)
        following = calendar.next_first_day(start, period)
        assert start <= day < following
        assert calendar.first_day(start, period) == start
        assert calendar.first_day(following, period) == following
        assert calendar.first_day(following - timedelta(days=1), period) == start


def test_weeks_begin_on_monday_across_a_new_year():
    assert calendar.first_day(date(2027, 1, 3), "week") == date(2026, 12, 28)
    assert calendar.next_first_day(date(2026, 12, 28), "week") == date(2027, 1, 4)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2027, 3, 14), 23),
        ("America/New_York", date(2027, 11, 7), 25),
        ("Africa/Cairo", date(2027, 4, 30), 23),
        ("America/Havana", date(2027, 11, 7), 25),
    ],
)
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(zone, day, hours):
    assert calendar.ends_at(day, "day", zone) - calendar.midnight(day, zone) == timedelta(hours=hours)


def test_a_date_that_a_zone_skipped_has_no_time():
    skipped = date(2011, 12, 30)
    assert calendar.midnight(skipped, "Pacific/Apia") == datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert calendar.ends_at(skipped, "day", "Pacific/Apia") == calendar.midnight(skipped, "Pacific/Apia")
