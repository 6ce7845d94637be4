"""The key that Lago's webhooks are signed with where they are signed by JWT: fetched by our key, and pinned.

Only `setup_lago` pins: a key that Lago shows from one day to the next is not believed by itself, since whoever could make
Lago's address answer could then write webhooks too. Until one is pinned every message is refused.
"""

import hashlib
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings

from kit import transactions
from lago_sync.client import organization
from lago_sync.errors import LagoUnavailable
from lago_sync.models import WebhookKey
from orgs.audit import events
from orgs.audit.events import SYSTEM
from orgs.audit.models import PLATFORM


def is_wanted() -> bool:
    """Tell whether webhooks are signed by JWT, so that there must be a key."""
    return bool(settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM == "jwt")


def address() -> str:
    """Return Lago's address without /api/v1: who signs, and whose key it is."""
    return str(settings.LAGO_API_URL).rstrip("/").removesuffix("/api/v1").rstrip("/")


def pinned() -> str:
    """Return the PEM of the pinned key of this Lago, "" without one."""
    found = WebhookKey.objects.filter(address=address()).first()
    return found.pem if found is not None else ""


def pin(*, now: datetime) -> str:
    """Fetch Lago's key, pin it in place of the one before, and return a sentence that says what it is now.

    Asks Lago; opens its own transaction. Raises LagoUnavailable, also for what is no RSA key, and LagoRefused.
    """
    pem = organization.public_key()
    _check(pem)
    with transactions.durable():
        known = WebhookKey.objects.select_for_update(no_key=True).filter(address=address()).first()
        if known is not None and known.pem == pem:
            return f"The key of webhooks is pinned: {fingerprint(pem)}."
        before = fingerprint(known.pem) if known is not None else ""
        WebhookKey.objects.update_or_create(address=address(), defaults={"pem": pem, "pinned_at": now})
        events.record(
            organization=PLATFORM,
            by=SYSTEM,
            action="webhook_key.pinned",
            target=address(),
            before={"key": before},
            after={"key": fingerprint(pem)},
        )
    return f"Key of webhooks pinned: {fingerprint(pem)}{f', in place of {before}' if before else ''}."


def differs() -> bool:
    """Tell whether Lago signs with another key than the pinned one, or none is pinned. Asks Lago."""
    return pinned() != organization.public_key()


def fingerprint(pem: str) -> str:
    """Return what tells keys apart to an eye."""
    return hashlib.sha256(pem.encode()).hexdigest()[:16]


def _check(pem: str) -> None:
    try:
        is_rsa = isinstance(load_pem_public_key(pem.encode()), RSAPublicKey)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LagoUnavailable("Lago's public key cannot be read.") from error
    if not is_rsa:
        raise LagoUnavailable("Lago's public key is no RSA key.")
