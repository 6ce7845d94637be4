"""Budgets: ceilings on credits that an organization sets itself, soft (they tell) or hard (they refuse).

A soft budget reads rollups. A hard one has a row per period, which spending locks and counts in (`ceilings`) and which
begins with exactly what is used and held (`beginnings`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from credits import amounts
from credits.amounts import ZERO
from credits.ledger import statements
from credits.limits import beginnings, calendar
from credits.models import Budget
from kit import transactions
from kit.errors import AlreadyExists, Conflict, NotFound, ValidationError
from orgs.audit import events
from orgs.audit.events import Act, Actor
from orgs.models import Department, Membership, Organization, User

_LONGEST_MODEL: Final = 128
_STATES: Final = f"""
SELECT b.id, CASE WHEN b.is_hard THEN coalesce(u.used, 0) ELSE coalesce((SELECT sum(x.credits) FROM credits_dailyusage x
    WHERE x.organization_id = b.organization_id AND x.day >= v.s AND x.day < v.e AND {beginnings.COUNTS}), 0) END, coalesce(u.held, 0)
FROM json_to_recordset(%s::json) AS v(b bigint, s date, e date) JOIN credits_budget b ON b.id = v.b
LEFT JOIN credits_budgetusage u ON b.is_hard AND u.budget_id = b.id AND u.starts_on = v.s
"""  # noqa: S608 - text of this module


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose use counts: everybody's, that of a department, of a member, or on a model. At most one is named."""

    department: Department | None = None
    user: User | None = None
    model: str = ""

    @property
    def scope(self) -> Budget.Scope:
        """Return the kind of it."""
        if self.department is not None:
            return Budget.Scope.DEPARTMENT
        if self.user is not None:
            return Budget.Scope.MEMBER
        return Budget.Scope.MODEL if self.model else Budget.Scope.ORGANIZATION

    @property
    def key(self) -> str:
        """Return what `Budget.subject` keeps of it."""
        if self.department is not None:
            return str(self.department.pk)
        return self.user.pk.hex if self.user is not None else self.model


EVERYBODY: Final = Subject()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """A budget and how its present period stands. `held` is what active holds reserve; percentages count `used`."""

    budget: Budget
    starts_on: date
    resets_at: datetime
    used: Decimal
    held: Decimal
    pace: Decimal | None
    """What the period will have used if it goes on as until now; None while under a tenth of it is over."""

    @property
    def credits(self) -> Decimal:
        """The ceiling."""
        return self.budget.credits

    @property
    def remaining(self) -> Decimal:
        """What may still be spent: below zero where captures went beyond it."""
        return self.budget.credits - self.used - self.held

    @property
    def percent(self) -> Decimal:
        """How much of it is used, with one place; 0 where more came back than was used."""
        return amounts.percentage(max(self.used, ZERO), self.budget.credits)


def create(
    *,
    organization: Organization,
    subject: Subject = EVERYBODY,
    period: str,
    credits: Decimal,
    is_hard: bool,
    by: Actor,
) -> Budget:
    """Set a ceiling on what `subject` may use of a day, a week or a month; what the present one has used counts.

    Raises ValidationError, NotFound for a department or member of another organization, AlreadyExists (409) where such
    a budget is set.
    """
    made, act = make(
        organization=organization, subject=subject, period=period, credits=credits, is_hard=is_hard
    )
    _record(made, act, by=by)
    return made


def make(
    *, organization: Organization, subject: Subject, period: str, credits: Decimal, is_hard: bool
) -> tuple[Budget, Act]:
    """Create it and leave the act to record to the caller, who makes many before the audit head; see `create`."""
    transactions.require()
    _refuse_malformed(subject, period, credits)
    _refuse_strangers(organization, subject)
    if is_hard:
        beginnings.lock_payers(organization)
    today = _today(organization)
    budget = Budget(
        organization=organization,
        scope=subject.scope,
        department=subject.department,
        user=subject.user,
        model=subject.model,
        subject=subject.key,
        period=period,
        credits=credits,
        is_hard=is_hard,
        since=beginnings.first_day(today, period),
        created_at=statements.clock(),
    )
    _save(budget)
    if is_hard:
        beginnings.begin(budget)
    return budget, _act(budget, "budget.created", {})


def change(*, budget: Budget, credits: Decimal, is_hard: bool, by: Actor) -> Budget:
    """Set another ceiling, or make it hard or soft; whose use counts and in which period stays.

    Saying what is set already writes nothing. Raises NotFound for one that is archived, AlreadyExists (409) where the
    other kind is set too.
    """
    changed, act = alter(budget=budget, credits=credits, is_hard=is_hard)
    if act is not None:
        _record(changed, act, by=by)
    return changed


def alter(*, budget: Budget, credits: Decimal, is_hard: bool) -> tuple[Budget, Act | None]:
    """Change it and leave the act to record to the caller, None where nothing changes; see `change`.

    Payers come before budgets in the order of locks, so whether it becomes hard is looked at before and again.
    """
    transactions.require()
    _refuse_malformed(EVERYBODY, budget.period, credits)
    hardens = is_hard and live().filter(pk=budget.pk, is_hard=False).exists()
    if hardens:
        beginnings.lock_payers(budget.organization)
    budget = _locked(budget)
    if (budget.credits, budget.is_hard) == (credits, is_hard):
        return budget, None
    begins, before = is_hard and not budget.is_hard, _terms(budget)
    if begins and not hardens:
        raise Conflict("This budget was made soft just now; look again.")
    if begins:
        budget.since = beginnings.first_day(_today(budget.organization), budget.period)
    budget.credits, budget.is_hard = credits, is_hard
    _save(budget)
    if begins:
        beginnings.begin(budget)
    return budget, _act(budget, "budget.changed", before)


