"""The Python API for async callers: the same names and arguments, each to be awaited.

Each call runs where Django keeps what is not async (asgiref's thread-sensitive thread: one for a request under ASGI,
else one for the process), so it has the same database connection as Django's own async ORM and leaves none behind. A
call that asks Lago therefore keeps another of the same request waiting, and no other request.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from lago_sync import functions
from lago_sync.functions import (
    LagoIntegrationError,
    LagoRefused,
    LagoUnavailable,
    NotDone,
    UnknownOrganization,
)

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(function: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        _close_spent_connections()
        try:
            return function(*args, **kwargs)
        finally:
            _close_spent_connections()

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await sync_to_async(run, thread_sensitive=True)(*args, **kwargs)

    return call


def _close_spent_connections() -> None:
    """Let go of connections that broke or are too old: outside of a request nobody else sees to them."""
    for one in connections.all(initialized_only=True):
        if not one.in_atomic_block:
            one.close_if_unusable_or_obsolete()


create_org_customer = _awaited(functions.create_org_customer)
get_customer = _awaited(functions.get_customer)
update_org_customer = _awaited(functions.update_org_customer)
get_or_create_customer = _awaited(functions.get_or_create_customer)
create_subscription = _awaited(functions.create_subscription)
subscribe_org_to_plan = _awaited(functions.subscribe_org_to_plan)
get_subscription = _awaited(functions.get_subscription)
terminate_subscription = _awaited(functions.terminate_subscription)
change_plan = _awaited(functions.change_plan)
record_usage = _awaited(functions.record_usage)
record_api_call = _awaited(functions.record_api_call)
get_current_usage = _awaited(functions.get_current_usage)
get_invoices = _awaited(functions.get_invoices)
migrate_user_to_org = _awaited(functions.migrate_user_to_org)
is_org_customer = _awaited(functions.is_org_customer)
check_lago_health = _awaited(functions.check_lago_health)

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
