"""Who sends an API request, told from its headers; a wrong one is 401 before anything else is looked at."""

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication
from rest_framework.request import Request

from kit.errors import PermissionDenied, Unauthorized
from orgs.access import addresses, callers, keys
from orgs.access.callers import Caller
from orgs.models import User


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer cpk_…`; asks the database each time, so that a revoked key stops at once.

    A view of the hot path has a `find_key` of its own: it reads the key again after the payer's lock.
    """

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Caller] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        find = getattr((request.parser_context or {}).get("view"), "find_key", keys.find)
        key = find(text.strip())
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


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser's session; what changes something needs Django's CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        user = getattr(request._request, "user", None)  # noqa: SLF001 - DRF has no other way to Django's request
        if not isinstance(user, User) or not user.is_active:
            return None
        self.enforce_csrf(request)
        address = addresses.client_address(request._request)  # noqa: SLF001
        return user, callers.of_user(user=user, address=address)
