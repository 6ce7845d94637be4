"""What people are told of a change that they planned, or that was not made; a change that took effect is told by `orgs`."""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.urls import reverse
from django.utils import formats

from lago_sync.models import LagoSubscription, PlanChange
from lago_sync.subscriptions import catalogue
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind


def applied(change: PlanChange, row: LagoSubscription | None) -> None:
    """Tell of what is planned now, or is no longer; of an upgrade the new plan tells itself."""
    organization = change.organization
    if row is None:
        return
    if change.kind == PlanChange.Kind.CANCEL and row.ending_at is not None:
        day = _day(row.ending_at)
        lines = [f"It can be used until {day}, and can be taken back until then.", "Bought credits stay."]
        _tell(change, f"The plan of {organization.name} ends on {day}", lines, "warning")
    elif change.kind == PlanChange.Kind.DOWNGRADE and row.next_plan_code:
        day = _day(row.period_end)
        lines = [f"The present plan holds until {day}. The change can be taken back until then."]
        _tell(
            change,
            f"{organization.name} changes to {catalogue.name(change.plan_code)} after {day}",
            lines,
            "info",
        )
    elif change.kind == PlanChange.Kind.TAKE_BACK:
        _tell(
            change, f"The plan of {organization.name} goes on", ["What was planned was taken back."], "info"
        )


def refused(change: PlanChange, *, why: str) -> None:
    """Tell of a change that was asked for and not made."""
    lines = [why, "The plan is as it was, and nothing is owed for the change."]
    _tell(change, f"The plan of {change.organization.name} was not changed", lines, "danger")


def _tell(change: PlanChange, title: str, lines: Sequence[str], level: str) -> None:
    """Tell who may change the plan, and who asked."""
    organization = change.organization
    notices.once(
        kind=Kind.PLAN_CHANGED,
        subject=f"change:{change.pk}",
        crossing=change.kind,
        to=[*audience.admins(organization), *audience.member(organization, change.made_by)],
        organization=organization,
        title=title,
        lines=lines,
        action="Look at the plan",
        path=reverse("plans:plan", args=[organization.slug]),
        level=level,
    )


def _day(at: datetime) -> str:
    """Return the day in words as Lago counts it, which is how pages and invoices have it."""
    return formats.date_format(at.astimezone(UTC), "j F Y")
