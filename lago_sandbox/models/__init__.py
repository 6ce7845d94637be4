"""All rows of the sandbox."""

from lago_sandbox.models.catalogue import BillableMetric, Charge, Feature, Plan
from lago_sandbox.models.customers import Customer, CustomerMetadata, PaymentMethod
from lago_sandbox.models.invoices import (
    VISIBLE,
    BillingPeriod,
    Credit,
    CreditNote,
    Fee,
    Invoice,
    InvoiceMetadata,
    Payment,
)
from lago_sandbox.models.machinery import Job, Setting
from lago_sandbox.models.subscriptions import Event, Subscription
from lago_sandbox.models.wallets import Alert, Wallet, WalletTransaction
from lago_sandbox.models.webhooks import Delivery, WebhookEndpoint

__all__ = [
    "VISIBLE",
    "Alert",
    "BillableMetric",
    "BillingPeriod",
    "Charge",
    "Credit",
    "CreditNote",
    "Customer",
    "CustomerMetadata",
    "Delivery",
    "Event",
    "Feature",
    "Fee",
    "Invoice",
    "InvoiceMetadata",
    "Job",
    "Payment",
    "PaymentMethod",
    "Plan",
    "Setting",
    "Subscription",
    "Wallet",
    "WalletTransaction",
    "WebhookEndpoint",
]
