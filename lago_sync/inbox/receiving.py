"""Receiving webhooks: verified, stored as they came, answered. What they mean is found out afterwards."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kit import transactions
from kit.errors import InvalidRequest
from kit.rest.parsing import BODY_LIMIT, TooLarge
from lago_sync.inbox import signing
from lago_sync.models import WebhookMessage

LIMIT: Final = BODY_LIMIT
_LONGEST_KEY: Final = 128
_LONGEST_TYPE: Final = 64


def receive(*, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookMessage | None:
    """Store a message, once per unique key; None where it is known already.

    Raises TooLarge (413), BadSignature (401) before anything is parsed, and InvalidRequest (400) for what is no JSON
    object or has no unique key.
    """
    transactions.require()
    check_size(len(body))
    signing.verify(body=body, headers=headers)
    text, parsed = _parsed(body)
    message, is_new = WebhookMessage.objects.get_or_create(
        unique_key=_unique_key(headers),
        defaults={"webhook_type": _type(parsed), "body": text, "received_at": now, "due_at": now},
    )
    return message if is_new else None


def check_size(size: int) -> None:
    """Raise TooLarge for a body of more than 1 MiB."""
    if size > LIMIT:
        raise TooLarge(f"The body may have at most {LIMIT} bytes.", limit=LIMIT)


def _parsed(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = body.decode("utf-8")
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return text, parsed


def _unique_key(headers: Mapping[str, str]) -> str:
    key = headers.get("X-Lago-Unique-Key", "")
    if not 0 < len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest("X-Lago-Unique-Key is missing or none.")
    return key


def _type(parsed: Mapping[str, Any]) -> str:
    """Return the type as far as a row can hold it; what is none of Lago's is ignored later."""
    given = parsed.get("webhook_type")
    text = given if isinstance(given, str) and given.isprintable() else ""
    return text[:_LONGEST_TYPE]
