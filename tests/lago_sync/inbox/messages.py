"""Webhooks as Lago sends them: bytes, and the three headers that go with them."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final
from uuid import uuid4

from django.test import Client

KEY: Final = "11111111-2222-3333-4444-555555555555"
VECTOR: Final = (
    rb'{"webhook_type":"wallet.updated","object_type":"wallet",'
    rb'"organization_id":"1a901a90-1a90-1a90-1a90-1a901a901a90","wallet":{"name":"A \u0026 B"}}'
)
VECTOR_SIGNATURE: Final = "Zcsx9chfmr4BKTyM2o0VqAuIJeg5BW5Et5XSLljBMwI="


def message(kind: str, **things: Any) -> bytes:
    """Return a message's bytes; what it is about under its own name."""
    return json.dumps({"webhook_type": kind, "object_type": kind.partition(".")[0], **things}).encode()


def signed(body: bytes, *, key: str = KEY) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def headers(body: bytes, *, unique: str = "", **other: str | None) -> dict[str, str]:
    """Return a true message's headers; `other` replaces some (X_Lago_Signature=…), None leaves one out."""
    found: dict[str, str | None] = {
        "X-Lago-Signature": signed(body),
        "X-Lago-Signature-Algorithm": "hmac",
        "X-Lago-Unique-Key": unique or str(uuid4()),
    }
    found |= {name.replace("_", "-"): value for name, value in other.items()}
    return {name: value for name, value in found.items() if value is not None}


def send(body: bytes, *, unique: str = "", address: str = "127.0.0.1", **other: str | None) -> Any:
    """POST to the real address, as a client without cookies."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    given = headers(body, unique=unique, **other)
    return client.generic(
        "POST", "/webhooks/lago", body, "application/json", headers=given, REMOTE_ADDR=address
    )
