"""What system admins are told of Lago: books that differ from its own, and a Lago that is not as the portal needs it."""

from datetime import datetime, timedelta
from typing import Final

from django.urls import reverse

from lago_sync.models import HealthCheck, Identity
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

_SHOWN: Final = 5
AWAY_FOR: Final = timedelta(minutes=10)
"""A Lago that gives no answer for less is not told of: usage and purchases wait for it."""


def of_differences(row: Identity, *, before: Identity | None) -> None:
    """Tell once that an organization's books differ, until they have agreed again."""
    if not row.differences or (before is not None and before.differences):
        return
    more = len(row.differences) - _SHOWN
    said = [f"{one['what']}. {one['why']}" for one in row.differences[:_SHOWN]]
    notices.once(
        kind=Kind.LAGO_OUT_OF_STEP,
        subject=row.organization.public_id,
        crossing=before.checked_at.isoformat() if before is not None else "first",
        to=audience.system_admins(),
        organization=row.organization,
        title=f"{row.organization.name} is out of step with Lago",
        lines=[*said, f"And {more} more."] if more > 0 else said,
        action="Look at Lago",
        path=reverse("dashboards:system"),
        level="danger",
    )


def of_health(row: HealthCheck, *, is_away: bool, now: datetime) -> None:
    """Tell once of a Lago that is wrong, or away for long, until it was healthy again."""
    last = row.last_healthy_at
    if is_away and last is not None and now - last < AWAY_FOR:
        return
    notices.once(
        kind=Kind.LAGO_OUT_OF_STEP,
        subject="lago",
        crossing=last.isoformat() if last is not None else "never healthy",
        to=audience.system_admins(),
        organization=None,
        title="Lago gives no answer" if is_away else "Lago is not as the portal needs it",
        lines=[f"{one['what']} {one['do']}".strip() for one in row.problems[:_SHOWN]] or [row.message],
        action="Look at Lago",
        path=reverse("dashboards:system"),
        level="danger",
    )
