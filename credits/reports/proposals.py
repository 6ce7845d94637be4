"""Proposals from three months of use: who runs out, who leaves credits unused, what a department's budget could be.

What somebody needs (`needs`) comes with a tenth on top; where a limit bit, with a quarter on top of the larger of need and
amount, since what was refused shows in no figure. Amounts are rounded up to a tidy figure. Each says what of the past use
would have been refused under it. It takes at least 28 days of use, and says how many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Min, Sum

from credits import amounts
from credits.amounts import ZERO
from credits.limits import budgets, departments
from credits.models import Allocation, Budget, DailyUsage, Refusal
from credits.reports import calendars, needs
from credits.reports.proposed import Basis, ForDepartment, ForMember, Proposals, Why
from credits.sharing import allocations
from credits.sharing.allocations import Mode, Share
from kit import transactions
from kit.errors import ValidationError
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department, Organization

MOST_DAYS: Final = 91
_SPANS: Final = {"daily": 1, "weekly": 7, "monthly": 30, "never": 30}
_UNUSED_BELOW: Final = Decimal("0.7")
"""Of an amount: who needs less than this leaves credits unused."""
_WORDS: Final = {"daily": "day", "weekly": "week", "monthly": "30 days", "never": "30 days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What was chosen: credits by the public ids of members and departments."""

    members: Mapping[str, Decimal]
    departments: Mapping[str, Decimal]


def find(*, organization: Organization, now: datetime) -> Proposals:
    """Return what would fit better than what is set; a handful of queries however many members there are."""
    basis = _basis(organization, now)
    if not basis.is_enough:
        return Proposals(basis=basis, members=[], departments=[])
    return Proposals(
        basis=basis,
        members=_for_members(organization, basis),
        departments=_for_departments(organization, basis),
    )


def apply(
    *, organization: Organization, accepted: Accepted, by: Actor
) -> tuple[list[Allocation], list[Budget]]:
    """Set the accepted amounts and budgets, all or none; lowered ones first, so that they pay for the raised ones.

    Raises ValidationError where nothing or something unknown is accepted, Conflict (409) where a budget is hard by now,
    and what `allocations.assign_all` and `budgets.create` raise.
    """
    transactions.require()
    if not accepted.members and not accepted.departments:
        raise ValidationError(accepted="Choose at least one proposal.")
    shares = _shares(organization, accepted)
    prepared = allocations.prepare(organization=organization, shares=shares) if shares else None
    if prepared is not None and any(row.closed_at is not None for row in prepared.rows):
        raise _closed()
    made = departments.set_all(organization=organization, credits=accepted.departments)
    given = allocations.give(prepared=prepared, by=by) if prepared is not None else []
    if made.acts:
        events.record_all(organization=organization.public_id, by=by, acts=made.acts)
    return given, made.budgets


def _shares(organization: Organization, accepted: Accepted) -> list[Share]:
    present = {
        row.user.public_id: row
        for row in Allocation.objects.filter(
            organization=organization, user__public_id__in=accepted.members, closed_at=None
        ).select_related("user")
    }
    if len(present) != len(accepted.members):
        raise _closed()
    order = sorted(
        present, key=lambda user_id: (accepted.members[user_id] - present[user_id].allocated, user_id)
    )
    return [Share(user=present[one].user, credits=accepted.members[one], mode=Mode.SET) for one in order]


def _closed() -> ValidationError:
    return ValidationError(user_id="One of them has no open allocation any more.")


def _basis(organization: Organization, now: datetime) -> Basis:
    until = calendars.today(organization=organization, now=now) - timedelta(days=1)
    first = DailyUsage.objects.filter(organization=organization).aggregate(day=Min("day"))["day"]
    since = max(first or until + timedelta(days=1), until - timedelta(days=MOST_DAYS - 1))
    return Basis(since=since, until=until)


def _for_members(organization: Organization, basis: Basis) -> list[ForMember]:
    rows = list(
        Allocation.objects.filter(organization=organization, closed_at=None, is_limited=True).select_related(
            "user"
        )
    )
    used = _by_day(organization, basis, "user_id")
    bitten = _refusals(organization, basis)
    found = [_for_member(row, used.get(row.user_id, []), bitten.get(row.user_id, 0)) for row in rows]
    return sorted(
        (one for one in found if one is not None), key=lambda one: (one.why, -abs(one.credits - one.now))
    )


