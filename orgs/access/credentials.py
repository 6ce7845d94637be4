"""What people change about how they sign in, told to the platform's audit log: allauth makes the change, this the event."""

from functools import partial
from typing import Any, Final

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest

from orgs.access import addresses, callers
from orgs.audit import events
from orgs.audit.models import PLATFORM
from orgs.models import User

_ACTS: Final[dict[str, Signal]] = {
    "user.password_set": account.password_set,
    "user.password_changed": account.password_changed,
    "user.password_reset": account.password_reset,
    "user.email_added": account.email_added,
    "user.email_changed": account.email_changed,
    "user.email_confirmed": account.email_confirmed,
    "user.email_removed": account.email_removed,
    "user.second_factor_added": mfa.authenticator_added,
    "user.second_factor_removed": mfa.authenticator_removed,
    "user.recovery_codes_made_anew": mfa.authenticator_reset,
}
_listeners: list[Any] = []
"""Signals hold their receivers weakly."""


def connect() -> None:
    """Listen; called once, when the app is ready."""
    for action, signal in _ACTS.items():
        listener = partial(_tell, action)
        _listeners.append(listener)
        signal.connect(listener, dispatch_uid=f"orgs.{action}")


def _tell(action: str, *, request: HttpRequest | None = None, **told: Any) -> None:
    address = told.get("email_address")
    user: User = told.get("user") or told["email_address"].user
    where = addresses.client_address(request) if request is not None else ""
    facts = {
        "email": _email(address or told.get("to_email_address")),
        "kind": getattr(told.get("authenticator"), "type", None),
    }
    before = {"email": _email(told.get("from_email_address"))}
    with transaction.atomic():  # allauth has one open in some of its flows and none in others
        events.record(
            organization=PLATFORM,
            by=callers.actor_of(user=user, address=where),
            action=action,
            target=user.public_id,
            before={name: value for name, value in before.items() if value},
            after={name: value for name, value in facts.items() if value},
        )


def _email(address: Any) -> str | None:
    return address.email if address is not None else None
