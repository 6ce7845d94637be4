"""Signatures of Lago's webhooks (reference/lago.md §3): HMAC-SHA256 over the raw bytes, or a JWT that carries them.

Which of both is ours is a setting, and the other is refused: a header must not choose what it is checked by.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import jwt
from django.conf import settings

from kit.errors import Unauthorized
from lago_sync.setup import webhook_key

_JWT: Final = ["RS256"]
"""The one algorithm that Lago signs with; any other, none included, is a forger's."""


class BadSignature(Unauthorized):
    """The message is not signed by our Lago, or we have no key to tell."""

    def __init__(self) -> None:
        super().__init__("The signature is missing or wrong.")


def verify(*, body: bytes, headers: Mapping[str, str]) -> None:
    """Raise BadSignature unless the bytes are signed with our key, by our algorithm; nothing of them is parsed before."""
    given = headers.get("X-Lago-Signature", "")
    if not given or headers.get("X-Lago-Signature-Algorithm") != algorithm():
        raise BadSignature
    is_signed = _is_token_of(body, given) if webhook_key.is_wanted() else _is_hmac_of(body, given)
    if not is_signed:
        raise BadSignature


def algorithm() -> str:
    """Return `hmac` or `jwt`: how Lago signs, as it says in `X-Lago-Signature-Algorithm`."""
    return str(settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM)


def is_configured() -> bool:
    """Tell whether there is a key; without one every message is refused."""
    return bool(webhook_key.pinned() if webhook_key.is_wanted() else _hmac_keys())


def _hmac_keys() -> list[str]:
    """Return the keys, the new one first: two while they are rotated."""
    return [key for part in str(settings.LAGO_WEBHOOK_HMAC_KEY).split(",") if (key := part.strip())]


def _is_hmac_of(body: bytes, given: str) -> bool:
    """Compare the texts, so that there is one spelling; each key is tried, whichever fits."""
    told = given.encode("utf-8", "replace")
    fits = [hmac.compare_digest(told, _signature(body, key)) for key in _hmac_keys()]
    return any(fits)


def _signature(body: bytes, key: str) -> bytes:
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256))


def _is_token_of(body: bytes, given: str) -> bool:
    """Tell whether the token is our Lago's and carries these very bytes."""
    pem = webhook_key.pinned()
    if not pem:
        return False
    try:
        claims = jwt.decode(
            given, pem, algorithms=_JWT, issuer=_issuers(), options={"require": ["data", "iss"]}
        )
    except (jwt.PyJWTError, ValueError, RecursionError):  # the header is read before the signature
        return False
    data = claims["data"]
    return isinstance(data, str) and hmac.compare_digest(data.encode("utf-8", "replace"), body)


def _issuers() -> list[str]:
    """Return the names that our Lago may have for itself: its own address, which may be an inner one to us."""
    named = [one for one in (webhook_key.address(), str(settings.LAGO_PUBLIC_URL)) if one]
    return [*named, *(f"{one}/" for one in named)]
