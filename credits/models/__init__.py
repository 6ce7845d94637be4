"""Rows of the ledger. Other apps call `credits`' verbs and never import this package (an import contract)."""

from credits.models.entries import Grant, LedgerEntry
from credits.models.holds import Hold
from credits.models.limits import QuotaUsage
from credits.models.payers import Allocation, CreditPool
from credits.models.prices import Price
from credits.models.usage import DailyUsage, Shortfall, TransactionKey, UsageRecord

__all__ = [
    "Allocation",
    "CreditPool",
    "DailyUsage",
    "Grant",
    "Hold",
    "LedgerEntry",
    "Price",
    "QuotaUsage",
    "Shortfall",
    "TransactionKey",
    "UsageRecord",
]
