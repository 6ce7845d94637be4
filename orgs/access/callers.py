"""Who is calling the API: a person in a browser, or one of the four kinds of key."""

from dataclasses import dataclass
from typing import Final

from orgs.audit.events import Actor
from orgs.models import AccessKey, User

ALL_SCOPES: Final = frozenset(AccessKey.Scope.values)
SESSION: Final = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of one request, `request.auth`; what a membership or organization key is bound to is fixed here."""

    kind: str
    """`session`, or a kind of key: `membership`, `personal`, `organization`, `platform`."""
    key_id: int | None
    user: User | None
    organization_id: int | None
    scopes: frozenset[str]
    actor: Actor

    @property
    def principal(self) -> str:
        """Return what a caller's own `Idempotency-Key`s and rate limits are counted under."""
        return f"{'key' if self.key_id else 'user'}:{self.actor.public_id}"


def of_user(*, user: User, address: str) -> Caller:
    """Return the caller behind a browser session."""
    return Caller(
        kind=SESSION,
        key_id=None,
        user=user,
        organization_id=None,
        scopes=ALL_SCOPES,
        actor=actor_of(user=user, address=address),
    )


def of_key(*, key: AccessKey, address: str) -> Caller:
    """Return the caller who sent a key."""
    return Caller(
        kind=key.kind,
        key_id=key.pk,
        user=key.user,
        organization_id=key.organization_id,
        scopes=frozenset(key.scopes),
        actor=Actor(kind="key", public_id=key.public_id, address=address),
    )


def actor_of(*, user: User, address: str = "") -> Actor:
    """Return how a person stands in the audit log; a system admin is marked as one."""
    return Actor(kind="system_admin" if user.is_staff else "user", public_id=user.public_id, address=address)
