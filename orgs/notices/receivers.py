"""What people are told when `orgs` announces something: the plan changed, or its invoice is overdue."""

from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import formats, timezone

from orgs import signals
from orgs.models import Plan, Subscription
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind


def connect() -> None:
    """Listen; called once, when the app is ready."""
    signals.subscription_changed.connect(_tell, dispatch_uid="orgs.notices.subscription_changed")


def _tell(*, subscription: Subscription, before: dict[str, Any], **_: Any) -> None:
    status = Subscription.Status
    if subscription.status == status.PAST_DUE:
        _of_overdue(subscription)
    elif subscription.ended_at is not None or before.get("plan_code") != subscription.plan.code:
        _of_plan(subscription, before)


def _of_plan(subscription: Subscription, before: dict[str, Any]) -> None:
    """Tell who may change the plan; each change is an occasion of its own."""
    organization, plan = subscription.organization, subscription.plan
    if subscription.ended_at is not None:
        title = f"The plan {plan.name} of {organization.name} has ended"
        lines = ["Its credits stay. The limits are those of having no plan now."]
    else:
        title = f"{organization.name} is on the plan {plan.name} now"
        lines = [_limits(plan)]
        if was := Plan.objects.filter(code=before.get("plan_code", "")).first():
            lines.insert(0, f"The plan before was {was.name}.")
        until = subscription.current_period_end.astimezone(ZoneInfo(organization.time_zone))
        lines.append(f"The present period lasts until {formats.date_format(until, 'j F Y')}.")
    notices.once(
        kind=Kind.PLAN_CHANGED,
        subject=organization.public_id,
        crossing=timezone.now().isoformat(),
        to=audience.admins(organization),
        organization=organization,
        title=title,
        lines=lines,
        action="Look at the organization",
        path=reverse("dashboards:organization", args=[organization.slug]),
    )


def _of_overdue(subscription: Subscription) -> None:
    """Tell who pays, once for the day since when it is overdue."""
    organization, since = subscription.organization, subscription.past_due_since or timezone.now()
    day = formats.date_format(since.astimezone(ZoneInfo(organization.time_zone)), "j F Y")
    notices.once(
        kind=Kind.PAYMENT_OVERDUE,
        subject=organization.public_id,
        crossing=since.isoformat(),
        to=audience.admins(organization),
        organization=organization,
        title=f"The plan invoice of {organization.name} is overdue",
        lines=[
            f"The invoice of the plan {subscription.plan.name} has been overdue since {day}.",
            "A week after that day requests are refused until it is paid.",
        ],
        action="Look at the organization",
        path=reverse("dashboards:organization", args=[organization.slug]),
        level="danger",
    )


def _limits(plan: Plan) -> str:
    said = [
        f"{calls:,} calls a {period}"
        for calls, period in ((plan.daily_calls, "day"), (plan.monthly_calls, "month"))
        if calls is not None
    ]
    return f"It allows {' and '.join(said)}." if said else "It does not limit the number of calls."
