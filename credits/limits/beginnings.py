"""Beginnings: a hard budget starts with exactly what its period has used and holds, whatever is being spent beside it.

Every payer of the organization is locked first, so that no spend is in flight: who spent before is counted here, who
spends afterwards reads the budget and counts by itself.
"""

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
SELECT b.id, b.organization_id, %s::date,
  coalesce((SELECT sum(x.credits) FROM credits_dailyusage x
    WHERE x.organization_id = b.organization_id AND x.day >= %s AND x.day < %s AND {COUNTS}), 0),
  coalesce((SELECT sum(x.credits) FROM credits_hold x
    WHERE x.organization_id = b.organization_id AND x.status = 'active' AND x.day >= %s AND x.day < %s AND {COUNTS}), 0)
FROM credits_budget b WHERE b.id = %s
ON CONFLICT (budget_id, starts_on) DO UPDATE SET used = excluded.used, held = excluded.held
"""  # noqa: S608


def lock_payers(organization: Organization) -> None:
    """Lock every row that pays, the organization's pool made where missing: nobody spends until this commits.

    Pools before departments' before allocations, each listed when those it is filled from are locked: none comes to
    have credits in between.
    """
    payers.lock([("pool", pools.of_organization(organization).pk)])
    for model, kind in ((CreditPool, "pool"), (Allocation, "allocation")):
        keys = model.objects.filter(organization=organization).values_list("pk", flat=True)
        payers.lock([(kind, key) for key in keys])


def begin(budget: Budget) -> None:
    """Count what the present period has used and holds; whoever spends counts from here on."""
    start, end = budget.since, calendar.next_first_day(budget.since, budget.period)
    statements.run(_BEGIN, start, start, end, start, end, budget.pk)
