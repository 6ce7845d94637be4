"""What people are told of a limit that was crossed: what, how much, what remains, when it resets, and what to do."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import formats

from credits import amounts
from credits.ledger import shortfalls
from credits.limits import calendar
from credits.limits.budgets import BudgetState
from credits.limits.crossings import Crossed
from credits.models import Allocation, Budget, CreditPool, QuotaUsage
from credits.reports.forecast import Runway
from orgs import subscriptions
from orgs.models import Organization, User
from orgs.notices import audience, notices
from orgs.notices.kinds import Kind

_ALL: Final = 100
_ALLOCATORS_FROM: Final = 90
_PERIODS: Final = {"day": "daily", "week": "weekly", "month": "monthly"}


def of_allocation(row: Allocation, crossed: Crossed) -> None:
    """Tell the member, and from 90 % on whoever may give them more."""
    organization, user = row.organization, row.user
    lines = [
        _figures(used=row.used, held=row.held, left=row.remaining, whole=row.allocated),
        _outlook(row),
    ]
    if crossed.step == _ALL:
        level, share = "danger", "all"
    else:
        level = "warning" if crossed.step >= _ALLOCATORS_FROM else "info"
        share = _percent(row.used + row.held, row.allocated)
    notices.once(
        kind=Kind.ALLOCATION,
        subject=user.public_id,
        crossing=str(crossed.key),
        to=[user],
        organization=organization,
        title=f"You have used {share} of your credits in {organization.name}",
        lines=lines,
        action="Ask for more credits",
        path=reverse("credits:requests", args=[organization.slug]),
        level=level,
    )
    if crossed.step >= _ALLOCATORS_FROM:
        notices.once(
            kind=Kind.ALLOCATION,
            subject=user.public_id,
            crossing=str(crossed.key),
            to=audience.allocators(organization, row.pool.department),
            organization=organization,
            title=f"{user.name or user.email} has used {share} of their credits",
            lines=lines,
            action="Look at the allocation",
            path=reverse("credits:allocation", args=[organization.slug, user.public_id]),
            level="warning",
        )


def facts(row: Allocation) -> dict[str, str]:
    """Return an allocation's figures for the audit log."""
    return {name: amounts.text(getattr(row, name)) for name in ("allocated", "used", "held", "remaining")}


def of_pool(pool: CreditPool, crossed: Crossed) -> None:
    """Tell whoever shares the pool out."""
    organization, department = pool.organization, pool.department
    left, threshold = amounts.display(pool.available), amounts.display(pool.alert_below or Decimal(0))
    if department is None:
        whose, action = f"The pool of {organization.name}", "Buy credits"
        path = reverse("purchases:buy", args=[organization.slug])
        what = "Buy credits, or lower allocations to get back what members do not need."
    else:
        whose, action = f"The pool of {department.name}", "Look at the department"
        path = reverse("credits:department", args=[organization.slug, department.public_id])
        what = "Fund it from the pool of the organization, or lower allocations of its members."
    notices.once(
        kind=Kind.POOL_LOW,
        subject=department.public_id if department else organization.public_id,
        crossing=str(crossed.key),
        to=audience.allocators(organization, department),
        organization=organization,
        title=f"{whose} has {left} credits left",
        lines=[f"{left} credits are free to spend or allocate; the threshold is {threshold}.", what],
        action=action,
        path=path,
        level="danger" if pool.available <= 0 else "warning",
    )


def of_quota(row: QuotaUsage, crossed: Crossed) -> None:
    """Tell who may change the plan."""
    organization = row.organization
    plan = subscriptions.plan_of(organization=organization)
    is_day = row.period == QuotaUsage.Period.DAY
    most = (plan.daily_calls if is_day else plan.monthly_calls) or 0
    share = _percent(Decimal(row.used), Decimal(most))
    ends = calendar.ends_at(row.starts_on, row.period, organization.time_zone)
    left = max(most - row.used, 0)
    notices.once(
        kind=Kind.QUOTA,
        subject=organization.public_id,
        crossing=str(crossed.key),
        to=audience.admins(organization),
        organization=organization,
        title=f"{organization.name} has used {share} of its calls of {'today' if is_day else 'this month'}",
        lines=[
            f"{row.used:,} of the {most:,} calls of the plan {plan.name} are used, {left:,} remain.",
            f"Counting starts again on {_at(ends, organization)}; beyond the limit calls are refused until then.",
            "A larger plan allows more calls.",
        ],
        action="Look at the usage",
        path=reverse("credits:usage", args=[organization.slug]),
        level="warning" if crossed.step >= 80 else "info",
    )