def _for_member(row: Allocation, by_day: list[Decimal], bitten: int) -> ForMember | None:
    """Return another amount, None where the present one fits or nothing is known of the member."""
    if not any(by_day):
        return None  # nobody's need: the list of idle allocations has it
    span = _SPANS[row.reset_period]
    needed = needs.need(by_day=by_day, span=span)
    amount = _amount(row)
    capped = bitten > 0 or row.remaining == 0
    wanted = max(needed, amount) * Decimal("1.25") if capped else needed * Decimal("1.1")
    least = row.used + row.held if row.reset_period != "never" else ZERO
    credits = max(amounts.tidy(amounts.round_up(wanted)), amounts.tidy(least))
    if not capped and amount * _UNUSED_BELOW < credits <= amount:
        return None
    why = Why.RUNS_OUT if credits > amount else Why.UNUSED
    if credits == amount:
        return None
    set_to = credits if row.reset_period != "never" else row.used + row.held + credits
    return ForMember(
        user_id=row.user.public_id,
        name=row.user.name or str(row.user),
        why=why,
        now=row.allocated,
        credits=set_to,
        refused=needs.refused(by_day=by_day, span=span, credits=credits),
        sentence=_said(row, needed, amount, needs.refused(by_day=by_day, span=span, credits=amount), bitten),
    )


def _amount(row: Allocation) -> Decimal:
    """Return what the member has for one span: the amount that comes anew, or what is left where none does."""
    return row.amount if row.reset_period != "never" else row.remaining


def _said(row: Allocation, needed: Decimal, amount: Decimal, lost: Decimal, bitten: int) -> str:
    span = _WORDS[row.reset_period]
    has = "is left and does not come again" if row.reset_period == "never" else "is set"
    took = f"Nine times of ten, {span} took at most {amounts.display_short(needed)} credits"
    said = [f"{took}; {amounts.display_short(amount)} {has}."]
    if lost and amount:
        said.append(f"{amounts.display_short(lost)} credits of the past use would not have fitted into it.")
    if bitten:
        said.append(f"{bitten:,} request{'s were' if bitten != 1 else ' was'} refused.")
    elif row.remaining == 0 and row.reset_period != "never":
        said.append("Nothing is left.")
    return " ".join(said)


def _for_departments(organization: Organization, basis: Basis) -> list[ForDepartment]:
    used = _by_day(organization, basis, "department_id")
    live = Department.objects.live().filter(organization=organization, pk__in=list(used)).order_by("name")
    present = {
        one.department_id: one
        for one in budgets.live()
        .filter(organization=organization, scope="department", period="month")
        .order_by("is_hard")  # of two the hard one stays, and with it all
    }
    return [
        found
        for one in live
        if (found := _for_department(one, used[one.pk], present.get(one.pk))) is not None
    ]


def _for_department(
    department: Department, by_day: list[Decimal], present: Budget | None
) -> ForDepartment | None:
    """Return a budget; None where nothing was used, a hard one is set, or the present one lies within a tenth."""
    credits = needs.budget(by_day=by_day)
    if not credits or (present is not None and present.is_hard):
        return None
    if present is not None and abs(present.credits - credits) * 10 <= present.credits:
        return None
    mean = amounts.portion(sum(by_day, ZERO), needs.MONTH, len(by_day))
    return ForDepartment(
        department_id=department.public_id,
        name=department.name,
        now=present.credits if present is not None else None,
        credits=credits,
        refused=needs.refused(by_day=by_day, span=needs.MONTH, credits=credits),
        sentence=f"30 days took {amounts.display_short(mean)} credits on average; the budget allows for twice their spread.",
    )


def _by_day(organization: Organization, basis: Basis, column: str) -> dict[UUID | int, list[Decimal]]:
    """Return the credits of each of the days, 0 included, by member or department."""
    rows = DailyUsage.objects.filter(organization=organization, day__range=(basis.since, basis.until))
    found: dict[UUID | int, list[Decimal]] = {}
    for key, day, credits in rows.values_list(column, "day").annotate(sum=Sum("credits")).order_by():
        found.setdefault(key, [ZERO] * basis.days)[(day - basis.since).days] = credits
    return found


def _refusals(organization: Organization, basis: Basis) -> dict[UUID, int]:
    """Return how many requests of each member an allocation refused."""
    rows = Refusal.objects.filter(
        organization=organization, limit="allocation", hour__date__gte=basis.since, user__isnull=False
    )
    return dict(rows.values_list("user_id").annotate(sum=Sum("count")).order_by())
