"""What the control plane can turn: kept in the database, read from memory."""

import threading
from typing import Any, Final

from django.db import transaction

from lago_sandbox import settings, store
from lago_sandbox.models import Setting

DEFAULTS: Final[dict[str, Any]] = {
    "moment": 0.2,  # seconds until background work: credit invoices, payments, documents
    "usage_delay": 0.2,  # seconds until an event shows in current usage
    "webhook_delay": 0.05,  # seconds until the first attempt
    "webhook_wait_scale": 1.0,  # of Lago's 3 and 18 seconds between attempts
    "webhook_timeout": 30.0,  # seconds
    "webhook_shuffle": False,
    "webhook_duplicate": False,
    "webhook_drop": False,
    "psp": True,  # a payment provider is connected
    "card_outcome": "succeeded",  # what becomes of a charge to a stored card: succeeded or failed
    "licence": False,  # premium
    "events_store": "postgres",  # or clickhouse: no duplicate is refused, the last one counts
    "multi_currency": False,  # a customer may be billed in more than one currency
    "wallet_limit": 6,  # wallets of a customer; 1 at releases until 2025
    "numbering": "per_customer",  # of invoices; or per_organization
    "key_cache": 3600.0,  # seconds for which a revoked key still sends events
    "rate_limits": False,  # Lago Cloud's, in requests in each window
    "rate_limit_events": 500,
    "rate_limit_usage": 200,
    "rate_limit_other": 50,
    "rate_limit_window": 1.0,  # seconds
    "return_url": settings.RETURN_URL,  # where the payment provider's page leads back to; empty: nowhere
}
_CHOICES: Final = {
    "card_outcome": ("succeeded", "failed"),
    "events_store": ("postgres", "clickhouse"),
    "numbering": ("per_customer", "per_organization"),
}
_CLOCK: Final = "clock_offset"  # seconds ahead of the wall clock
_memory: dict[str, Any] = {}
_lock = threading.Lock()  # so that what was read before a commit does not stay in memory after it


def read(name: str) -> Any:
    """Return a switch."""
    return _all()[name]


def everything() -> dict[str, Any]:
    """Return all switches by name."""
    return {name: _all()[name] for name in DEFAULTS}


def clock_offset() -> float:
    """Return how many seconds the sandbox is ahead of the wall clock."""
    return float(_all()[_CLOCK])


@store.writes
def turn(changes: dict[str, Any]) -> None:
    """Set switches; an unknown name or another type is a ValueError."""
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise ValueError(f"unknown setting {name!r}; there are: {', '.join(DEFAULTS)}")
        _write(name, _checked(name, value))


@store.writes
def set_clock_offset(seconds: float) -> None:
    _write(_CLOCK, seconds)


def forget() -> None:
    """Read from the database at the next look: after a reset."""
    with _lock:
        _memory.clear()


def kept(name: str, default: Any) -> Any:
    """Return something of the control plane's own that is no switch."""
    return _all().get(name, default)


@store.writes
def keep(name: str, value: Any) -> None:
    _write(name, value)


def _checked(name: str, value: Any) -> Any:
    default = DEFAULTS[name]
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"{name} is a {type(default).__name__}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}")
    return value


def _write(name: str, value: Any) -> None:
    Setting.objects.update_or_create(name=name, defaults={"value": value})
    transaction.on_commit(forget)


def _all() -> dict[str, Any]:
    with _lock:
        if not _memory:
            _memory.update(DEFAULTS | {_CLOCK: 0.0} | dict(Setting.objects.values_list("name", "value")))
        return dict(_memory)
