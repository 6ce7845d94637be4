"""Soft monthly budgets of departments, many set at once: every row is locked or made before anything is recorded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from credits.limits import budgets
from credits.limits.budgets import Subject
from credits.models import Budget
from kit import transactions
from kit.errors import Conflict, ValidationError
from orgs.audit.events import Act
from orgs.models import Department, Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The budgets in order of their departments' public ids, and what the caller records of them."""

    budgets: list[Budget]
    acts: list[Act]


def set_all(*, organization: Organization, credits: Mapping[str, Decimal]) -> Made:
    """Set soft monthly budgets by the departments' public ids, or change those that are set; `credits` above 0.

    Who locks payers does so before, and records the acts after. Raises ValidationError for an unknown department,
    Conflict (409) where one has a hard budget for the month, AlreadyExists (409) where somebody sets one meanwhile.
    """
    transactions.require()
    departments = _named(organization, credits)
    present = _lock(organization, [one.pk for one in departments])
    done = [_set(one, present.get(one.pk), credits[one.public_id]) for one in departments]
    return Made(budgets=[budget for budget, _ in done], acts=[act for _, act in done if act is not None])


def _named(organization: Organization, names: Collection[str]) -> list[Department]:
    live = Department.objects.live().filter(organization=organization, public_id__in=names)
    found = list(live.select_related("organization").order_by("public_id"))
    if len(found) != len(names):
        raise ValidationError(department_id="There is no such department.")
    return found


def _lock(organization: Organization, departments: Collection[int]) -> dict[int | None, Budget]:
    """Lock the budgets that are set, hard ones too: what was soft when it was looked at may have become hard."""
    found = budgets.live().filter(
        organization=organization, scope="department", department__in=departments, period="month"
    )
    rows = list(found.select_for_update(no_key=True, of=("self",)))
    for row in rows:
        if row.is_hard and row.department is not None:
            raise Conflict(f"{row.department.name} has a hard budget for the month by now; look again.")
    return {row.department_id: row for row in rows}


def _set(department: Department, present: Budget | None, credits: Decimal) -> tuple[Budget, Act | None]:
    if present is not None:
        return budgets.alter(budget=present, credits=credits, is_hard=False)
    return budgets.make(
        organization=department.organization,
        subject=Subject(department=department),
        period="month",
        credits=credits,
        is_hard=False,
    )
