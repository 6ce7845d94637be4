"""Signatures of Lago's webhooks: HMAC-SHA256 over the raw bytes, in strict base64 (reference/lago.md §3)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from django.conf import settings

from kit.errors import Unauthorized

ALGORITHM: Final = "hmac"
"""The one algorithm that is taken: with `jwt` the header grows as large as the body."""


class BadSignature(Unauthorized):
    """The message is not signed by our Lago, or we have no key to tell."""

    def __init__(self) -> None:
        super().__init__("The signature is missing or wrong.")


def verify(*, body: bytes, headers: Mapping[str, str]) -> None:
    """Raise BadSignature unless the bytes are signed with our key; the text is compared, so there is one spelling."""
    given = headers.get("X-Lago-Signature", "")
    if headers.get("X-Lago-Signature-Algorithm") != ALGORITHM or not is_configured():
        raise BadSignature
    if not hmac.compare_digest(given.encode("utf-8", "replace"), signature(body=body)):
        raise BadSignature


def signature(*, body: bytes) -> bytes:
    """Return what Lago sends in `X-Lago-Signature` with this body."""
    digest = hmac.digest(settings.LAGO_WEBHOOK_HMAC_KEY.encode(), body, hashlib.sha256)
    return base64.b64encode(digest)


def is_configured() -> bool:
    """Tell whether there is a key; without one every message is refused."""
    return bool(settings.LAGO_WEBHOOK_HMAC_KEY)
