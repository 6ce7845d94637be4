"""Periods partition time, in every zone: days that are skipped or repeated, months that end early (F44, I23)."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credits.sharing import periods

ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu",
    "Africa/Cairo", "America/Santiago", "America/Havana", "Asia/Beirut", "Pacific/Kwajalein", "America/Toronto",
    "Africa/Monrovia", "Asia/Tehran", "Antarctica/Troll", "Pacific/Chatham",
]  # fmt: skip
"""Whole and half hours of summer time, clocks that change at midnight or across it, dates that were skipped."""

zones = st.sampled_from(ZONES).map(ZoneInfo)
anchors = st.one_of(
    st.dates(date(1971, 1, 1), date(2037, 12, 31)),
    st.sampled_from(
        [
            *(date(2024, month, day) for month, day in [(1, 29), (1, 30), (1, 31), (2, 29), (12, 31)]),
            *(date(2011, 12, 30), date(2026, 10, 4), date(2026, 4, 24), date(2026, 9, 6), date(2026, 11, 1)),
        ]
    ),
)
kinds = st.sampled_from(["daily", "weekly", "monthly"])
instants = st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware here


def partition_time(zone, anchor, kind, n, now):
    """Check one zone, anchor, count and moment."""
    bounds = [periods.bounds(anchor, kind, index, zone) for index in range(n, n + 3)]
    assert all(start <= end for start, end in bounds)
    assert all(end == start for (_, end), (start, _) in pairwise(bounds)), "a gap or an overlap"
    assert all(start.tzinfo is UTC and end.tzinfo is UTC for start, end in bounds)
    for start, end in bounds:
        if start < end:  # both ends, and the last moment before the next one
            assert periods.following(anchor, kind, zone, start) == (start, end)
            assert periods.following(anchor, kind, zone, end - timedelta(microseconds=1)) == (start, end)
    start, end = periods.following(anchor, kind, zone, now)
    assert start <= now < end
    month = [periods.bounds(anchor, "monthly", index, zone) for index in range(12 * n, 12 * n + 12)]
    year = (
        periods.bounds(anchor, "monthly", 12 * n, zone)[0],
        periods.bounds(anchor, "monthly", 12 * n + 12, zone)[0],
    )
    assert (month[0][0], month[-1][1]) == year
    assert sum((end - start for start, end in month), timedelta()) == year[1] - year[0]


@settings(max_examples=400, deadline=None)
@given(zone=zones, anchor=anchors, kind=kinds, n=st.integers(-20, 20), now=instants)
def test_periods_partition_time(zone, anchor, kind, n, now):
    partition_time(zone, anchor, kind, n, now)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None)
@given(zone=zones, anchor=anchors, kind=kinds, n=st.integers(-20, 20), now=instants)
def test_periods_partition_time_a_hundred_thousand_times(zone, anchor, kind, n, now):
    partition_time(zone, anchor, kind, n, now)


@settings(max_examples=200, deadline=None)
@given(zone=zones, anchor=anchors, kind=kinds)
def test_a_date_begins_with_the_first_instant_that_exists_in_it(zone, anchor, kind):
    start, _ = periods.bounds(anchor, kind, 0, zone)
    assert start.astimezone(zone).date() >= anchor
    assert (start - timedelta(microseconds=1)).astimezone(zone).date() < anchor


@pytest.mark.parametrize(
    ("anchor", "starts"),
    [
        ("2026-01-31", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
        ("2028-01-30", ["2028-01-30", "2028-02-29", "2028-03-30"]),
        ("2028-02-29", ["2028-02-29", "2028-03-29", "2028-04-29"]),
        ("2026-12-31", ["2026-12-31", "2027-01-31", "2027-02-28"]),
        ("2026-11-15", ["2026-11-15", "2026-12-15", "2027-01-15"]),
    ],
)
def test_a_month_begins_on_the_anchors_day_or_on_its_last(anchor, starts):
    day = date.fromisoformat(anchor)
    found = [
        periods.bounds(day, "monthly", n, ZoneInfo("UTC"))[0].date().isoformat() for n in range(len(starts))
    ]
    assert found == starts


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("America/New_York", "2026-03-08", "2026-03-08T05:00", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00", 25),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", 23.5),
        ("Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15", 24),
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00", 23),  # midnight is skipped
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30", 23.5),  # skipped from 23:30 to 00:30
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),  # midnight comes twice
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),  # a date that never was
    ],
)  # fmt: skip
def test_a_day_is_as_long_as_the_clocks_there_make_it(zone, day, start, hours):
    begins, ends = periods.bounds(date.fromisoformat(day), "daily", 0, ZoneInfo(zone))
    assert begins == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert ends - begins == timedelta(hours=hours)