def of_budget(state: BudgetState, crossed: Crossed) -> None:
    """Tell who sets budgets; of a department's its managers too, of a member's the member."""
    budget, setters = state.budget, audience.admins(state.budget.organization)
    limits = reverse("credits:limits", args=[budget.organization.slug])
    _of_budget(state, crossed, setters, action="Look at the budgets", path=limits)
    if budget.department is not None:
        concerned = audience.managers(budget.department)
    elif budget.user is not None:
        concerned = audience.member(budget.organization, budget.user.public_id)
    else:
        concerned = []
    usage = reverse("credits:usage", args=[budget.organization.slug])
    _of_budget(state, crossed, concerned, action="Look at the usage", path=usage)


def of_runway(organization: Organization, runway: Runway, crossed: Crossed) -> None:
    """Tell who buys."""
    days = runway.days or 0
    lasting = f"last about {days} more day{'' if days == 1 else 's'}" if days else "do not last another day"
    pace = amounts.display_short(runway.a_day) if runway.a_day is not None else "–"
    notices.once(
        kind=Kind.RUNWAY,
        subject=organization.public_id,
        crossing=str(crossed.key),
        to=audience.admins(organization),
        organization=organization,
        title=f"The credits of {organization.name} {lasting}",
        lines=[
            f"{amounts.display_short(runway.left)} credits are left in its pools and allocations.",
            f"It uses {pace} credits a day, the mean of the last 14 days.",
            "Buy credits before they run out: requests are refused then.",
        ],
        action="Buy credits",
        path=reverse("purchases:buy", args=[organization.slug]),
        level="danger" if days < 3 else "warning",
    )


def of_shortfall(organization: Organization, crossed: Crossed) -> None:
    """Tell who buys."""
    owed = amounts.display(shortfalls.open_amount(organization_id=organization.pk))
    notices.once(
        kind=Kind.SHORTFALL,
        subject=organization.public_id,
        crossing=str(crossed.key),
        to=audience.admins(organization),
        organization=organization,
        title=f"Calls of {organization.name} cost {owed} credits more than there was",
        lines=[
            "Requests that were running cost more than was held for them, and nothing was left to pay it.",
            f"{owed} credits are owed. They are taken from the next credits that come into the pool.",
            f"New requests are refused once more than {settings.SHORTFALL_LIMIT:,} credits are owed.",
        ],
        action="Buy credits",
        path=reverse("purchases:buy", args=[organization.slug]),
        level="danger",
    )


def _of_budget(state: BudgetState, crossed: Crossed, to: Collection[User], *, action: str, path: str) -> None:
    budget, organization = state.budget, state.budget.organization
    what = (
        "It is a hard budget: requests beyond it are refused until then."
        if budget.is_hard
        else "It is a soft budget: it tells, and refuses nothing."
    )
    notices.once(
        kind=Kind.BUDGET,
        subject=str(budget.public_id),
        crossing=str(crossed.key),
        to=to,
        organization=organization,
        title=f"The {_PERIODS[budget.period]} budget of {_whose(budget)} is at {state.percent}%",
        lines=[
            _figures(used=state.used, held=state.held, left=state.remaining, whole=state.credits),
            f"The next {budget.period} starts on {_at(state.resets_at, organization)}. {what}",
        ],
        action=action,
        path=path,
        level="danger" if crossed.step >= _ALL else "warning" if crossed.step >= 75 else "info",
    )


def _whose(budget: Budget) -> str:
    if budget.department is not None:
        return budget.department.name
    if budget.user is not None:
        return budget.user.name or str(budget.user)
    return budget.model or budget.organization.name


def _figures(*, used: Decimal, held: Decimal, left: Decimal, whole: Decimal) -> str:
    running = f", {amounts.display(held)} are held by running requests" if held else ""
    return (
        f"{amounts.display(used)} of {amounts.display(whole)} credits are used{running}; "
        f"{amounts.display(max(left, Decimal(0)))} remain."
    )


def _outlook(row: Allocation) -> str:
    """Return until when an allocation's amount has to last, and what comes then."""
    organization = row.organization
    if row.resets_at is not None:
        said = (
            f"The amount of {amounts.display(row.amount)} is restored on {_at(row.resets_at, organization)}."
        )
    else:
        said = "The amount is not restored by itself."
    if row.expires_at is not None:
        said += f" The allocation expires on {_at(row.expires_at, organization)}."
    falls_through = organization.shared_spending == Organization.SharedSpending.ALWAYS
    return said + (
        " What goes beyond it is taken from the pool."
        if falls_through
        else " Requests beyond it are refused."
    )


def _percent(part: Decimal, whole: Decimal) -> str:
    return f"{amounts.percentage(part, whole)}%"


def _at(instant: datetime, organization: Organization) -> str:
    there = instant.astimezone(ZoneInfo(organization.time_zone))
    return f"{formats.date_format(there, 'j F Y, H:i')} ({organization.time_zone})"
