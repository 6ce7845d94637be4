"""Days, weeks and months as the columns of a report: each has its first and last day inside the period asked for."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

UNITS: Final = ("day", "week", "month")
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One day, week (from Monday) or month, cut to the period; `start` is its first day uncut.

    `before` is where as many days just before it begin.
    """

    start: date
    first: date
    last: date

    @property
    def before(self) -> date:
        """Return the first of as many days that end before this one begins."""
        return self.first - (self.last - self.first) - _A_DAY


def columns(since: date, until: date, unit: str) -> list[Column]:
    """Return the columns from `since` to `until`, both included; the first and the last may be cut."""
    found: list[Column] = []
    first = since
    while first <= until:
        begin = _begin(first, unit)
        last = min(_end(begin, unit), until)
        found.append(Column(start=begin, first=first, last=last))
        first = last + _A_DAY
    return found


def start(day: date, unit: str, since: date) -> date:
    """Return the `first` of the column that a day lies in."""
    return max(_begin(day, unit), since)


def fitting(since: date, until: date, most: int) -> str:
    """Return the finest unit that needs no more than `most` columns: a long period is drawn coarser."""
    days = (until - since).days + 1
    if days <= most:
        return "day"
    return "week" if days <= most * 7 else "month"


def _begin(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _end(begin: date, unit: str) -> date:
    if unit == "week":
        return begin + timedelta(days=6)
    return begin.replace(day=monthrange(begin.year, begin.month)[1]) if unit == "month" else begin


def month_of(day: date) -> Column:
    """Return the whole calendar month that a day lies in."""
    begin = _begin(day, "month")
    return Column(start=begin, first=begin, last=_end(begin, "month"))


def within(day: date, unit: str, since: date, until: date) -> Column:
    """Return the column that begins on `day`, cut to the period."""
    begin = _begin(day, unit)
    return Column(start=begin, first=max(begin, since), last=min(_end(begin, unit), until))


def day_of(key: str) -> date:
    """Return the day that the key of a group of time names."""
    return date.fromisoformat(key)
