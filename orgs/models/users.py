"""Users: people who sign in, and service members (build agents, bots) that only hold keys."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from kit.identifiers import public_id, uuid7


def new_user_id() -> str:
    """Return a fresh `usr_…` public id."""
    return public_id("usr")


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a person who signs in with `email`; without a password they must reset it first."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a system admin (`manage.py createsuperuser`)."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find by e-mail whatever its case."""
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person or a service member. System admins are `is_staff`.

    The key is a UUID because allauth's reset mail carries it; everybody else sees only `public_id`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_id = models.CharField(max_length=64, unique=True, default=new_user_id, editable=False)
    email = models.EmailField(unique=True, null=True, blank=True)
    name = models.CharField(max_length=150)
    is_service = models.BooleanField(default=False)
    is_staff = models.BooleanField("system admin", default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    active_organization = models.ForeignKey(
        "orgs.Organization", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    default_organization = models.ForeignKey(
        "orgs.Organization", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    objects = UserManager()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("email"), name="user_email_once_whatever_its_case"),
            models.CheckConstraint(
                condition=models.Q(is_service=True) | models.Q(email__isnull=False),
                name="user_has_an_email_unless_a_service",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(OpClass(Upper("name"), name="text_pattern_ops"), name="user_by_start_of_name"),
        ]

    def __str__(self) -> str:
        return self.email or f"{self.name} ({self.public_id})"

    def get_short_name(self) -> str:
        """Return what a greeting uses."""
        return self.name.split(" ")[0] or str(self)
