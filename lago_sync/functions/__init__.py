"""The Python API of contract.md §5: what code beside the portal calls. `import lago_sync` has the same names, lazily."""

from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnavailable
from lago_sync.functions.boundary import NotDone, UnknownOrganization
from lago_sync.functions.customers import (
    create_org_customer,
    get_customer,
    get_or_create_customer,
    is_org_customer,
    update_org_customer,
)
from lago_sync.functions.health import check_lago_health
from lago_sync.functions.invoices import get_invoices
from lago_sync.functions.migrating import migrate_user_to_org
from lago_sync.functions.subscriptions import (
    change_plan,
    create_subscription,
    get_subscription,
    subscribe_org_to_plan,
    terminate_subscription,
)
from lago_sync.functions.usage import get_current_usage, record_api_call, record_usage

__all__ = [
    "LagoIntegrationError",
    "LagoRefused",
    "LagoUnavailable",
    "NotDone",
    "UnknownOrganization",
    "change_plan",
    "check_lago_health",
    "create_org_customer",
    "create_subscription",
    "get_current_usage",
    "get_customer",
    "get_invoices",
    "get_or_create_customer",
    "get_subscription",
    "is_org_customer",
    "migrate_user_to_org",
    "record_api_call",
    "record_usage",
    "subscribe_org_to_plan",
    "terminate_subscription",
    "update_org_customer",
]
