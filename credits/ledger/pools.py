"""Credit pools: one for an organization, one for each department that was funded."""

from credits.models import CreditPool
from orgs.models import Department, Organization


def of_organization(organization: Organization) -> CreditPool:
    """Return the organization's own pool, made at first need. It is not locked."""
    pool, _ = CreditPool.objects.get_or_create(organization=organization, department=None)
    return pool


def of_department(department: Department) -> CreditPool:
    """Return the department's pool, made when it is first funded. It is not locked."""
    pool, _ = CreditPool.objects.get_or_create(organization=department.organization, department=department)
    return pool
