"""Writing the outbox: one statement for all usage records of a settled batch."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from credits import amounts
from credits.ledger import statements
from credits.ledger.records import Usage

CREDITS_USED: Final = "credits_used"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_COLUMNS: Final = {
    "organization": "text",
    "transaction_id": "text",
    "code": "text",
    "payload": "jsonb",
    "created_at": "timestamptz",
}


def add(*, records: list[Usage]) -> None:
    """Write an event for each record, in the transaction that made it: a reversal is a negative one."""
    statements.insert("lago_sync_outboxevent", _COLUMNS, map(_row, records))


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
