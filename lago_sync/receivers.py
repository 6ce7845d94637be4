"""What `lago_sync` does when the apps below it announce something: it writes rows of its own, nothing else."""

from typing import Any

from credits.ledger.records import Usage
from credits.signals import usage_recorded
from lago_sync.outbox import writing


def connect() -> None:
    """Listen; called once, when the app is ready."""
    usage_recorded.connect(_write_outbox, dispatch_uid="lago_sync.outbox")


def _write_outbox(*, records: list[Usage], **_: Any) -> None:
    writing.add(records=records)