def archive(*, budget: Budget, by: Actor) -> None:
    """Take a budget back; what its periods used stays on record. Raises NotFound where that was done before."""
    transactions.require()
    budget = _locked(budget)
    budget.archived_at = statements.clock()
    budget.save(update_fields=["archived_at"])
    _record(budget, _act(budget, "budget.archived", _terms(budget)), by=by)


def live() -> QuerySet[Budget]:
    """Return the budgets that are set now, of all organizations, in the order of their making."""
    found = Budget.objects.filter(archived_at=None)
    return found.select_related("organization", "department", "user").order_by("pk")


def states(*, organization: Organization, now: datetime) -> list[BudgetState]:
    """Return how the present period of each of an organization's budgets stands; two queries."""
    return states_of(live().filter(organization=organization), now=now)


def of_departments(*, departments: Sequence[Department], now: datetime) -> dict[int, BudgetState]:
    """Return by department the budget that binds it most: a hard one before a soft one, a longer period before a shorter."""
    found = states_of(live().filter(department__in=departments), now=now)
    longest = {period: rank for rank, period in enumerate(calendar.PERIODS)}
    found.sort(key=lambda one: (one.budget.is_hard, longest[one.budget.period]))
    return {one.budget.department_id: one for one in found if one.budget.department_id is not None}


def states_of(budgets: Iterable[Budget], *, now: datetime) -> list[BudgetState]:
    """Return how these budgets stand, of one organization or of many, in one query beside theirs."""
    listed = list(budgets)
    starts = {one.pk: calendar.first_day(_day(one.organization, now), one.period) for one in listed}
    rows = [
        {
            "b": one.pk,
            "s": starts[one.pk].isoformat(),
            "e": calendar.next_first_day(starts[one.pk], one.period).isoformat(),
        }
        for one in listed
    ]
    taken = {key: (used, held) for key, used, held in statements.rows(_STATES, json.dumps(rows))}
    return [_state(one, starts[one.pk], *taken[one.pk], now=now) for one in listed]


def _state(budget: Budget, starts_on: date, used: Decimal, held: Decimal, *, now: datetime) -> BudgetState:
    zone = budget.organization.time_zone
    begins, ends = (
        calendar.midnight(starts_on, zone),
        calendar.ends_at(starts_on, budget.period, zone),
    )
    over, whole = int((now - begins).total_seconds()), int((ends - begins).total_seconds())
    pace = amounts.portion(used, whole, over) if over * 10 >= whole and used > ZERO else None
    return BudgetState(budget=budget, starts_on=starts_on, resets_at=ends, used=used, held=held, pace=pace)


def _refuse_malformed(subject: Subject, period: str, credits: Decimal) -> None:
    if period not in calendar.PERIODS:
        raise ValidationError(period="must be day, week or month")
    if not amounts.is_movable(credits) or not credits:
        raise ValidationError(credits="must be above 0, and at most 1,000,000,000")
    if sum((subject.department is not None, subject.user is not None, bool(subject.model))) > 1:
        raise ValidationError(scope="names more than one subject")
    if (
        len(subject.model) > _LONGEST_MODEL
        or not subject.model.isprintable()
        or subject.model.strip() != subject.model
    ):
        raise ValidationError(model=f"must be at most {_LONGEST_MODEL} printable characters")


def _refuse_strangers(organization: Organization, subject: Subject) -> None:
    """Refuse a department that is archived or elsewhere, and who is no member."""
    department, user = subject.department, subject.user
    departments = Department.objects.live().filter(organization=organization)
    if department is not None and not departments.filter(pk=department.pk).exists():
        raise NotFound("There is no such department.")
    members = Membership.objects.live().filter(organization=organization)
    if user is not None and not members.filter(user=user).exists():
        raise NotFound("There is no such member.")


def _locked(budget: Budget) -> Budget:
    found = Budget.objects.select_for_update(no_key=True, of=("self",)).filter(archived_at=None)
    row = found.select_related("organization", "department", "user").filter(pk=budget.pk).first()
    if row is None:
        raise NotFound("There is no such budget.")
    return row


def _save(budget: Budget) -> None:
    try:
        with transaction.atomic():
            budget.save()
    except IntegrityError as error:
        if "budget_once_per_subject_and_period" not in str(error):
            raise
        kind = "hard" if budget.is_hard else "soft"
        raise AlreadyExists(
            f"There is a {kind} budget for this {budget.period} already; change it instead."
        ) from error


def _today(organization: Organization) -> date:
    """Return the date there by the ledger's clock, read after the locks."""
    zone = Organization.objects.values_list("time_zone", flat=True).get(pk=organization.pk)
    return statements.clock().astimezone(ZoneInfo(zone)).date()


def _day(organization: Organization, now: datetime) -> date:
    return now.astimezone(ZoneInfo(organization.time_zone)).date()


def _terms(budget: Budget) -> dict[str, str | bool]:
    return {
        "scope": budget.scope,
        "subject": _named(budget),
        "period": budget.period,
        "credits": amounts.text(budget.credits),
        "is_hard": budget.is_hard,
    }


def _named(budget: Budget) -> str:
    if budget.department is not None:
        return budget.department.public_id
    return budget.user.public_id if budget.user is not None else budget.model


def _act(budget: Budget, action: str, before: dict[str, str | bool]) -> Act:
    after = {} if budget.archived_at is not None else _terms(budget)
    return Act(action=action, target=str(budget.public_id), before=before, after=after)


def _record(budget: Budget, act: Act, *, by: Actor) -> None:
    events.record_all(organization=budget.organization.public_id, by=by, acts=[act])
