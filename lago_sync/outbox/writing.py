"""Writing the outbox: one statement for all usage records of a settled batch; and events that are no charges."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from credits import amounts
from credits.ledger import keys, statements
from credits.ledger.records import Usage
from kit import transactions
from kit.errors import ValidationError
from lago_sync.models import OutboxEvent
from orgs.models import Organization

CREDITS_USED: Final = "credits_used"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_LATE: Final = timedelta(seconds=2)
"""How long a charge of a minute that is over may still be on its way into the table."""
_COLUMNS: Final = {
    "organization": "text",
    "transaction_id": "text",
    "code": "text",
    "payload": "jsonb",
    "created_at": "timestamptz",
}
_ADD: Final = """
INSERT INTO lago_sync_outboxevent (organization, transaction_id, code, payload, created_at)
VALUES (%s, %s, %s, %s::jsonb, clock_timestamp()) ON CONFLICT DO NOTHING
"""
_LONGEST_ID: Final = 128
_LONGEST_KEPT: Final = 64
_LONGEST_CODE: Final = 64
_PROPERTIES_BYTES: Final = 4096
_HEX: Final = frozenset("0123456789abcdef")


def add(*, records: list[Usage]) -> None:
    """Write an event for each record, in the transaction that made it: a reversal is a negative one."""
    if settings.LAGO_AGGREGATE_USAGE:
        columns = _COLUMNS | {"due_at": "timestamptz"}
        rows = ((*_row(record), due_when_bundled(record.created_at)) for record in records)
        statements.insert("lago_sync_outboxevent", columns, rows)
    else:
        statements.insert("lago_sync_outboxevent", _COLUMNS, map(_row, records))


def due_when_bundled(at: datetime) -> datetime:
    """Return when a row that was written then may go: when its minute is over, and all of it is there to bundle."""
    return at.replace(second=0, microsecond=0) + _MINUTE + _LATE


def add_event(
    *,
    organization: Organization,
    code: str,
    transaction_id: str,
    properties: Mapping[str, Any],
    at: datetime,
) -> bool:
    """Write an event that is no charge; returns whether it is new. Call it in a transaction; Lago is not asked.

    The same `transaction_id` (1 to 128 printable ASCII characters) is one event of an organization, however often it
    comes and with whatever else. The id of a charge or of a hold in the ledger, or of a usage record, is that charge's
    event already, and nothing is written. `code` is Lago's, or a service that LAGO_EVENT_CODES names. `properties` are
    flat: texts, numbers, booleans; None is left out. `at` is when it happened, kept in milliseconds.
    Raises ValidationError (code, transaction_id, properties, timestamp); `credits_used` is for charges alone, since
    every credit that Lago hears of is one of the ledger's.
    """
    transactions.require()
    lagos = settings.LAGO_EVENT_CODES.get(code, code)
    payload = {"timestamp": _unix(at), "properties": _plain(properties)}
    _check(lagos, transaction_id, payload, at)
    if keys.read([(organization.pk, transaction_id)]):
        return False
    row = (organization.public_id, lagos, json.dumps(payload))
    kept = _kept(organization.public_id, transaction_id)
    if lagos != CREDITS_USED and _insert(kept, row):
        return True
    if OutboxEvent.objects.filter(transaction_id=kept, organization=organization.public_id).exists():
        return False
    if lagos == CREDITS_USED:
        raise ValidationError(code="is for charges alone: charge the credits, and Lago is told.")
    return _insert(_digest(organization.public_id, transaction_id), row)


def _insert(transaction_id: str, row: tuple[str, str, str]) -> bool:
    organization, code, payload = row
    return bool(statements.run(_ADD, organization, transaction_id, code, payload))


def _kept(public_id: str, transaction_id: str) -> str:
    """Return the id under which Lago gets it: its own where that fits and cannot be taken for one that we made."""
    looks_made = len(transaction_id) == _LONGEST_KEPT and _HEX.issuperset(transaction_id)
    if len(transaction_id) > _LONGEST_KEPT or looks_made:
        return _digest(public_id, transaction_id)
    return transaction_id


def _digest(public_id: str, transaction_id: str) -> str:
    """Return an id of the organization's own: Lago's are of all organizations (reference/lago.md §2.5)."""
    return hashlib.sha256(f"{public_id}\n{transaction_id}".encode()).hexdigest()


def _check(code: str, transaction_id: str, payload: dict[str, Any], at: datetime) -> None:
    wrong = {}
    if not 0 < len(code) <= _LONGEST_CODE or not code.isascii() or not code.isprintable():
        wrong["code"] = "must be an event code of Lago's."
    if not 0 < len(transaction_id) <= _LONGEST_ID or not _is_visible(transaction_id):
        wrong["transaction_id"] = f"must have 1 to {_LONGEST_ID} printable ASCII characters."
    if payload["properties"] is None or len(json.dumps(payload).encode()) > _PROPERTIES_BYTES:
        wrong["properties"] = "must be an object of texts, numbers and booleans, of at most 4 KiB."
    if at < _EPOCH:
        wrong["timestamp"] = "must be a moment since 1970."
    if wrong:
        raise ValidationError(**wrong)


def _is_visible(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _plain(properties: Mapping[Any, Any]) -> dict[str, str] | None:
    """Return the properties as texts, which Lago sums like numbers; None where one is no plain value."""
    found = {}
    for name, value in properties.items():
        text = _text(value)
        if text is None or not isinstance(name, str) or "\x00" in name + text:
            return None
        if value is not None:
            found[name] = text
    return found


def _text(value: object) -> str | None:
    """Return a value as Lago reads it, "" for nothing; None where it is no plain value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return str(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return None if any("\ud800" <= letter <= "\udfff" for letter in value) else value
    return "" if value is None else str(value) if isinstance(value, int) else None


def _row(record: Usage) -> tuple[Any, ...]:
    return record.organization, str(record.id), CREDITS_USED, _payload(record), record.created_at


def _payload(record: Usage) -> dict[str, Any]:
    """Return what delivery makes Lago's event from; keys of rows become public ids there, many at once."""
    is_reversal = record.kind == "reversal"
    return {
        "timestamp": _unix(record.occurred_at),
        "credits": amounts.text(-record.credits if is_reversal else record.credits),
        "reverses": str(record.corrects) if is_reversal else None,
        "user": record.user_id and record.user_id.hex,
        "department": record.department_id,
        "endpoint": record.metadata.get("endpoint"),
        "service": record.service,
        "provider": record.provider,
        "model": record.model,
        "tokens": record.input_tokens + record.output_tokens,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
    }


def _unix(at: datetime) -> str:
    """Return UNIX seconds with milliseconds, cut: Lago cuts the start of a subscription to milliseconds too."""
    milliseconds = (at - _EPOCH) // _MILLISECOND
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
