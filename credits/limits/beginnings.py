"""Beginnings: a hard budget starts with exactly what its periods have used and hold, whatever is being spent beside it.

Every payer of the organization is locked first, so that no spend is in flight: who spent before is counted here, who
spends afterwards reads the budget and counts by itself.
"""

from datetime import date, timedelta
from typing import Final

from credits.ledger import payers, pools, statements
from credits.limits import calendar
from credits.models import Allocation, Budget, CreditPool
from orgs.models import Organization

COUNTS: Final = """CASE b.scope WHEN 'department' THEN x.department_id = b.department_id
  WHEN 'member' THEN x.user_id = b.user_id WHEN 'model' THEN x.model = b.model ELSE true END"""
"""Whether a rollup or hold `x` counts in budget `b`."""
_BEGIN: Final = f"""
INSERT INTO credits_budgetusage AS u (budget_id, organization_id, starts_on, used, held)
SELECT b.id, b.organization_id, p.starts_on, sum(p.used), sum(p.held)
FROM credits_budget b CROSS JOIN LATERAL (
  SELECT date_trunc(b.period, x.day::timestamp)::date, x.credits, 0 FROM credits_dailyusage x
  WHERE x.organization_id = b.organization_id AND x.day >= b.since AND {COUNTS}
  UNION ALL
  SELECT date_trunc(b.period, x.day::timestamp)::date, 0, x.credits FROM credits_hold x
  WHERE x.organization_id = b.organization_id AND x.status = 'active' AND x.day >= b.since AND {COUNTS}
  UNION ALL
  SELECT x.starts_on, 0, 0 FROM credits_budgetusage x WHERE x.budget_id = b.id AND x.starts_on >= b.since
) AS p (starts_on, used, held)
WHERE b.id = %s GROUP BY 1, 2, 3
ON CONFLICT (budget_id, starts_on) DO UPDATE SET used = excluded.used, held = excluded.held
"""  # noqa: S608
"""The last branch sets to nothing what an earlier time as a hard budget left behind."""
_FURTHEST_BACK: Final = timedelta(days=2)
"""How far a change of time zone may move a date: 26 hours, from UTC+14 to UTC-12, and so over two midnights."""


def lock_payers(organization: Organization) -> None:
    """Lock every row that pays, the organization's pool made where missing: nobody spends until this commits.

    Pools before departments' before allocations, each listed when those it is filled from are locked: none comes to
    have credits in between.
    """
    payers.lock([("pool", pools.of_organization(organization).pk)])
    for model, kind in ((CreditPool, "pool"), (Allocation, "allocation")):
        keys = model.objects.filter(organization=organization).values_list("pk", flat=True)
        payers.lock([(kind, key) for key in keys])


def first_day(today: date, period: str) -> date:
    """Return the first day that a budget set today counts: no change of time zone leads before it."""
    return calendar.first_day(today - _FURTHEST_BACK, period)


def begin(budget: Budget) -> None:
    """Count what each period from `since` on has used and holds; whoever spends counts from here on.

    Days after today have some where the organization's time zone moved west, or where a gateway's clock is ahead.
    """
    statements.run(_BEGIN, budget.pk)
