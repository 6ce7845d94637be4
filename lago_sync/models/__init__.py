"""Rows of `lago_sync`. The rules stand in the topic packages."""

from lago_sync.models.checks import HealthCheck, Identity
from lago_sync.models.customers import LagoCustomer
from lago_sync.models.inbox import WebhookMessage
from lago_sync.models.outbox import OutboxEvent
from lago_sync.models.purchases import Package, Purchase
from lago_sync.models.subscriptions import LagoSubscription

__all__ = [
    "HealthCheck",
    "Identity",
    "LagoCustomer",
    "LagoSubscription",
    "OutboxEvent",
    "Package",
    "Purchase",
    "WebhookMessage",
]
