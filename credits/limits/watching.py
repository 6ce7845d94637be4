"""The watch over limits: what is crossed now in all organizations, in a few queries, and who is told of it, once.

Each kind has a transaction of its own, so that one that fails stops no other.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from credits.limits import budgets, crossings, telling
from credits.limits.crossings import Crossed
from credits.models import Allocation, CreditPool, DailyUsage, QuotaUsage
from credits.reports import forecast
from credits.reports.forecast import State
from kit import transactions
from orgs.audit import events
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from orgs.notices.kinds import Kind

logger = logging.getLogger(__name__)

ALLOCATION_STEPS: Final = (75, 90, 100)
QUOTA_STEPS: Final = (50, 80, 95)
BUDGET_STEPS: Final = (50, 75, 90, 100)
NEAR: Final = 5
"""Points below a step at which it counts as crossed still."""
SHORT_DAYS: Final = 7
_NEAR_DAYS: Final = 8
_ACTIVE_DAYS: Final = 14
_AUDITED: Final = 90

_ALLOCATIONS: Final = f"""
SELECT a.organization_id AS o, a.id || '@' || floor(extract(epoch FROM a.opened_at) * 1000)::bigint AS s, step.t,
  (a.used + a.held) * 100 >= step.t * (a.used + a.held + a.remaining) AS is_over
FROM credits_allocation AS a CROSS JOIN unnest(%s::int[]) AS step(t)
WHERE a.closed_at IS NULL AND a.is_limited AND a.used + a.held > 0
  AND (a.resets_at IS NULL OR a.resets_at > portal_clock())
  AND (a.used + a.held) * 100 >= (step.t - {NEAR}) * (a.used + a.held + a.remaining)
"""  # noqa: S608 - text of this module
_POOLS: Final = """
SELECT p.organization_id AS o, p.id::text AS s, 0 AS t, p.available < p.alert_below AS is_over
FROM credits_creditpool AS p LEFT JOIN orgs_department AS d ON d.id = p.department_id
WHERE p.available < p.alert_below * 1.05 AND d.archived_at IS NULL
"""
_QUOTAS: Final = f"""
SELECT q.organization_id AS o, q.id::text AS s, step.t, q.used * 100 >= step.t * calls.most AS is_over
FROM credits_quotausage AS q JOIN orgs_organization AS org ON org.id = q.organization_id
LEFT JOIN orgs_subscription AS live ON live.organization_id = org.id AND live.ended_at IS NULL
JOIN orgs_plan AS plan ON CASE WHEN live.id IS NULL THEN plan.code = 'none' ELSE plan.id = live.plan_id END
CROSS JOIN LATERAL (SELECT (portal_clock() AT TIME ZONE org.time_zone)::date AS day) AS today
CROSS JOIN LATERAL (SELECT CASE q.period WHEN 'day' THEN plan.daily_calls ELSE plan.monthly_calls END AS most) AS calls
CROSS JOIN unnest(%s::int[]) AS step(t)
WHERE q.starts_on >= portal_clock()::date - 32 AND calls.most > 0
  AND q.starts_on = CASE q.period WHEN 'day' THEN today.day ELSE date_trunc('month', today.day)::date END
  AND q.used * 100 >= (step.t - {NEAR}) * calls.most
