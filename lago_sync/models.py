"""Rows of `lago_sync`. The rules stand in the topic packages."""

from lago_sync.outbox.models import OutboxEvent

__all__ = ["OutboxEvent"]
