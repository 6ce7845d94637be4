"""Terms of an allocation: how often its amount is restored, and when it ends. Changes locked rows, writes nothing."""

from datetime import datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from credits.models import Allocation
from credits.sharing import periods
from kit.errors import ValidationError

_NEVER: Final = Allocation.ResetPeriod.NEVER.value


class Kept(Enum):
    """What stands for "as it is" where None says "none"."""

    KEEP = "keep"


KEEP: Final = Kept.KEEP
Expiry = datetime | Kept | None


def refuse_wrong(*, reset_period: str | None, expires_at: Expiry, now: datetime) -> None:
    """Raise ValidationError for a period that does not exist, or an expiry that does not lie ahead of `now`."""
    if reset_period is not None and reset_period not in Allocation.ResetPeriod.values:
        raise ValidationError(reset_period=f"must be one of {', '.join(Allocation.ResetPeriod.values)}")
    if isinstance(expires_at, datetime) and expires_at <= now:
        raise ValidationError(expires_at="must lie ahead")


def change(
    row: Allocation, *, reset_period: str | None, expires_at: Expiry, zone: str, now: datetime
) -> None:
    """Set what is named and keep the rest; a period that is new is counted from today's date in `zone`."""
    if reset_period is not None and reset_period != row.reset_period:
        _set_period(row, reset_period, ZoneInfo(zone), now)
    if not isinstance(expires_at, Kept):
        row.expires_at = expires_at


def reopen(row: Allocation, *, now: datetime) -> None:
    """Let a closed allocation begin anew, with nothing used and no terms."""
    row.opened_at, row.closed_at, row.used, row.is_limited = now, None, row.used * 0, True
    row.expires_at = None


def close(row: Allocation, *, now: datetime, by_expiry: bool = False) -> None:
    """End an allocation: it resets no more, and names when it expired only where that is what ended it."""
    if row.closed_at is None:
        row.closed_at = now
    row.reset_period, row.anchored_on, row.resets_at = _NEVER, None, None
    if not by_expiry:
        row.expires_at = None


def is_due(row: Allocation, *, now: datetime) -> bool:
    """Tell whether the allocation's period is over; one that has expired too ends first, and resets no more."""
    return row.resets_at is not None and row.resets_at <= now


def has_expired(row: Allocation, *, now: datetime) -> bool:
    """Tell whether an open allocation's time is over, whether the job came by or not."""
    return row.closed_at is None and row.expires_at is not None and row.expires_at <= now


def _set_period(row: Allocation, period: str, zone: ZoneInfo, now: datetime) -> None:
    row.reset_period = period
    if period == _NEVER:
        row.anchored_on = row.resets_at = None
        return
    row.anchored_on = now.astimezone(zone).date()
    _, row.resets_at = periods.following(row.anchored_on, period, zone, now)
