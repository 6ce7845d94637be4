"""Departments: parts of an organization, and who manages them."""

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from kit.identifiers import public_id
from orgs.models.organizations import Membership, Organization
from orgs.models.users import User


def new_department_id() -> str:
    """Return a fresh `dep_…` public id."""
    return public_id("dep")


class DepartmentQuerySet(models.QuerySet["Department"]):
    def live(self) -> Self:
        """Return departments that are not archived."""
        return self.filter(archived_at__isnull=True)

    def visible_to(self, user: User) -> Self:
        """Return the departments of organizations that this user may know of."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def managed_by(self, user: User) -> Self:
        """Return live departments which this user manages as a present member."""
        return self.live().filter(
            management__membership__user=user, management__membership__ended_at__isnull=True
        )


class Department(models.Model):
    """A part of an organization; archived, never deleted, once it has history."""

    public_id = models.CharField(max_length=64, unique=True, default=new_department_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="departments")
    name = models.CharField(max_length=120)
    managers = models.ManyToManyField(
        Membership, through="DepartmentManager", related_name="managed_departments"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(DepartmentQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                "organization",
                Lower("name"),
                condition=models.Q(archived_at__isnull=True),
                name="department_name_once_per_organization",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DepartmentManager(models.Model):
    """A member who shares out a department's credits."""

    department = models.ForeignKey(Department, on_delete=models.CASCADE, related_name="management")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="management")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["department", "membership"], name="department_manager_once"),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} manages {self.department_id}"
