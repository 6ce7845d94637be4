"""Receiving webhooks: verified, stored as they came, answered. What they mean is found out afterwards."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from kit import transactions
from kit.errors import InvalidRequest
from kit.rest.parsing import BODY_LIMIT, TooLarge
from lago_sync.inbox import signing
from lago_sync.models import WebhookMessage

State = WebhookMessage.State

LIMIT: Final = BODY_LIMIT
_LONGEST_KEY: Final = 128
_LONGEST_TYPE: Final = 64
_AGAIN_AFTER: Final = timedelta(minutes=1)


def receive(*, body: bytes, headers: Mapping[str, str], now: datetime) -> WebhookMessage | None:
    """Store a message; None where it is known, by its unique key or by its body, and nobody need look now.

    Lago gives the same words another key where it says them again, and anybody who heard them once could (the key is not
    signed): they make no second row. Where the first was handled it is looked at again, at most once a minute, since the
    thing may have changed there and back.
    Raises TooLarge (413), BadSignature (401) before anything is parsed, and InvalidRequest (400) for what is no JSON
    object or has no unique key.
    """
    transactions.require()
    check_size(len(body))
    signing.verify(body=body, headers=headers)
    text, parsed = _parsed(body)
    unique_key = _unique_key(headers)
    digest = hashlib.sha256(body).hexdigest()
    _be_the_only_one_with(digest)
    if WebhookMessage.objects.filter(unique_key=unique_key).exists():
        return None
    told = WebhookMessage.objects.filter(body_digest=digest).order_by("-pk").first()
    if told is not None:
        _look_again(told, now)
        return None
    message, is_new = WebhookMessage.objects.get_or_create(
        unique_key=unique_key,
        defaults={
            "webhook_type": _type(parsed),
            "body": text,
            "body_digest": digest,
            "received_at": now,
            "due_at": now,
        },
    )
    return message if is_new else None


def check_size(size: int) -> None:
    """Raise TooLarge for a body of more than 1 MiB."""
    if size > LIMIT:
        raise TooLarge(f"The body may have at most {LIMIT} bytes.", limit=LIMIT)


def _be_the_only_one_with(digest: str) -> None:
    """Wait for whoever stores the same body just now, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(digest[:15], 16)])


def _look_again(told: WebhookMessage, now: datetime) -> None:
    """Have a message handled anew where somebody has begun to; a dead letter is for somebody to see."""
    same = WebhookMessage.objects.filter(pk=told.pk)
    over = same.filter(state__in=(State.HANDLED, State.IGNORED))
    soon = max(now, (told.handled_at or now) + _AGAIN_AFTER)
    over.update(state=State.WAITING, due_at=soon, attempts=0, failures=0, handled_at=None)
    # Whoever has it may have looked already: without its claim it cannot end the message.
    same.filter(state=State.WAITING, attempts__gt=0).update(due_at=now + _AGAIN_AFTER)


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
