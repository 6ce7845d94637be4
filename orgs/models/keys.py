"""Access keys (`cpk_…`): how gateways and scripts say who they are. Only a hash is stored."""

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from kit.identifiers import public_id
from orgs.clock import LedgerClock
from orgs.models.organizations import Membership, Organization
from orgs.models.users import User


def new_key_id() -> str:
    """Return a fresh `key_…` public id."""
    return public_id("key")


class AccessKeyQuerySet(models.QuerySet["AccessKey"]):
    def usable(self) -> Self:
        """Return keys that are neither revoked nor expired by the ledger's clock."""
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=LedgerClock())
        return self.filter(unexpired, revoked_at__isnull=True)


class AccessKey(models.Model):
    """A key of one of four kinds; which owner it names is a constraint.

    Everything but `last_used_at` and `revoked_at` is fixed when it is made: to change a key, make another.
    """

    class Kind(models.TextChoices):
        MEMBERSHIP = "membership"
        PERSONAL = "personal"
        ORGANIZATION = "organization"
        PLATFORM = "platform"

    class Scope(models.TextChoices):
        USAGE_WRITE = "usage:write"
        CREDITS_READ = "credits:read"
        CREDITS_WRITE = "credits:write"
        BILLING_READ = "billing:read"
        BILLING_WRITE = "billing:write"
        ORG_READ = "org:read"
        ORG_WRITE = "org:write"

    public_id = models.CharField(max_length=64, unique=True, default=new_key_id, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, help_text="the first characters of the key, to recognise it by")
    digest = models.BinaryField(
        max_length=32, unique=True, help_text="SHA-256 of the key: 256 random bits need no salt"
    )
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices))
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="keys"
    )
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="keys")
    membership = models.ForeignKey(
        Membership, on_delete=models.PROTECT, null=True, blank=True, related_name="keys"
    )
    allowed_addresses = ArrayField(
        models.CharField(max_length=43),
        default=list,
        blank=True,
        help_text="addresses or networks; empty allows all",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(AccessKeyQuerySet)()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(
                    kind="membership",
                    membership__isnull=False,
                    organization__isnull=False,
                    user__isnull=False,
                )
                | Q(kind="personal", membership__isnull=True, organization__isnull=True, user__isnull=False)
                | Q(
                    kind="organization",
                    membership__isnull=True,
                    organization__isnull=False,
                    user__isnull=True,
                )
                | Q(kind="platform", membership__isnull=True, organization__isnull=True, user__isnull=True),
                name="access_key_names_the_owner_of_its_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
