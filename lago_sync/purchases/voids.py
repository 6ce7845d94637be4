"""Telling Lago's wallet of refunds: each by one transaction with the refund's id in its metadata, looked for before it is sent.

A lease as of purchases: after an unknown outcome nothing is sent again until it is over.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from kit import transactions
from lago_sync import money
from lago_sync.client import wallets
from lago_sync.errors import LagoIntegrationError, LagoRefused, LagoUnreachable
from lago_sync.models import Refund
from lago_sync.purchases.leases import LASTS, SENDS_WITHIN
from lago_sync.purchases.topups import understood

logger = logging.getLogger(__name__)

KEY: Final = "refund"
"""The key in a transaction's metadata whose value is the refund's id."""
_AT_ONCE: Final = 50
_STARTS_WITHIN: Final = 20.0
_AGAIN: Final = timedelta(minutes=2)
_REFUSED: Final = timedelta(hours=1)


def untold() -> QuerySet[Refund]:
    """Return refunds that Lago's wallet has not heard of, the oldest first."""
    return Refund.objects.filter(voided_at=None).select_related("purchase__organization").order_by("pk")


def tell_due(*, now: datetime) -> int:
    """Tell Lago of the refunds whose time has come, and return how many it knows now. Asks Lago."""
    began, count = time.monotonic(), 0
    for refund_id in list(untold().filter(due_at__lte=now).values_list("pk", flat=True)[:_AT_ONCE]):
        count += tell(refund_id=refund_id, now=now)
        if time.monotonic() - began > _STARTS_WITHIN:
            break
    return count


def tell(*, refund_id: UUID, now: datetime) -> bool:
    """Tell Lago of one refund, unless somebody is at it; returns whether Lago knows it now.

    Asks Lago, so no transaction may be open. What goes wrong stands in `last_error`, and is tried again at `due_at`.
    """
    began = time.monotonic()
    refund = _take(refund_id, now)
    if refund is None:
        return False
    try:
        _find_or_send(refund, began)
    except (LagoRefused, LagoUnreachable) as error:  # nothing came of it
        wait = _REFUSED if isinstance(error, LagoRefused) else _AGAIN
        _end(refund, leased_until=None, due_at=now + wait, last_error=_said(error))
    except LagoIntegrationError as error:  # what came of it shows once the lease is over
        _end(refund, last_error=error.message[:500])
    else:
        return bool(_end(refund, leased_until=None, voided_at=now, last_error=""))
    return False


def refund_of(transaction: Mapping[str, Any]) -> str:
    """Return the id of the refund that a wallet transaction names, "" for one of none."""
    named = (str(one["value"]) for one in transaction.get("metadata") or [] if one.get("key") == KEY)
    return next(named, "")


def _take(refund_id: UUID, now: datetime) -> Refund | None:
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    with transactions.durable():
        taken = Refund.objects.filter(free, pk=refund_id, voided_at=None, due_at__lte=now).update(
            leased_until=now + LASTS, due_at=now + LASTS, attempts=F("attempts") + 1
        )
    return untold().get(pk=refund_id) if taken else None


def _find_or_send(refund: Refund, began: float) -> None:
    wallet_id = str(refund.purchase.wallet_id)
    with understood():
        if _is_among(wallets.transactions(wallet_id), refund):
            return
        if time.monotonic() - began > SENDS_WITHIN.total_seconds():
            raise LagoUnreachable("The look took too long; it is tried again.")
        wallets.void(
            wallet_id,
            credits=money.major_text(refund.amount_cents, refund.purchase.currency),
            metadata={KEY: str(refund.pk)},
            name=f"{refund.kind.capitalize()} {refund.reference}"[:255],
        )


def _is_among(transactions_there: Iterable[Mapping[str, Any]], refund: Refund) -> bool:
    voided = (one for one in transactions_there if one["transaction_status"] == "voided")
    return any(refund_of(one) == str(refund.pk) for one in voided)


def _end(refund: Refund, **values: Any) -> int:
    """Write what came of our attempt, unless another one has begun since."""
    if values.get("last_error"):
        logger.warning("refund %s: %s", refund.pk, values["last_error"])
    return Refund.objects.filter(pk=refund.pk, attempts=refund.attempts, voided_at=None).update(**values)


def _said(error: LagoIntegrationError) -> str:
    codes = error.codes if isinstance(error, LagoRefused) else ""
    return f"{error.message} {codes or ''}".strip()[:500]
