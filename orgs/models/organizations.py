"""Organizations and memberships: who pays, and who belongs."""

from decimal import Decimal
from typing import ClassVar, Self

from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from kit.identifiers import public_id
from orgs.models.users import User


def new_organization_id() -> str:
    """Return a fresh `org_…` public id."""
    return public_id("org")


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def visible_to(self, user: User) -> Self:
        """Return the organizations that this user may know of: their own; system admins know all."""
        if user.is_staff:
            return self
        live = Membership.objects.live().filter(user=user)
        return self.filter(pk__in=live.values("organization")).exclude(status=Organization.Status.ARCHIVED)

    def of_member(self, user: User) -> Self:
        """Return the organizations this user belongs to, a system admin's own included and no others."""
        live = Membership.objects.live().filter(user=user)
        return self.filter(pk__in=live.values("organization")).exclude(status=Organization.Status.ARCHIVED)


class Organization(models.Model):
    """Who pays. A *personal* one has one member, no departments and no allocations: its pool pays."""

    class Kind(models.TextChoices):
        TEAM = "team"
        PERSONAL = "personal"

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        ARCHIVED = "archived"

    class SharedSpending(models.TextChoices):
        """Whether members without an allocation of their own may spend from a pool."""

        NEVER = "never"
        WITHOUT_ALLOCATION = "without_allocation"
        ALWAYS = "always"

    class Unpriced(models.TextChoices):
        """What becomes of a request for something that has no price."""

        REFUSE = "refuse"
        FLAT = "flat"

    public_id = models.CharField(max_length=64, unique=True, default=new_organization_id, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.TEAM)
    personal_of = models.OneToOneField(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="personal_organization"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    shared_spending = models.CharField(
        max_length=24, choices=SharedSpending.choices, default=SharedSpending.WITHOUT_ALLOCATION
    )
    unpriced = models.CharField(max_length=8, choices=Unpriced.choices, default=Unpriced.REFUSE)
    unpriced_credits = models.DecimalField(
        max_digits=24, decimal_places=6, default=Decimal(0), help_text="of a request without a price, if flat"
    )
    time_zone = models.CharField(max_length=64, default="UTC")
    currency = models.CharField(max_length=3, default="USD")
    billing_email = models.EmailField(blank=True)
    legal_name = models.CharField(max_length=200, blank=True)
    tax_number = models.CharField(max_length=64, blank=True)
    billing_address = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = models.Manager.from_queryset(OrganizationQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(kind="personal", personal_of__isnull=False)
                | models.Q(kind="team", personal_of__isnull=True),
                name="organization_is_personal_of_somebody_or_a_team",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "suspended", "archived"]),
                name="organization_status_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(shared_spending__in=["never", "without_allocation", "always"]),
                name="organization_shared_spending_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    unpriced="refuse", unpriced_credits__gte=0, unpriced_credits__lte=1_000_000_000
                )
                | models.Q(unpriced="flat", unpriced_credits__gt=0, unpriced_credits__lte=1_000_000_000),
                name="organization_charges_the_unpriced_something",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                OpClass(Upper("name"), name="text_pattern_ops"), name="organization_by_start_of_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    def live(self) -> Self:
        """Return memberships that have not ended."""
        return self.filter(ended_at__isnull=True)

    def visible_to(self, user: User) -> Self:
        """Return the memberships of organizations that this user may know of."""
        return self.filter(organization__in=Organization.objects.visible_to(user))


class Membership(models.Model):
    """A user in an organization. Leaving ends it; coming back opens the same row again, so history keeps one name."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        BILLING_ADMIN = "billing_admin"
        MEMBER = "member"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.MEMBER)
    department = models.ForeignKey(
        "orgs.Department", on_delete=models.PROTECT, null=True, blank=True, related_name="memberships"
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(MembershipQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once_per_organization"),
            models.CheckConstraint(
                condition=models.Q(role__in=["owner", "admin", "billing_admin", "member"]),
                name="membership_role_is_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["user"], condition=models.Q(ended_at__isnull=True), name="membership_live_of_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.organization_id}"
