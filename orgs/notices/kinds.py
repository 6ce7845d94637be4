"""The kinds of notices (product.md §11), and what each one says in the list of preferences."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a notice is about; its receiver may switch the mails of each kind off."""

    POOL_LOW = "pool_low"
    ALLOCATION = "allocation"
    RESET_SHORT = "reset_short"
    STANDARD_ALLOCATION = "standard_allocation"
    QUOTA = "quota"
    BUDGET = "budget"
    RUNWAY = "runway"
    UNUSUAL_SPENDING = "unusual_spending"
    SHORTFALL = "shortfall"
    REQUEST_MADE = "request_made"
    REQUEST_DECIDED = "request_decided"
    PURCHASE_PAID = "purchase_paid"
    PURCHASE_FAILED = "purchase_failed"
    AUTO_TOP_UP = "auto_top_up"
    INVOICE_READY = "invoice_ready"
    PAYMENT_OVERDUE = "payment_overdue"
    PLAN_CHANGED = "plan_changed"
    MONTHLY_REPORT = "monthly_report"
    LAGO_OUT_OF_STEP = "lago_out_of_step"


DESCRIPTIONS: Final[dict[Kind, str]] = {
    Kind.POOL_LOW: "A pool falls below its threshold",
    Kind.ALLOCATION: "An allocation reaches 75, 90 or 100 %",
    Kind.RESET_SHORT: "A pool had too little to restore allocations",
    Kind.STANDARD_ALLOCATION: "A pool had too little for a new member",
    Kind.QUOTA: "The plan's calls reach 50, 80 or 95 %",
    Kind.BUDGET: "A budget reaches 50, 75, 90 or 100 %",
    Kind.RUNWAY: "Credits last less than 7 days",
    Kind.UNUSUAL_SPENDING: "Somebody spends far more than usual",
    Kind.SHORTFALL: "Calls cost more than there was",
    Kind.REQUEST_MADE: "A member asks for more credits",
    Kind.REQUEST_DECIDED: "My request for credits was decided",
    Kind.PURCHASE_PAID: "A purchase was paid",
    Kind.PURCHASE_FAILED: "A purchase failed, or was refunded",
    Kind.AUTO_TOP_UP: "Auto top-up stopped, or a cap held it back",
    Kind.INVOICE_READY: "An invoice is ready",
    Kind.PAYMENT_OVERDUE: "The plan's invoice is overdue",
    Kind.PLAN_CHANGED: "The plan changed",
    Kind.MONTHLY_REPORT: "The monthly report is ready",
    Kind.LAGO_OUT_OF_STEP: "Lago is out of step (system admins)",
}

FOR_SYSTEM_ADMINS: Final = frozenset({Kind.LAGO_OUT_OF_STEP})

GROUPS: Final[dict[str, tuple[Kind, ...]]] = {
    "My own credits": (Kind.ALLOCATION, Kind.REQUEST_DECIDED),
    "Credits and limits of an organization": (
        Kind.POOL_LOW,
        Kind.RUNWAY,
        Kind.BUDGET,
        Kind.QUOTA,
        Kind.SHORTFALL,
        Kind.UNUSUAL_SPENDING,
        Kind.REQUEST_MADE,
        Kind.RESET_SHORT,
        Kind.STANDARD_ALLOCATION,
        Kind.MONTHLY_REPORT,
    ),
    "Buying and the plan": (
        Kind.PURCHASE_PAID,
        Kind.PURCHASE_FAILED,
        Kind.AUTO_TOP_UP,
        Kind.INVOICE_READY,
        Kind.PLAN_CHANGED,
        Kind.PAYMENT_OVERDUE,
    ),
    "The portal itself": (Kind.LAGO_OUT_OF_STEP,),
}
"""How the list of preferences is laid out: every kind stands in one group."""
