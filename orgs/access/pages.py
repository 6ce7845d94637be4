"""What every page asks about its visitor: who it is, of which organization, whether they may, and once only.

Django's own exceptions, since pages answer with 404.html and 403.html; the API's twin is `permissions`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from kit import transactions
from kit.errors import TryAgain
from orgs.access import addresses, callers, capabilities, idempotency
from orgs.access.capabilities import Capability
from orgs.access.idempotency import Attempt
from orgs.audit.events import Actor
from orgs.models import Organization, User

FORM_KEY: Final = "key"
"""The hidden field that makes a form one act, however often it is sent."""

logger = logging.getLogger(__name__)


def visitor(request: HttpRequest) -> User:
    """Return who is signed in; the middleware has sent everybody else to sign-in."""
    if not isinstance(request.user, User):
        raise TypeError("only a signed-in person reaches this page")
    return request.user


def actor(request: HttpRequest) -> Actor:
    """Return how the visitor stands in the audit log."""
    return callers.actor_of(user=visitor(request), address=addresses.client_address(request))


def organization(request: HttpRequest, slug: str) -> Organization:
    """Return the organization of a page; 404 for one that the visitor may not know of."""
    return get_object_or_404(Organization.objects.visible_to(visitor(request)), slug=slug)


def require(request: HttpRequest, organization: Organization, capability: Capability) -> None:
    """Answer 403 unless the visitor may do this in the whole organization."""
    if not capabilities.allows(user=visitor(request), organization=organization, capability=capability):
        raise PermissionDenied


def organization_for(request: HttpRequest, slug: str, capability: Capability) -> Organization:
    """Return the organization of a page that only who may do this sees: others get 404, or 403 where they know of it."""
    found = organization(request, slug)
    require(request, found, capability)
    return found


def show(
    request: HttpRequest,
    organization: Organization,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """Return a page of an organization: its dates and times are those of the organization's zone."""
    with timezone.override(organization.time_zone):
        return render(request, template, {"organization": organization, **context}, status=status)


def new_key() -> str:
    """Return a key for a form that is about to be shown."""
    return uuid4().hex


def once(
    request: HttpRequest, content: Mapping[str, Any], run: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what `run` returns, run in one durable transaction, once for the key that the form carries.

    A second click gets the first answer. Raises IdempotencyConflict for the same key with other content, InvalidRequest
    without a key, TryAgain where the database was too busy to decide.
    """
    attempt = Attempt(
        principal=f"user:{visitor(request).public_id}",
        method=request.method or "",
        path=request.path,
        key=request.POST.get(FORM_KEY, ""),
        content=content,
    )
    with decided():
        _, answer, _ = idempotency.once_for(attempt, lambda: (200, run()))
    kept: dict[str, Any] = answer
    return kept


@contextmanager
def decided() -> Iterator[None]:
    """Raise TryAgain where the database was too busy to decide, so that a page can say so."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        if not transactions.is_busy(error):
            raise
        logger.warning("database busy: %s", error)
        raise TryAgain from error
