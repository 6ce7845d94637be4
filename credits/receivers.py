"""What `credits` does when `orgs` announces that a member left or moved: their unspent credits go back."""

from typing import Any

from credits.sharing import allocations
from orgs import signals
from orgs.audit.events import Actor
from orgs.models import Department, Membership


def connect() -> None:
    """Listen; called once, when the app is ready."""
    signals.membership_ended.connect(_return_of_leaver, dispatch_uid="credits.membership_ended")
    signals.membership_moved.connect(_return_of_leaver, dispatch_uid="credits.membership_moved")
    signals.department_archived.connect(_return_of_members, dispatch_uid="credits.department_archived")


def _return_of_leaver(*, membership: Membership, by: Actor, **_: Any) -> None:
    allocations.revoke_if_any(organization=membership.organization, user=membership.user, by=by)


def _return_of_members(*, department: Department, members: list[Membership], by: Actor, **_: Any) -> None:
    for membership in sorted(members, key=lambda member: member.pk):
        allocations.revoke_if_any(organization=department.organization, user=membership.user, by=by)
