"""The edge of the Python API: which organization an id is, who acts, and every refusal as a LagoIntegrationError."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from django.db import connection

from kit import transactions
from kit.errors import DomainError, TryAgain
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable
from orgs.access import callers
from orgs.audit.events import SYSTEM, Actor
from orgs.models import Organization, User

P = ParamSpec("P")
T = TypeVar("T")

_PUBLIC_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class NotDone(LagoRefused):
    """The portal itself refused: `code` and `status` are the API's (contract.md §4), `codes` its sentences by field."""

    def __init__(self, refusal: DomainError, /) -> None:
        super().__init__(
            refusal.message, http_status=refusal.status, lago_code=refusal.code, codes=refusal.details
        )
        self.code, self.status = refusal.code, refusal.status  # type: ignore[misc]
        self.details = refusal.details


class UnknownOrganization(LagoIntegrationError):
    """The portal has no organization of this id, so there is nobody to do it for."""

    code = "not_found"
    status = 404


def told(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function of the API raise nothing of ours but LagoIntegrationError; the first error is its cause."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except LagoIntegrationError:
            raise
        except TryAgain as error:
            raise LagoUnavailable(error.message) from error
        except DomainError as error:
            raise NotDone(error) from error

    return run


def organization(org_id: str) -> Organization | None:
    """Return the organization with this public id, None for one that the portal does not know or that is archived."""
    if not _is_id(org_id):
        return None
    kept = Organization.objects.exclude(status=Organization.Status.ARCHIVED)
    return kept.filter(public_id=org_id).first()


def require(org_id: str) -> Organization:
    """Return the organization with this public id; raises UnknownOrganization."""
    found = organization(org_id)
    if found is None:
        raise UnknownOrganization(f"There is no organization {org_id!r}.", org_id=str(org_id))
    return found


def user(user_id: str | None) -> User | None:
    """Return the person with this public id; None for nobody, or somebody that only the caller knows."""
    return User.objects.filter(public_id=user_id).first() if _is_id(user_id) else None


def _is_id(value: object) -> bool:
    """Tell what can be asked for: PostgreSQL takes no NUL."""
    return isinstance(value, str) and _PUBLIC_ID.fullmatch(value) is not None


def actor(user_id: str | None) -> Actor:
    """Return who stands in the audit log: the user where the portal knows them, else the portal itself."""
    found = user(user_id)
    return callers.actor_of(user=found) if found is not None else SYSTEM


def is_whole(value: object, *, least: int, most: int) -> bool:
    """Tell whether a caller gave a whole number within these bounds; True is none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def joined() -> AbstractContextManager[None]:
    """Take part in the caller's transaction, so that both are kept or neither is; open one where there is none."""
    return nullcontext() if connection.in_atomic_block else transactions.durable()
