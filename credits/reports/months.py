"""Calendar months of an organization: named as `2026-10`, bounded by midnights of its time zone."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

from credits.reports import buckets, calendars
from credits.sharing import periods
from orgs.models import Organization

_NAME: Final = re.compile(r"(20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One calendar month, by its first day."""

    first: date

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Return the month that a name such as `2026-10` names, None for anything else."""
        return cls(date.fromisoformat(f"{name}-01")) if _NAME.fullmatch(name) else None

    @classmethod
    def of(cls, *, organization: Organization, now: datetime) -> Self:
        """Return the month that it is in the organization's time zone."""
        return cls(calendars.today(organization=organization, now=now).replace(day=1))

    @property
    def last(self) -> date:
        """The last day."""
        return buckets.month_of(self.first).last

    @property
    def previous(self) -> "Month":
        """The month before."""
        return Month((self.first - timedelta(days=1)).replace(day=1))

    @property
    def following(self) -> "Month":
        """The month after."""
        return Month(self.last + timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    def bounds(self, organization: Organization) -> tuple[datetime, datetime]:
        """Return the instants at which it begins and the next one does, on the organization's wall."""
        return periods.bounds(self.first, "monthly", 0, ZoneInfo(organization.time_zone))
