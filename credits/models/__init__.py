"""Rows of the ledger. Other apps call `credits`' verbs and never import this package (an import contract)."""

from credits.models.entries import Grant, GrantBalance, LedgerEntry, ProposedGrant, Withdrawal
from credits.models.holds import Hold
from credits.models.limits import Budget, BudgetUsage, Crossing, QuotaUsage, Refusal
from credits.models.payers import Allocation, CreditPool
from credits.models.prices import OutputSize, Price, UnpricedUse
from credits.models.proofs import Verification
from credits.models.sharing import AllocationReset, CreditRequest, StandardAllocation
from credits.models.usage import DailyUsage, Shortfall, TransactionKey, UsageRecord

__all__ = [
    "Allocation",
    "AllocationReset",
    "Budget",
    "BudgetUsage",
    "CreditPool",
    "CreditRequest",
    "Crossing",
    "DailyUsage",
    "Grant",
    "GrantBalance",
    "Hold",
    "LedgerEntry",
    "OutputSize",
    "Price",
    "ProposedGrant",
    "QuotaUsage",
    "Refusal",
    "Shortfall",
    "StandardAllocation",
    "TransactionKey",
    "UnpricedUse",
    "UsageRecord",
    "Verification",
    "Withdrawal",
]
