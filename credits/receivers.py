"""What `credits` does when `orgs` announces: unspent credits of leavers go back, a paid fee brings plan credits."""

from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from credits import amounts
from credits.ledger import plan_credits
from credits.limits import budgets
from credits.limits.budgets import BudgetState
from credits.reports import figures, monthly_mails
from credits.reports.figures import DepartmentFigures
from credits.sharing import allocations, requests, standard
from orgs import signals
from orgs.audit.events import Actor
from orgs.models import Department, Membership, Organization, PlanFee
from orgs.notices.models import Notice
from orgs.notices.signals import mail_composed


def connect() -> None:
    """Listen; called once, when the app is ready."""
    signals.membership_began.connect(_give_standard, dispatch_uid="credits.membership_began")
    signals.membership_ended.connect(_return_of_leaver, dispatch_uid="credits.membership_ended")
    signals.membership_ended.connect(_withdraw_request, dispatch_uid="credits.request_of_leaver")
    signals.memberships_moved.connect(_return_of_moved, dispatch_uid="credits.memberships_moved")
    signals.departments_described.connect(
        _figures_of_departments, dispatch_uid="credits.departments_described"
    )
    signals.fee_paid.connect(_grant_plan_credits, dispatch_uid="credits.fee_paid")
    mail_composed.connect(_attach_report, dispatch_uid="credits.mail_composed")
    signals.department_archived.connect(_return_of_members, dispatch_uid="credits.department_archived")


def _give_standard(*, membership: Membership, by: Actor, **_: Any) -> None:
    standard.give(membership=membership, by=by)


def _attach_report(*, notice: Notice, message: EmailMultiAlternatives, **_: Any) -> None:
    monthly_mails.attach(attachment=notice.attachment, message=message)


def _return_of_leaver(*, membership: Membership, by: Actor, **_: Any) -> None:
    allocations.revoke_all(organization=membership.organization, users=[membership.user], by=by)


def _return_of_moved(*, memberships: list[Membership], by: Actor, **_: Any) -> None:
    users = [membership.user for membership in memberships]
    allocations.revoke_all(organization=memberships[0].organization, users=users, by=by)


def _withdraw_request(*, membership: Membership, by: Actor, **_: Any) -> None:
    requests.withdraw_of_leaver(
        organization=membership.organization, user=membership.user, by=by, now=timezone.now()
    )


def _return_of_members(*, department: Department, members: list[Membership], by: Actor, **_: Any) -> None:
    users = [membership.user for membership in members]
    allocations.revoke_all(organization=department.organization, users=users, by=by, archived=department)


def _grant_plan_credits(*, fee: PlanFee, by: Actor, **_: Any) -> None:
    plan_credits.grant_due(fee=fee, by=by)


def _figures_of_departments(
    *, organization: Organization, departments: list[Department], **_: Any
) -> dict[int, dict[str, Any]]:
    limits = budgets.of_departments(departments=departments, now=timezone.now())
    return {
        pk: {
            "pool": _pool(part),
            "used_30_days": amounts.text(part.used),
            "budget": _budget(limits.get(pk)),
        }
        for pk, part in figures.departments(organization=organization, departments=departments).items()
    }


def _budget(state: BudgetState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "id": str(state.budget.public_id),
        "period": state.budget.period,
        "credits": amounts.text(state.credits),
        "is_hard": state.budget.is_hard,
        "used": amounts.text(state.used),
        "usage_percentage": str(state.percent),
        "resets_at": state.resets_at.isoformat(),
    }


def _pool(part: DepartmentFigures) -> dict[str, str] | None:
    if part.available is None or part.held is None:
        return None
    return {"available": amounts.text(part.available), "held": amounts.text(part.held)}
