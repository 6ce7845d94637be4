"""Billing periods as Lago counts them: whole days, by the calendar or from the day on which the subscription began.

Source: reference/lago.md §5, B26–B29: an anniversary on a day that a month lacks is that month's last day.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from lago_sync.models import LagoSubscription

A_YEAR: Final = {"weekly": 52, "monthly": 12, "quarterly": 4, "semiannual": 2, "yearly": 1}
"""How often an interval's price is paid a year, which is by what Lago compares two plans."""
_DAYS: Final = timedelta(days=7)
_LAST_SECOND: Final = time(23, 59, 59)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A billing period by its days, the last one included, in the zone in which Lago counts this customer's."""

    first: date
    last: date
    zone: tzinfo

    @property
    def days(self) -> int:
        """How many days it has: what a day costs is the price divided by this."""
        return (self.last - self.first).days + 1

    @property
    def next_begins_at(self) -> datetime:
        """The first moment of the period after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), self.zone).astimezone(UTC)

    def days_from(self, day: date) -> int:
        """Return how many days are left from a day on, that day included."""
        return (self.last - max(day, self.first)).days + 1


def of(row: LagoSubscription, *, at: datetime, interval: str = "") -> Period:
    """Return the period in which a moment lies, of the subscription or, after a change, of a plan of another interval."""
    zone = _zone(row)
    anchor = (row.subscription_at or row.started_at).astimezone(zone).date()
    day = at.astimezone(zone).date()
    interval = interval or row.interval
    if row.billing_time == "calendar":
        anchor = _calendar_anchor(interval, day)
    first, last = _around(interval, anchor, day)
    return Period(first=first, last=last, zone=zone)


def day_of(row: LagoSubscription, at: datetime) -> date:
    """Return the day on which a moment lies where Lago counts this subscription's days."""
    return at.astimezone(_zone(row)).date()


def _zone(row: LagoSubscription) -> tzinfo:
    """Return the zone in which the known period ends with a day: UTC, or the customer's own where Lago has a licence."""
    if row.period_end.astimezone(UTC).time().replace(microsecond=0) == _LAST_SECOND:
        return UTC
    return ZoneInfo(row.organization.time_zone)


def _around(interval: str, anchor: date, day: date) -> tuple[date, date]:
    if interval == "weekly":
        first = day - timedelta(days=(day - anchor).days % 7)
        return first, first + _DAYS - timedelta(days=1)
    months = 12 // A_YEAR[interval]
    count = ((day.year - anchor.year) * 12 + day.month - anchor.month) // months
    if _months_later(anchor, count * months) > day:
        count -= 1
    following = _months_later(anchor, (count + 1) * months)
    return _months_later(anchor, count * months), following - timedelta(days=1)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _calendar_anchor(interval: str, day: date) -> date:
    if interval == "weekly":
        return day - timedelta(days=day.weekday())
    months = 12 // A_YEAR[interval]
    return date(day.year, (day.month - 1) // months * months + 1, 1)
