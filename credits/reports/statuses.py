"""What has become of an allocation, as a word: for lists, filters and answers."""

from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from credits.amounts import ZERO
from credits.models import Allocation


class AllocationStatus(StrEnum):
    """All but *active* and *open to pool* are a limit of 0: until more is given or the next reset, or for good."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    REVOKED = "revoked"
    EXPIRED = "expired"
    OPEN_TO_POOL = "open_to_pool"


def of(row: Allocation, *, now: datetime) -> AllocationStatus:
    """Return the status; one whose time is over has expired before the job comes by."""
    if row.closed_at is not None and not row.is_limited:
        return AllocationStatus.OPEN_TO_POOL
    if row.expires_at is not None and (row.closed_at is not None or row.expires_at <= now):
        return AllocationStatus.EXPIRED
    if row.closed_at is not None:
        return AllocationStatus.REVOKED
    return AllocationStatus.ACTIVE if row.remaining > ZERO else AllocationStatus.EXHAUSTED


def are(status: AllocationStatus) -> Q:
    """Return the condition under which a stored allocation has the status; what is over was closed by the look before."""
    closed, limited = Q(closed_at__isnull=False), Q(is_limited=True)
    return {
        AllocationStatus.ACTIVE: ~closed & Q(remaining__gt=0),
        AllocationStatus.EXHAUSTED: ~closed & Q(remaining=0),
        AllocationStatus.REVOKED: closed & limited & Q(expires_at=None),
        AllocationStatus.EXPIRED: closed & limited & Q(expires_at__isnull=False),
        AllocationStatus.OPEN_TO_POOL: closed & ~limited,
    }[status]
