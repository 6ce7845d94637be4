"""What a page's query string asks for: how many days, by what, which page. Anything unknown is the default."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

Grouping = Literal["model", "user", "department", "service"]

DAYS: Final = (7, 30, 90)
DEFAULT_DAYS: Final = 30
GROUPINGS: Final[dict[Grouping, str]] = {
    "model": "Model",
    "user": "Member",
    "department": "Department",
    "service": "Service",
}


@dataclass(frozen=True)
class Period:
    """Whole days of one calendar, the last one included; today is usually not over."""

    since: date
    until: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.since).days + 1

    @property
    def dates(self) -> list[date]:
        """Every day of it, in order."""
        return [self.since + timedelta(days=day) for day in range(self.days)]


def last_days(days: int, *, today: date) -> Period:
    """Return the period of so many days that ends today."""
    return Period(since=today - timedelta(days=days - 1), until=today)


def today_in(time_zone: str, *, now: datetime) -> date:
    """Return the date that it is in an organization's time zone."""
    return now.astimezone(ZoneInfo(time_zone)).date()


def asked_days(query: Mapping[str, str]) -> int:
    """Return `?days=` if it is one that the page offers."""
    text = query.get("days", "")
    return int(text) if text in {str(days) for days in DAYS} else DEFAULT_DAYS


def asked_grouping(query: Mapping[str, str]) -> Grouping:
    """Return `?by=` if it is one that the page offers."""
    text = query.get("by", "")
    return text if text in GROUPINGS else "model"
