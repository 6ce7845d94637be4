"""Which day it is in an organization's calendar."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from orgs.models import Organization


def today(*, organization: Organization, now: datetime) -> date:
    """Return the date that it is in the organization's time zone."""
    return now.astimezone(ZoneInfo(organization.time_zone)).date()
