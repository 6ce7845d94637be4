"""Who may do what: the table of product.md §10, and the questions asked of it."""

from enum import Enum, StrEnum, auto
from typing import Final

from django.db.models import QuerySet

from orgs.models import Department, Membership, Organization, User

Role = Membership.Role


class Capability(StrEnum):
    """What a row of the table allows."""

    SEE_OWN = auto()
    SEE_FIGURES = auto()
    SEE_EVERYONES_USAGE = auto()
    ALLOCATE = auto()
    BUY = auto()
    ADMINISTER = auto()
    CHANGE_ROLES = auto()
    ARCHIVE = auto()


class Answer(Enum):
    """How far a cell of the table reaches: everywhere, in the departments one manages, nowhere."""

    YES = auto()
    OWN = auto()
    NO = auto()


YES, OWN, NO = Answer.YES, Answer.OWN, Answer.NO

TABLE: Final[dict[Capability, tuple[Answer, Answer, Answer, Answer, Answer]]] = {
    #                                 owner  admin billing manager member
    Capability.SEE_OWN:              (YES,   YES,  YES,    YES,    YES),  # own usage, allocation, quota; what the pool has; plan
    Capability.SEE_FIGURES:          (YES,   YES,  YES,    OWN,    NO),   # all figures of the organization
    Capability.SEE_EVERYONES_USAGE:  (YES,   YES,  YES,    OWN,    NO),   # and export it
    Capability.ALLOCATE:             (YES,   YES,  YES,    OWN,    NO),   # and approve requests
    Capability.BUY:                  (YES,   YES,  YES,    NO,     NO),   # credits, plan, invoices, auto top-up, budgets
    Capability.ADMINISTER:           (YES,   YES,  NO,     NO,     NO),   # invite, remove, departments, settings, keys, audit
    Capability.CHANGE_ROLES:         (YES,   YES,  NO,     NO,     NO),   # none above one's own
    Capability.ARCHIVE:              (YES,   NO,   NO,     NO,     NO),   # or hand over
}  # fmt: skip

_COLUMNS: Final = {Role.OWNER: 0, Role.ADMIN: 1, Role.BILLING_ADMIN: 2, Role.MEMBER: 4}
_MANAGER_COLUMN: Final = 3


def role_of(*, user: User, organization: Organization) -> Membership.Role | None:
    """Return the user's role in the organization, None for somebody who is no member now."""
    membership = Membership.objects.live().filter(user=user, organization=organization).only("role").first()
    return Role(membership.role) if membership else None


def acting_role(*, user: User, organization: Organization) -> Membership.Role | None:
    """Return the role a user acts with: system admins act as owners."""
    return Role.OWNER if is_system_admin(user) else role_of(user=user, organization=organization)


def allows(
    *, user: User, organization: Organization, capability: Capability, department: Department | None = None
) -> bool:
    """Tell whether the user may, in the whole organization or, where `department` is given, in that part of it."""
    role = acting_role(user=user, organization=organization)
    if role is None:
        return False
    if role_allows(role=role, capability=capability):
        return True
    if department is None or department.organization_id != organization.pk:
        return TABLE[capability][_MANAGER_COLUMN] is YES and _managed(user, organization).exists()
    reaches = TABLE[capability][_MANAGER_COLUMN] is not NO
    return reaches and _managed(user, organization).filter(pk=department.pk).exists()


def role_allows(*, role: Membership.Role, capability: Capability) -> bool:
    """Tell whether a role alone, without managing any department, gives the capability in the whole organization."""
    return TABLE[capability][_COLUMNS[role]] is YES


def managed_departments(
    *, user: User, organization: Organization, capability: Capability
) -> list[Department]:
    """Return the departments in which managing them gives the user this capability."""
    if TABLE[capability][_MANAGER_COLUMN] is NO:
        return []
    return list(_managed(user, organization).order_by("name"))


def is_system_admin(user: User) -> bool:
    """Tell whether the user may do everything, everywhere; every such act is audited."""
    return user.is_staff and user.is_active


def _managed(user: User, organization: Organization) -> QuerySet[Department]:
    return Department.objects.managed_by(user).filter(organization=organization)