"""  # noqa: S608 - text of this module
_SHORTFALLS: Final = """
SELECT DISTINCT organization_id AS o, 'open' AS s, 0 AS t, true AS is_over
FROM credits_shortfall WHERE amount > settled + forgiven
"""


def watch(*, now: datetime) -> int:
    """Look at allocations, pools, quotas, budgets and shortfalls; returns how many thresholds were crossed since the last look."""
    return _each(allocations, pools, quotas, shortfalls, lambda: of_budgets(now=now))


def watch_runways(*, now: datetime) -> int:
    """Look at how long credits last, which changes by the day; returns how many organizations came below a week."""
    return _each(lambda: runways(now=now))


def allocations() -> int:
    """Tell of allocations at 75, 90 and 100 %, held credits counted; 90 % is an audit event too."""
    crossed = crossings.update(kind=Kind.ALLOCATION, source=_ALLOCATIONS, parameters=[list(ALLOCATION_STEPS)])
    rows = Allocation.objects.select_related("organization", "user", "pool__department")
    found = rows.in_bulk([int(one.subject.partition("@")[0]) for one in crossed])
    at_90 = []
    for one in crossed:
        row = found[int(one.subject.partition("@")[0])]
        telling.of_allocation(row, one)
        if _AUDITED in one.steps:
            at_90.append(row)
    for row in sorted(at_90, key=lambda row: row.organization_id):  # audit heads are the last locks
        events.record(
            organization=row.organization.public_id,
            by=SYSTEM,
            action="allocation.above_90",
            target=row.user.public_id,
            after=telling.facts(row),
        )
    return len(crossed)


def pools() -> int:
    """Tell of pools below the threshold that was set for them."""
    crossed = crossings.update(kind=Kind.POOL_LOW, source=_POOLS)
    found = CreditPool.objects.select_related("organization", "department").in_bulk(
        [int(one.subject) for one in crossed]
    )
    for one in crossed:
        telling.of_pool(found[int(one.subject)], one)
    return len(crossed)


def quotas() -> int:
    """Tell of the plan's calls of this day or month at 50, 80 and 95 %."""
    crossed = crossings.update(kind=Kind.QUOTA, source=_QUOTAS, parameters=[list(QUOTA_STEPS)])
    found = QuotaUsage.objects.select_related("organization").in_bulk([int(one.subject) for one in crossed])
    for one in crossed:
        telling.of_quota(found[int(one.subject)], one)
    return len(crossed)


def shortfalls() -> int:
    """Tell of calls that cost more than there was, while something of them is owed."""
    crossed = crossings.update(kind=Kind.SHORTFALL, source=_SHORTFALLS)
    for organization, one in _with_organizations(crossed):
        telling.of_shortfall(organization, one)
    return len(crossed)


def of_budgets(*, now: datetime) -> int:
    """Tell of budgets at 50, 75, 90 and 100 % of their present period."""
    found = {
        f"{state.budget.public_id}:{state.starts_on}": state
        for state in budgets.states_of(budgets.live(), now=now)
    }
    near = (
        (state.budget.organization_id, subject, step, state.used * 100 >= step * state.credits)
        for subject, state in found.items()
        for step in BUDGET_STEPS
        if state.used * 100 >= (step - NEAR) * state.credits
    )
    crossed = crossings.update(kind=Kind.BUDGET, source=crossings.LISTED, parameters=[crossings.listed(near)])
    for one in crossed:
        telling.of_budget(found[one.subject], one)
    return len(crossed)


def runways(*, now: datetime) -> int:
    """Tell of organizations that used credits in the last 14 days and whose credits last less than 7 days."""
    since = now.date() - timedelta(days=_ACTIVE_DAYS + 1)
    active = DailyUsage.objects.filter(day__gte=since).order_by().values("organization").distinct()
    found = {}
    for organization in Organization.objects.filter(pk__in=active).iterator():
        runway = forecast.of_organization(organization=organization, now=now).runway
        if runway.state == State.KNOWN and runway.days is not None and runway.days < _NEAR_DAYS:
            found[organization.pk] = runway
    near = ((key, "credits", 0, (runway.days or 0) < SHORT_DAYS) for key, runway in found.items())
    crossed = crossings.update(kind=Kind.RUNWAY, source=crossings.LISTED, parameters=[crossings.listed(near)])
    for organization, one in _with_organizations(crossed):
        telling.of_runway(organization, found[organization.pk], one)
    return len(crossed)


def _each(*watches: Callable[[], int]) -> int:
    """Run each watch until it finds nothing more, in transactions of a bounded size."""
    count = 0
    for one in watches:
        try:
            crossed = crossings.AT_ONCE
            while crossed >= crossings.AT_ONCE:
                with transactions.durable():
                    crossed = one()
                count += crossed
        except Exception:  # the others are looked at all the same, and this one in a minute
            logger.exception("a watch over limits failed")
    return count


def _with_organizations(crossed: list[Crossed]) -> Iterator[tuple[Organization, Crossed]]:
    found = Organization.objects.in_bulk([one.organization_id for one in crossed])
    for one in crossed:
        yield found[one.organization_id], one
