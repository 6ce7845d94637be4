"""Ceilings: what hard budgets let through, exact at the edge.

A hard budget has one row per calendar period with what is used and held in it. Only organizations that set one pay for
it: their holds, charges and corrections lock the rows they count in, after quotas, in order of budget and period.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final
from uuid import UUID

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import statements
from credits.ledger.records import Usage
from credits.ledger.standing import Standing
from credits.limits import calendar
from credits.models import Budget, BudgetUsage, Hold
from kit.errors import DomainError
from orgs.models import Department, User

Row = tuple[int, date]
"""(budget, first day of the period)."""

_LIVE: Final = """
SELECT organization_id, json_agg(json_build_array(id, public_id, scope, subject, period, since, credits::text) ORDER BY id)::text
FROM credits_budget WHERE organization_id = ANY(%s::bigint[]) AND is_hard AND archived_at IS NULL GROUP BY 1
"""
_LOCK: Final = """
INSERT INTO credits_budgetusage AS u (budget_id, organization_id, starts_on, used, held)
SELECT v.b, v.o, v.d, 0, 0 FROM json_to_recordset(%s::json) AS v(b bigint, o bigint, d date) ORDER BY 1, 3
ON CONFLICT (budget_id, starts_on) DO UPDATE SET used = u.used
RETURNING u.budget_id, u.starts_on, u.used, u.held
"""
_ADD: Final = """
UPDATE credits_budgetusage AS u SET used = u.used + v.u, held = u.held + v.h
FROM json_to_recordset(%s::json) AS v(b bigint, d date, u numeric, h numeric) WHERE u.budget_id = v.b AND u.starts_on = v.d
RETURNING u.budget_id, u.starts_on
"""


class BudgetExceeded(DomainError):
    """A hard budget of the organization has less left than is needed. `bitten` is what bit, in which period."""

    code = "budget_exceeded"
    status = 402

    def __init__(
        self, *, ceiling: "Ceiling", starts_on: date, needed: Decimal, remaining: Decimal, time_zone: str
    ) -> None:
        self.bitten = (ceiling, starts_on)
        super().__init__(
            f"This needs {amounts.text(needed)} credits; the {ceiling.period}'s budget of the {ceiling.named} "
            f"has {amounts.text(remaining)} left.",
            limit={
                "kind": "budget",
                "scope": ceiling.named,
                "needed": amounts.text(needed),
                "remaining": amounts.text(remaining),
                "resets_at": calendar.ends_at(starts_on, ceiling.period, time_zone).isoformat(),
            },
        )


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A live hard budget, as spending sees it."""

    organization_id: int
    id: int
    public_id: str
    scope: str
    subject: str
    period: str
    since: date
    credits: Decimal

    def row(self, by: "By", day: date) -> Row | None:
        """Return the row in which somebody's use of that day counts, None where it does not."""
        if day < self.since or (self.scope != "organization" and by.subjects[self.scope] != self.subject):
            return None
        return self.id, calendar.first_day(day, self.period)

    @property
    def named(self) -> str:
        """Return whose use counts, as refusals name it: the scope and its public id or name."""
        return _named(self.organization_id, self.scope, self.subject)


@dataclass(frozen=True, slots=True)
class By:
    """Whose use it is, on which model."""

    department_id: int | None
    user_id: UUID | None
    model: str

    @property
    def subjects(self) -> dict[str, str]:
        """Return by scope what a budget's `subject` must be to count this."""
        return {
            "department": "" if self.department_id is None else str(self.department_id),
            "member": "" if self.user_id is None else self.user_id.hex,
            "model": self.model,
        }


@dataclass(slots=True)
class Counts:
    """The locked rows of one transaction, what is taken of each, and what this transaction adds."""

    taken: dict[Row, Decimal] = field(default_factory=dict)
    """used + held, with what was decided since."""
    used: dict[Row, Decimal] = field(default_factory=dict)
    held: dict[Row, Decimal] = field(default_factory=dict)
    organizations: dict[Row, int] = field(default_factory=dict)

    def refuse(self, standing: Standing, by: By, day: date, needed: Decimal) -> None:
        """Raise BudgetExceeded, of the budget that has least left, where one has less than is needed."""
        if standing.hard_budgets:
            _refuse(standing, _left(of(standing), self.taken, by, day), needed)

    def hold(self, ceilings: Iterable[Ceiling], hold: Hold, credits: Decimal) -> None:
        """Count what a hold reserves; below zero where it ends."""
        by = By(hold.department_id, hold.user_id, hold.model)
        self._add(self.held, ceilings, by, hold.day, credits)

    def use(self, ceilings: Iterable[Ceiling], usage: Usage) -> None:
        """Count what a usage record takes, or gives back."""
        by = By(usage.department_id, usage.user_id, usage.model)
        credits = -usage.credits if usage.kind == "reversal" else usage.credits
        self._add(self.used, ceilings, by, usage.day, credits)

    def _add(
        self, figure: dict[Row, Decimal], ceilings: Iterable[Ceiling], by: By, day: date, credits: Decimal
    ) -> None:
        if not credits:
            return
        for ceiling in ceilings:
            row = ceiling.row(by, day)
            if row is not None:
                figure[row] = figure.get(row, ZERO) + credits
                self.taken[row] = self.taken.get(row, ZERO) + credits
                self.organizations[row] = ceiling.organization_id


