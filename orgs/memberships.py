"""Memberships: who belongs to an organization, as what, in which department."""

from collections.abc import Collection
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone

from kit import transactions
from kit.errors import AlreadyExists, Conflict, NotFound, PermissionDenied
from orgs import names, organizations, signals, subscriptions
from orgs.audit import events
from orgs.audit.events import Act, Actor
from orgs.models import AccessKey, Department, DepartmentManager, Membership, Organization, User

Role = Membership.Role

RANKS: Final = {Role.OWNER: 3, Role.ADMIN: 2, Role.BILLING_ADMIN: 1, Role.MEMBER: 0}
"""None gives a role above their own, nor touches a member who has one. System admins and the portal act as owners."""


class NoSeatLeft(Conflict):
    """The plan has no seat for another person."""

    def __init__(self, *, seats: int) -> None:
        super().__init__(f"The plan has {seats} seats, and all are taken.", seats=seats)


class LastOwner(Conflict):
    """An organization always has an owner."""

    def __init__(self) -> None:
        super().__init__("This is the only owner; make somebody else an owner first.")


class RoleAboveOwn(PermissionDenied):
    """Somebody reached for a role above their own."""

    def __init__(self, *, role: str) -> None:
        super().__init__("Nobody gives, changes or removes a role above their own.", role=role)


def add(
    *,
    organization: Organization,
    user: User,
    by: Actor,
    acting_as: str,
    role: str = Role.MEMBER,
    department: Department | None = None,
) -> Membership:
    """Make the user a member; somebody who comes back gets the same row again.

    Raises RoleAboveOwn, AlreadyExists for a member, NoSeatLeft, and Conflict for a personal organization.
    """
    transactions.require()
    _refuse_above(acting_as, role)
    locked = organizations.lock(organization)
    if locked.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has one member.")
    _refuse_foreign(department, locked)
    membership = (
        Membership.objects.select_for_update(no_key=True).filter(organization=locked, user=user).first()
    )
    if membership is not None and membership.ended_at is None:
        raise AlreadyExists("This user is a member already.", user_id=user.public_id)
    if not user.is_service:
        _refuse_without_seat(locked)
    membership = membership or Membership(organization=locked, user=user)
    membership.role, membership.department = role, department
    membership.joined_at, membership.ended_at = timezone.now(), None
    membership.save()
    signals.membership_began.send(sender=Membership, membership=membership, by=by)
    _record(membership, by, "member.added", after=_facts(membership))
    return membership


def add_service_member(*, organization: Organization, name: str, by: Actor) -> Membership:
    """Make a member that nobody signs in as: a build agent or bot, with keys and an allocation of its own."""
    transactions.require()
    user = User(name=names.cleaned(name), is_service=True, email=None)
    user.set_unusable_password()
    user.save(force_insert=True)
    return add(organization=organization, user=user, by=by, acting_as=Role.MEMBER)


def change_role(*, membership: Membership, role: str, by: Actor, acting_as: str) -> Membership:
    """Give a member another role; raises RoleAboveOwn, LastOwner."""
    locked = _lock(membership)
    _refuse_above(acting_as, role, locked.role)
    if locked.role == role:
        return locked
    if role != Role.OWNER:
        _refuse_without_owner(locked)
    before = _facts(locked)
    locked.role = role
    locked.save(update_fields=["role"])
    _record(locked, by, "member.role_changed", before=before, after=_facts(locked))
    return locked


def remove(*, membership: Membership, by: Actor, acting_as: str) -> Membership:
    """End a membership: its keys stop at once, `membership_ended` is sent, the row and its history stay.

    Who leaves acts with the role they have. Raises RoleAboveOwn, LastOwner, Conflict for a personal organization.
    """
    locked = _lock(membership)
    _refuse_above(acting_as, locked.role)
    if locked.organization.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization lives as long as its user.")
    _refuse_without_owner(locked)
    before = _facts(locked)
    locked.ended_at = timezone.now()
    locked.save(update_fields=["ended_at"])
    taken = _take_away(locked)
    signals.membership_ended.send(sender=Membership, membership=locked, by=by)
    _record(locked, by, "member.removed", before=before | taken)
    return locked


def move(*, membership: Membership, department: Department | None, by: Actor) -> Membership:
    """Put a member into a department, or into none; see `move_all`."""
    return move_all(memberships=[membership], department=department, by=by)[0]


