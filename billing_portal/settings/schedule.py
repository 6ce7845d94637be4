"""When each job runs; the jobs themselves are tasks of the apps, one domain call each."""

from datetime import timedelta
from typing import Any, Final

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "expire-holds": {"task": "credits.tasks.expire_holds", "schedule": timedelta(seconds=30)},
    "settle-debts": {"task": "credits.tasks.settle_debts", "schedule": timedelta(minutes=1)},
    "burn-grants": {
        "task": "credits.tasks.burn_grants",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "expire-grants": {
        "task": "credits.tasks.expire_grants",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "reset-allocations": {
        "task": "credits.tasks.reset_allocations",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "expire-allocations": {
        "task": "credits.tasks.expire_allocations",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "grant-plan-credits": {"task": "credits.tasks.grant_plan_credits", "schedule": timedelta(hours=1)},
    "refresh-sizes": {"task": "credits.tasks.refresh_sizes", "schedule": timedelta(hours=1)},
    "tell-unusual": {"task": "credits.tasks.tell_unusual", "schedule": timedelta(hours=1)},
    "tell-monthly": {"task": "credits.tasks.tell_monthly", "schedule": timedelta(hours=1)},
    "verify-books": {"task": "credits.tasks.verify_books", "schedule": timedelta(hours=1)},
    # What is sent twice a tick does not pile up: a tick that nobody took in time is worth nothing.
    "advance-purchases": {
        "task": "lago_sync.tasks.advance_due",
        "schedule": timedelta(seconds=3),
        "options": {"expires": 3},
    },
    "apply-plan-changes": {
        "task": "lago_sync.tasks.apply_plan_changes",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "tell-refunds": {
        "task": "lago_sync.tasks.tell_refunds",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "tell-paid": {
        "task": "lago_sync.tasks.tell_paid",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "top-up-low-pools": {
        "task": "lago_sync.tasks.top_up_low_pools",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "tell-billing-details": {
        "task": "lago_sync.tasks.tell_billing_details",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "refresh-payment-methods": {
        "task": "lago_sync.tasks.refresh_payment_methods",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300},
    },
    "deliver-outbox": {
        "task": "lago_sync.tasks.deliver_outbox",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "handle-webhooks": {
        "task": "lago_sync.tasks.handle_webhooks",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "poll-lago": {
        "task": "lago_sync.tasks.poll",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "send-invoices": {
        "task": "lago_sync.tasks.send_invoices",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 15},
    },
    "check-lago": {
        "task": "lago_sync.tasks.check_health",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "compare-books": {
        "task": "lago_sync.tasks.compare_books",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "watch-limits": {
        "task": "credits.tasks.watch_limits",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "watch-runways": {"task": "credits.tasks.watch_runways", "schedule": timedelta(hours=1)},
    "send-notices": {
        "task": "orgs.notices.tasks.send_mails",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 15},
    },
    "audit-refusals": {
        "task": "credits.tasks.audit_refusals",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "verify-audit": {
        "task": "orgs.tasks.verify_audit",  # once a day, also where beat is started anew each morning
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "forget-old-answers": {"task": "orgs.tasks.forget_old_answers", "schedule": timedelta(hours=1)},
}
