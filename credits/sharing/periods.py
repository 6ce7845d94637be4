"""Periods: days, weeks and months counted from an anchor date in a time zone. Pure.

Bounds are computed from the anchor, never from the bound before, so that 31 January is followed by 28 February and that
by 31 March. A date begins with the first instant that exists in it: where midnight is skipped that is later, where it
comes twice it is the first. Periods are half-open and partition time (reliability.md F44, I23).
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_DAYS: Final = {"daily": 1, "weekly": 7}


def bounds(anchor: date, period: str, n: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the n-th period after the anchor's as [start, end) in UTC; n may be below 0.

    `period` is daily, weekly or monthly. Where a zone skipped a whole date, that date's period is empty.
    """
    return _begins(_date(anchor, period, n), zone), _begins(_date(anchor, period, n + 1), zone)


def following(anchor: date, period: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Return the period that `now` lies in, as [start, end) in UTC."""
    n = _near(anchor, period, now.astimezone(zone).date())
    start, end = bounds(anchor, period, n, zone)
    while not start <= now < end:
        n += 1 if now >= end else -1
        start, end = bounds(anchor, period, n, zone)
    return start, end


def _date(anchor: date, period: str, n: int) -> date:
    """Return the first date of the n-th period: a month begins on the anchor's day, or on its last one."""
    if period != "monthly":
        return anchor + timedelta(days=n * _DAYS[period])
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + n, 12)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def _near(anchor: date, period: str, day: date) -> int:
    """Return which period a date lies in, off by one at most."""
    if period != "monthly":
        return (day - anchor).days // _DAYS[period]
    return (day.year - anchor.year) * 12 + day.month - anchor.month


@lru_cache(maxsize=4096)
def _begins(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the calendar there shows this date or a later one; many are asked for the same."""
    midnight = datetime.combine(day, time.min, zone)
    late, early = midnight.astimezone(UTC), midnight.replace(fold=1).astimezone(UTC)
    if early >= late:  # it exists, once or twice
        return late
    while late - early > timedelta(microseconds=1):  # skipped: the clocks went forward somewhere in between
        middle = early + (late - early) / 2
        early, late = (early, middle) if middle.astimezone(zone).date() >= day else (middle, late)
    return late
