"""Who sends an API request, told from its headers; a wrong one is 401 before anything else is looked at."""

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication
from rest_framework.request import Request

from kit.errors import PermissionDenied, Unauthorized
from orgs.access import addresses, callers, keys
from orgs.access.callers import Caller
from orgs.models import AccessKey, User


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer cpk_…`; asks the database each time, so that a revoked key stops at once."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Caller] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = self.find(text.strip())
        if key is None:
            raise Unauthorized("This key is unknown, was revoked or has expired.")
        address = addresses.client_address(request._request)  # noqa: SLF001 - DRF has no other way to Django's request
        if key.allowed_addresses and not addresses.is_within(address, key.allowed_addresses):
            raise PermissionDenied("This key may not be used from this address.", address=address)
        keys.touch(key)
        return key.user or AnonymousUser(), callers.of_key(key=key, address=address)

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 where nobody is signed in."""
        return "Bearer"

    def find(self, text: str) -> AccessKey | None:
        """Return the key of a text if it may be used."""
        return keys.find(text)


class UsageKeyAuthentication(KeyAuthentication):
    """The same for the hot path, from this process's memory of the last seconds (`keys.find_cached`)."""

    def find(self, text: str) -> AccessKey | None:
        return keys.find_cached(text)


class EndingKeyAuthentication(UsageKeyAuthentication):
    """For capture and release: a key that ended since may still end the holds that it placed (product.md §6)."""

    def find(self, text: str) -> AccessKey | None:
        return keys.find_cached(text) or keys.find_any(text)


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser's session; what changes something needs Django's CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        user = getattr(request._request, "user", None)  # noqa: SLF001 - DRF has no other way to Django's request
        if not isinstance(user, User) or not user.is_active:
            return None
        self.enforce_csrf(request)
        address = addresses.client_address(request._request)  # noqa: SLF001
        return user, callers.of_user(user=user, address=address)
