"""Billing periods: whole days, the last one included; calendar, or counted from the day of the subscription."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_MONTHS: Final = {"monthly": 1, "quarterly": 3, "semiannual": 6, "yearly": 12}
INTERVALS: Final = ("weekly", *_MONTHS)


@dataclass(frozen=True)
class Period:
    """From the first day's 00:00:00 to the last day's 23:59:59."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def begins_at(self) -> datetime:
        return midnight(self.first)

    @property
    def ends_at(self) -> datetime:
        return datetime.combine(self.last, time(23, 59, 59), UTC)

    @property
    def next_begins_at(self) -> datetime:
        return midnight(self.last + timedelta(days=1))

    def days_from(self, day: date) -> int:
        """Return how many days remain from a day on, that day included."""
        return max(0, (self.last - max(day, self.first)).days + 1)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or its last day where it has no such day (31 January -> 28 February)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def containing(*, interval: str, billing_time: str, anchor: date, day: date) -> Period:
    """Return the period in which a day lies; `anchor` is the first day of the subscription."""
    if billing_time == "calendar":
        anchor = _calendar_anchor(interval, day)
    if interval == "weekly":
        first = day - timedelta(days=(day - anchor).days % 7)
        return Period(first, first + timedelta(days=6))
    step = _MONTHS[interval]
    passed = (day.year - anchor.year) * 12 + day.month - anchor.month
    count = passed // step
    if add_months(anchor, count * step) > day:
        count -= 1
    first = add_months(anchor, count * step)
    return Period(first, add_months(anchor, (count + 1) * step) - timedelta(days=1))


def _calendar_anchor(interval: str, day: date) -> date:
    if interval == "weekly":
        return day - timedelta(days=day.weekday())
    step = _MONTHS[interval]
    return date(day.year, (day.month - 1) // step * step + 1, 1)