def of(standing: Standing) -> tuple[Ceiling, ...]:
    """Return the hard budgets of the organization, as they were after the payer's lock."""
    return _ceilings(standing.organization_id, standing.hard_budgets) if standing.hard_budgets else ()


def live(organizations: Collection[int]) -> dict[int, tuple[Ceiling, ...]]:
    """Return the hard budgets of these organizations, read now: ask after the payer's lock."""
    found = statements.rows(_LIVE, list(organizations))
    return {organization: _ceilings(organization, rows) for organization, rows in found}


def rows_of(ceilings: Iterable[Ceiling], by: By, day: date) -> dict[Row, int]:
    """Return the rows in which this counts, with their organization."""
    return {row: ceiling.organization_id for ceiling in ceilings if (row := ceiling.row(by, day)) is not None}


def all_rows(ceilings: Iterable[Ceiling], day: date) -> dict[Row, int]:
    """Return the rows of a day, whoever spends: for settlements, of which nobody knows yet whose they are."""
    return {
        (one.id, calendar.first_day(day, one.period)): one.organization_id
        for one in ceilings
        if day >= one.since
    }


def lock(rows: dict[Row, int]) -> Counts:
    """Lock these rows, in order, making those that are missing."""
    if not rows:
        return Counts()
    wanted = [{"b": budget, "o": rows[budget, day], "d": day.isoformat()} for budget, day in sorted(rows)]
    found = statements.rows(_LOCK, json.dumps(wanted))
    return Counts({(budget, day): used + held for budget, day, used, held in found}, organizations=dict(rows))


def write(counts: Counts) -> None:
    """Add what came to be counted to rows that are locked; one that is missing, after midnight say, is made now."""
    changed = counts.used.keys() | counts.held.keys()
    missing = changed - _add(counts, changed) if changed else set()
    if missing:
        lock({row: counts.organizations[row] for row in missing})
        _add(counts, missing)


def count(records: Sequence[Usage]) -> None:
    """Count usage records in the hard budgets of their organizations, whose payers and rows (`lock_all`) the caller has locked."""
    moving = [one for one in records if one.credits]
    if not moving:
        return
    found = live({one.organization_id for one in moving})
    counts = Counts()
    for one in moving:
        counts.use(found.get(one.organization_id, ()), one)
    write(counts)


def lock_all(*, organization_id: int, day: date) -> None:
    """Lock every row of a day, before the shortfalls, grants and rollups that a correction locks."""
    lock(all_rows(live([organization_id]).get(organization_id, ()), day))


def refuse_exhausted(standing: Standing, by: By, needed: Decimal) -> None:
    """Raise BudgetExceeded where a hold of this much would go beyond a budget, without locking or counting."""
    ceilings, day = of(standing), standing.day(standing.clock)
    rows = rows_of(ceilings, by, day)
    if not rows or not needed:
        return
    found = BudgetUsage.objects.filter(
        budget__in=[budget for budget, _ in rows], starts_on__in=[starts_on for _, starts_on in rows]
    )
    taken = {(one.budget_id, one.starts_on): one.used + one.held for one in found}
    _refuse(standing, _left(ceilings, taken, by, day), needed)


def _add(counts: Counts, changed: Collection[Row]) -> set[Row]:
    rows = [
        {
            "b": row[0],
            "d": row[1].isoformat(),
            "u": str(counts.used.get(row, ZERO)),
            "h": str(counts.held.get(row, ZERO)),
        }
        for row in sorted(changed)
    ]
    return {(budget, starts_on) for budget, starts_on in statements.rows(_ADD, json.dumps(rows))}


def _left(
    ceilings: Iterable[Ceiling], taken: dict[Row, Decimal], by: By, day: date
) -> list[tuple[Decimal, Ceiling, date]]:
    return [
        (ceiling.credits - taken.get(row, ZERO), ceiling, row[1])
        for ceiling in ceilings
        if (row := ceiling.row(by, day)) is not None
    ]


def _refuse(standing: Standing, left: list[tuple[Decimal, Ceiling, date]], needed: Decimal) -> None:
    least, ceiling, starts_on = min(left, key=lambda one: (one[0], one[1].id), default=(needed, None, None))
    if ceiling is None or starts_on is None or least >= needed:
        return
    raise BudgetExceeded(
        ceiling=ceiling,
        starts_on=starts_on,
        needed=needed,
        remaining=max(least, ZERO),
        time_zone=standing.time_zone,
    )


@lru_cache(maxsize=1024)
def _ceilings(organization_id: int, rows: str) -> tuple[Ceiling, ...]:
    """Read the budgets of an organization; everybody whom one statement found has the same text."""
    return tuple(
        Ceiling(
            organization_id,
            key,
            public_id,
            scope,
            subject,
            period,
            date.fromisoformat(since),
            Decimal(credits),
        )
        for key, public_id, scope, subject, period, since, credits in json.loads(rows)
    )


@lru_cache(maxsize=4096)
def _named(organization_id: int, scope: str, subject: str) -> str:
    """Return the scope with its subject's public id, which never changes."""
    if scope == Budget.Scope.ORGANIZATION:
        return scope
    if scope == Budget.Scope.DEPARTMENT:
        name = Department.objects.values_list("public_id", flat=True).get(
            pk=int(subject), organization=organization_id
        )
    elif scope == Budget.Scope.MEMBER:
        name = User.objects.values_list("public_id", flat=True).get(pk=UUID(subject))
    else:
        name = subject
    return f"{scope} {name}"
