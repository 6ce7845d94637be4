"""Calendar periods of an organization's dates: days, ISO weeks that begin on Monday, months."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

PERIODS: Final = ("day", "week", "month")


def first_day(day: date, period: str) -> date:
    """Return the first day of the period that a day lies in."""
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def next_first_day(start: date, period: str) -> date:
    """Return the first day of the period after the one that begins with `start`."""
    if period == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if period == "week" else 1)


def midnight(day: date, time_zone: str) -> datetime:
    """Return the first instant of a date there, in UTC.

    A midnight that the clocks skip is the first instant that exists, one that they repeat the first (PEP 495, fold 0).
    """
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def ends_at(start: date, period: str, time_zone: str) -> datetime:
    """Return the first instant after the period that begins with `start`, in UTC."""
    return midnight(next_first_day(start, period), time_zone)
