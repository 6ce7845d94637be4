"""Departments: parts of an organization, and who shares out their credits. Members are put into one by `memberships.move`."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from kit import transactions
from kit.errors import AlreadyExists, Conflict, NotFound, TryAgain
from orgs import names, organizations, signals
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.models import Department, DepartmentManager, Membership, Organization


class NameTaken(AlreadyExists):
    """A live department of the organization has this name, in whatever case."""

    def __init__(self, *, name: str) -> None:
        super().__init__("There is a department of this name already.", name=name)


def create(*, organization: Organization, name: str, by: Actor) -> Department:
    """Make a department; raises NameTaken, and Conflict for a personal organization."""
    transactions.require()
    locked = organizations.lock(organization)
    if locked.kind == Organization.Kind.PERSONAL:
        raise Conflict("A personal organization has no departments.")
    department = Department(organization=locked, name=names.cleaned(name))
    _save(department)
    _record(department, by, "department.created", after={"name": department.name})
    return department


def rename(*, department: Department, name: str, by: Actor) -> Department:
    """Give a department another name; raises NameTaken."""
    locked = _lock(department)
    before, locked.name = locked.name, names.cleaned(name)
    if before != locked.name:
        _save(locked)
        _record(locked, by, "department.renamed", before={"name": before}, after={"name": locked.name})
    return locked


def archive(*, department: Department, by: Actor) -> Department:
    """Close a department: its members are in none, its managers manage it no more, `department_archived` is sent once."""
    transactions.require()
    members = _lock_members(department)
    locked = _lock(department)
    if (
        Membership.objects.live()
        .filter(department=locked)
        .exclude(pk__in=[one.pk for one in members])
        .exists()
    ):
        raise TryAgain("Somebody came into the department just now; send the same request again.")
    locked.archived_at = timezone.now()
    locked.save(update_fields=["archived_at"])
    Membership.objects.filter(department=locked).update(department=None)
    managers = list(locked.managers.values_list("user__public_id", flat=True).order_by("pk"))
    DepartmentManager.objects.filter(department=locked).delete()
    signals.department_archived.send(sender=Department, department=locked, members=members, by=by)
    facts = {
        "name": locked.name,
        "members": [one.user.public_id for one in members],
        "managers": managers,
    }
    _record(locked, by, "department.archived", before=facts)
    return locked


def add_manager(*, department: Department, membership: Membership, by: Actor) -> None:
    """Let a member share out the department's credits; doing it twice changes nothing."""
    locked = _lock(department)
    if membership.organization_id != locked.organization_id or membership.ended_at is not None:
        raise NotFound("There is no such member.")
    _, is_new = DepartmentManager.objects.get_or_create(department=locked, membership=membership)
    if is_new:
        _record(locked, by, "department.manager_added", after={"manager": membership.user.public_id})


def remove_manager(*, department: Department, membership: Membership, by: Actor) -> None:
    """Take a department's credits out of a member's hands."""
    locked = _lock(department)
    removed, _ = DepartmentManager.objects.filter(department=locked, membership=membership).delete()
    if removed:
        _record(locked, by, "department.manager_removed", before={"manager": membership.user.public_id})


def _lock_members(department: Department) -> list[Membership]:
    """Return the department's members, locked before it: the order in which `memberships.move` locks."""
    rows = Membership.objects.live().filter(department=department.pk).order_by("pk").select_related("user")
    return list(rows.select_for_update(no_key=True, of=("self",)))


def _lock(department: Department) -> Department:
    transactions.require()
    rows = (
        Department.objects.live().select_related("organization").select_for_update(no_key=True, of=("self",))
    )
    found = rows.filter(pk=department.pk).first()
    if found is None:
        raise NotFound("There is no such department.")
    return found


def _save(department: Department) -> None:
    try:
        with transaction.atomic():
            department.save()
    except IntegrityError as error:
        raise NameTaken(name=department.name) from error


def _record(department: Department, by: Actor, action: str, **facts: dict[str, Any]) -> None:
    events.record(
        organization=department.organization.public_id,
        by=by,
        action=action,
        target=department.public_id,
        **facts,
    )
