"""Rows of `lago_sync`. The rules stand in the topic packages."""

from lago_sync.models.catalogue import LagoPlan
from lago_sync.models.changes import PlanChange
from lago_sync.models.checks import HealthCheck, Identity
from lago_sync.models.customers import LagoCustomer
from lago_sync.models.drift import Drift, Watermark
from lago_sync.models.inbox import WebhookKey, WebhookMessage
from lago_sync.models.invoices import InvoiceDocument, LagoCreditNote, LagoInvoice
from lago_sync.models.migration import CustomerMigration, Provision
from lago_sync.models.outbox import OutboxEvent
from lago_sync.models.payments import AutoTopUp, PaymentMethod
from lago_sync.models.purchases import Package, Purchase, Refund
from lago_sync.models.subscriptions import LagoSubscription

__all__ = [
    "AutoTopUp",
    "CustomerMigration",
    "Drift",
    "HealthCheck",
    "Identity",
    "InvoiceDocument",
    "LagoCreditNote",
    "LagoCustomer",
    "LagoInvoice",
    "LagoPlan",
    "LagoSubscription",
    "OutboxEvent",
    "Package",
    "PaymentMethod",
    "PlanChange",
    "Provision",
    "Purchase",
    "Refund",
    "Watermark",
    "WebhookKey",
    "WebhookMessage",
]
