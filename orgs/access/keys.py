"""Access keys: issued and shown once, found by the hash of their text, revoked at once.

Every read of this module but `find_cached` asks the database. Not for: who may issue which key, which the API decides.
"""

import hashlib
import re
import secrets
import time
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Q

from kit import transactions
from kit.errors import ValidationError
from orgs import clock, names
from orgs.access import addresses
from orgs.audit import events
from orgs.audit.events import Actor
from orgs.audit.models import PLATFORM
from orgs.models import AccessKey, Membership, Organization, User

Kind = AccessKey.Kind

_FORM: Final = re.compile(r"cpk_[A-Za-z0-9_-]{43}[0-9a-f]{8}")
_SHOWN: Final = 10  # characters of a key that lists show, `cpk_` and six: 36 of its 256 bits
_MEMORY_SECONDS: Final = 3.0
_MEMORY_SIZE: Final = 10_000
_TOUCH_SECONDS: Final = 60.0

# SKIP LOCKED: who finds the row locked (revoking, or another process touching it) leaves it and goes on.
_TOUCH: Final = """
UPDATE orgs_accesskey SET last_used_at = portal_clock() WHERE id = (
  SELECT id FROM orgs_accesskey
  WHERE id = %s AND (last_used_at IS NULL OR last_used_at < portal_clock() - interval '1 minute')
  FOR NO KEY UPDATE SKIP LOCKED)
"""

_memory: dict[bytes, tuple[float, AccessKey]] = {}
_touched: dict[int, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a key is called and how far it reaches. Empty `allowed_addresses` allows every address."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None = None
    allowed_addresses: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key and its text, which is not kept and cannot be shown again."""

    key: AccessKey
    text: str


def issue_for_membership(
    *, membership: Membership, terms: Terms, by: Actor, issuer: User | None = None
) -> Issued:
    """Issue a key that is this member in this organization."""
    organization, user = membership.organization, membership.user
    owner = AccessKey(kind=Kind.MEMBERSHIP, membership=membership, organization=organization, user=user)
    return _issue(owner, terms, by, issuer)


def issue_personal(*, user: User, terms: Terms, by: Actor) -> Issued:
    """Issue a key that is the user, in any of their organizations."""
    return _issue(AccessKey(kind=Kind.PERSONAL, user=user), terms, by, user)


def issue_for_organization(
    *, organization: Organization, terms: Terms, by: Actor, issuer: User | None = None
) -> Issued:
    """Issue a key of the organization, which may name a member."""
    return _issue(AccessKey(kind=Kind.ORGANIZATION, organization=organization), terms, by, issuer)


def issue_platform(*, terms: Terms, by: Actor, issuer: User | None = None) -> Issued:
    """Issue a key for a gateway: any organization and user. Only system admins may."""
    return _issue(AccessKey(kind=Kind.PLATFORM), terms, by, issuer)


def revoke(*, key: AccessKey, by: Actor) -> AccessKey:
    """Stop a key at once, also for requests that wait for a lock with it; doing it twice changes nothing."""
    transactions.require()
    locked = AccessKey.objects.select_for_update(no_key=True).get(pk=key.pk)
    if locked.revoked_at is None:
        locked.revoked_at = clock.read()
        locked.save(update_fields=["revoked_at"])
        _memory.pop(bytes(locked.digest), None)
        _record(locked, by, "key.revoked")
    return locked


def find(text: str) -> AccessKey | None:
    """Return the key of a text if it may be used now, with its organization, user and membership: one query.

    None for an unknown, revoked or expired one, and where the member, user or organization it names is gone.
    """
    if not _is_whole(text):
        return None
    lives = Q(membership=None) | Q(membership__ended_at=None)
    lives &= Q(user=None) | Q(user__is_active=True)
    lives &= Q(organization=None) | ~Q(organization__status=Organization.Status.ARCHIVED)
    rows = AccessKey.objects.usable().select_related("organization", "user", "membership")
    return rows.filter(lives, digest=digest_of(text)).first()


def find_cached(text: str) -> AccessKey | None:
    """Return the key of a text as it was up to three seconds ago in this process.

    Only for the usage API, which reads revocation, expiry, membership and organization again after the payer's lock.
    The row is shared between threads: read it, never change it.
    """
    if not _is_whole(text):
        return None
    digest, now = digest_of(text), time.monotonic()
    known = _memory.get(digest)
    if known is not None and known[0] > now:
        return known[1]
    key = find(text)
    if key is not None:
        if len(_memory) >= _MEMORY_SIZE:
            _memory.clear()  # happens to nobody with less than ten thousand keys in three seconds
        _memory[digest] = (now + _MEMORY_SECONDS, key)
    return key


def find_any(text: str) -> AccessKey | None:
    """Return the key of a text even if it has ended, was revoked, or whom it names is gone.

    Only for ending what it began while it was good: a capture is never refused for its key, the provider has been paid.
    """
    if not _is_whole(text):
        return None
    rows = AccessKey.objects.select_related("organization", "user", "membership")
    return rows.filter(digest=digest_of(text)).first()


def forget_cached() -> None:
    """Empty this process's memory of keys and of when they were used; for tests."""
    _memory.clear()
    _touched.clear()


def touch(key: AccessKey) -> None:
    """Note that a key was used, at most once a minute, never waiting for a lock."""
    now = time.monotonic()
    if now - _touched.get(key.pk, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
        return
    if len(_touched) >= _MEMORY_SIZE:
        _touched.clear()
    _touched[key.pk] = now
    with connection.cursor() as cursor:
        cursor.execute(_TOUCH, [key.pk])


def digest_of(text: str) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(text.encode()).digest()


def _issue(key: AccessKey, terms: Terms, by: Actor, issuer: User | None) -> Issued:
    transactions.require()
    secret = secrets.token_urlsafe(32)
    text = f"cpk_{secret}{_checksum(secret)}"
    key.name, key.scopes = names.cleaned(terms.name), _scopes(terms.scopes)
    key.allowed_addresses = addresses.cleaned(terms.allowed_addresses)
    key.expires_at, key.created_by = terms.expires_at, issuer
    if key.expires_at is not None and key.expires_at <= clock.read():
        raise ValidationError(expires_at="A time to come is expected.")
    key.prefix, key.digest = text[:_SHOWN], digest_of(text)
    key.save(force_insert=True)
    _record(key, by, "key.issued")
    return Issued(key, text)


def _scopes(scopes: Collection[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(AccessKey.Scope.values))
    if unknown or not scopes:
        expected = ", ".join(AccessKey.Scope.values)
        raise ValidationError(scopes=f"At least one of {expected} is expected, and nothing else.")
    return sorted(set(scopes))


def _is_whole(text: str) -> bool:
    """Tell by form and checksum whether a text can be a key at all, so that typing errors cost no query."""
    return _FORM.fullmatch(text) is not None and _checksum(text[4:-8]) == text[-8:]


def _checksum(secret: str) -> str:
    return f"{zlib.crc32(secret.encode()):08x}"


def _record(key: AccessKey, by: Actor, action: str) -> None:
    facts = {"name": key.name, "kind": key.kind, "scopes": key.scopes, "expires_at": key.expires_at}
    if key.user is not None:
        facts["user"] = key.user.public_id
    organization = key.organization.public_id if key.organization else PLATFORM
    events.record(organization=organization, by=by, action=action, target=key.public_id, after=facts)
