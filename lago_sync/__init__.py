"""Everything between the portal and Lago. Code beside the portal calls these names (docs/python.md); `aio` has them async.

They are found when they are first asked for, since Django imports this package before its apps are ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lago_sync.functions import (
        LagoIntegrationError,
        LagoRefused,
        LagoUnavailable,
        NotDone,
        UnknownOrganization,
        change_plan,
        check_lago_health,
        create_org_customer,
        create_subscription,
        get_current_usage,
        get_customer,
        get_invoices,
        get_or_create_customer,
        get_subscription,
        is_org_customer,
        migrate_user_to_org,
        record_api_call,
        record_usage,
        subscribe_org_to_plan,
        terminate_subscription,
        update_org_customer,
    )
    from lago_sync.guards import require_active_subscription, require_usage_below
    from lago_sync.middleware import TrackUsage

__all__ = [
    "LagoIntegrationError",
    "LagoRefused",
    "LagoUnavailable",
    "NotDone",
    "TrackUsage",
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
    "require_active_subscription",
    "require_usage_below",
    "subscribe_org_to_plan",
    "terminate_subscription",
    "update_org_customer",
]

_ELSEWHERE: Final = {
    "TrackUsage": "lago_sync.middleware",
    "require_active_subscription": "lago_sync.guards",
    "require_usage_below": "lago_sync.guards",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "lago_sync.functions")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
