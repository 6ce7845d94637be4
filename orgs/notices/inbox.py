"""A person's inbox: what they were told, newest first, and what of it they have read."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from kit import transactions
from orgs.models import Organization, User
from orgs.notices.models import Notice

MOST_COUNTED: Final = 100
"""Unread ones beyond this are not counted: the pill says 99+."""


def rows(
    *, user: User, unread: bool = False, kind: str = "", organization: Organization | None = None
) -> QuerySet[Notice]:
    """Return what a person was told, newest first; each filter narrows it."""
    found = Notice.objects.filter(user=user).select_related("organization")
    if unread:
        found = found.filter(read_at=None)
    if kind:
        found = found.filter(kind=kind)
    if organization is not None:
        found = found.filter(organization=organization)
    return found.order_by("-id")


def unread(*, user: User) -> int:
    """Return how many are unread, counted up to `MOST_COUNTED`."""
    return Notice.objects.filter(user=user, read_at=None)[:MOST_COUNTED].count()


def read(
    *, user: User, ids: Collection[UUID] | None, now: datetime, organization: Organization | None = None
) -> int:
    """Mark these of a person's notices as read, all of them for None; returns how many were unread.

    Ids of nobody's and of others' notices are passed over. `organization` leaves those of others alone.
    """
    transactions.require()
    found = Notice.objects.filter(user=user, read_at=None)
    if ids is not None:
        found = found.filter(pk__in=ids)
    if organization is not None:
        found = found.filter(organization=organization)
    return found.update(read_at=now)


def organizations(*, user: User) -> list[Organization]:
    """Return the organizations that a person was told about, by name: what the inbox can be filtered by."""
    told = Notice.objects.filter(user=user, organization__isnull=False).order_by().values("organization")
    return list(Organization.objects.filter(pk__in=told.distinct()).order_by("name", "pk"))