def move_all(
    *, memberships: Collection[Membership], department: Department | None, by: Actor
) -> list[Membership]:
    """Put members of one organization into a department, or into none, all or nobody; `memberships_moved` is sent once.

    Who is there already stays as they are. Returns the rows by primary key. Raises NotFound for a department that is
    none of the organization's, and where somebody is no member any more.
    """
    transactions.require()
    rows = Membership.objects.live().filter(pk__in=[one.pk for one in memberships]).order_by("pk")
    locked = list(
        rows.select_for_update(no_key=True, of=("self",)).select_related("organization", "user", "department")
    )
    if len(locked) != len(memberships) or len({one.organization_id for one in locked}) != 1:
        raise NotFound("There is no such member.")
    _refuse_foreign(department, locked[0].organization)
    before = {one.pk: _facts(one) for one in locked if one.department != department}
    moved = [one for one in locked if one.pk in before]
    for one in moved:
        one.department = department
    Membership.objects.bulk_update(moved, ["department"])
    if moved:
        signals.memberships_moved.send(sender=Membership, memberships=moved, by=by)
        acts = [
            Act(action="member.moved", target=one.user.public_id, before=before[one.pk], after=_facts(one))
            for one in moved
        ]
        events.record_all(organization=moved[0].organization.public_id, by=by, acts=acts)
    return locked


def _lock(membership: Membership) -> Membership:
    """Return the live membership, locked together with the rows of the organization's owners, in order of key.

    Whoever takes an owner away holds all owners' rows, so two who do it at once see each other.
    """
    transactions.require()
    rows = Membership.objects.live().filter(organization=membership.organization_id)
    mine_and_owners = rows.filter(Q(pk=membership.pk) | Q(role=Role.OWNER)).order_by("pk")
    locked = {
        row.pk: row
        for row in mine_and_owners.select_for_update(no_key=True, of=("self",)).select_related(
            "organization", "user", "department"
        )
    }
    if membership.pk not in locked:
        raise NotFound("There is no such member.")
    return locked[membership.pk]


def _refuse_above(acting_as: str, *roles: str) -> None:
    for role in roles:
        if RANKS[Role(role)] > RANKS[Role(acting_as)]:
            raise RoleAboveOwn(role=role)


def _refuse_without_owner(membership: Membership) -> None:
    """Raise LastOwner if nobody else owns the organization; the owners' rows are locked."""
    others = (
        Membership.objects.live()
        .filter(organization=membership.organization_id, role=Role.OWNER)
        .exclude(pk=membership.pk)
    )
    if membership.role == Role.OWNER and not others.exists():
        raise LastOwner


def _refuse_without_seat(organization: Organization) -> None:
    """Raise NoSeatLeft if the plan's seats are taken; service members sit on none. The organization is locked."""
    seats = subscriptions.plan_of(organization=organization).seats
    people = Membership.objects.live().filter(organization=organization, user__is_service=False)
    if seats is not None and people.count() >= seats:
        raise NoSeatLeft(seats=seats)


def _refuse_foreign(department: Department | None, organization: Organization) -> None:
    """Raise NotFound unless it is a live department of the organization; its row is locked, so it stays one."""
    if department is None:
        return
    rows = Department.objects.live().filter(pk=department.pk, organization=organization)
    if not rows.select_for_update(no_key=True):
        raise NotFound("There is no such department.", department_id=department.public_id)


def _take_away(membership: Membership) -> dict[str, list[str]]:
    """Take what hung on the membership: its keys, what it managed, and the user's choice of this organization.

    Returns the keys and departments that it lost, by public id.
    """
    keys = AccessKey.objects.filter(membership=membership, revoked_at=None)
    managed = DepartmentManager.objects.filter(membership=membership)
    lost = {
        "keys": list(keys.order_by("pk").values_list("public_id", flat=True)),
        "managed": list(managed.order_by("pk").values_list("department__public_id", flat=True)),
    }
    keys.update(revoked_at=timezone.now())
    managed.delete()
    users = User.objects.filter(pk=membership.user_id)
    users.filter(active_organization=membership.organization_id).update(active_organization=None)
    users.filter(default_organization=membership.organization_id).update(default_organization=None)
    return {name: ids for name, ids in lost.items() if ids}


def _facts(membership: Membership) -> dict[str, Any]:
    department = membership.department
    return {"role": membership.role, "department": department.public_id if department else None}


def _record(membership: Membership, by: Actor, action: str, **facts: dict[str, Any]) -> None:
    events.record(
        organization=membership.organization.public_id,
        by=by,
        action=action,
        target=membership.user.public_id,
        **facts,
    )
