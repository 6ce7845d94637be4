"""A plan that is past due: what the mirror of the invoices shows as unpaid after its due date becomes a fact of `orgs`."""

from datetime import UTC, datetime, time, timedelta

from kit import transactions
from lago_sync.invoices import mirror as invoices
from lago_sync.models import LagoInvoice
from orgs import subscriptions
from orgs.audit.events import SYSTEM
from orgs.models import Organization, Subscription

_SETTLED = (Subscription.Status.PAUSED, Subscription.Status.TERMINATED)


def settle(*, organization: Organization, now: datetime) -> None:
    """Mark the live subscription past due since its oldest unpaid plan invoice was due, or restore it once all is paid.

    Asks nobody. What staff marked past due without such an invoice is theirs to restore; a paused one is left alone.
    """
    owed = invoices.overdue(organization=organization, now=now)
    with transactions.durable():
        fact = subscriptions.live(organization=organization)
        if fact is None or fact.status in _SETTLED:
            return
        if fact.status == Subscription.Status.PAST_DUE and not _still(fact, owed):
            fact = subscriptions.restore(subscription=fact, by=SYSTEM)
        if owed and fact.status != Subscription.Status.PAST_DUE:
            subscriptions.mark_past_due(subscription=fact, since=_since(owed[0]), by=SYSTEM)


def _still(fact: Subscription, owed: list[LagoInvoice]) -> bool:
    """Tell whether what made it past due is still owed, or was said by staff."""
    if owed and fact.past_due_since == _since(owed[0]):
        return True
    plans = LagoInvoice.objects.filter(
        organization=fact.organization_id, invoice_type="subscription", payment_due_date__isnull=False
    )
    return not any(_since(one) == fact.past_due_since for one in plans)


def _since(invoice: LagoInvoice) -> datetime:
    """Return the end of the day on which it was due, as Lago counts days."""
    due = invoice.payment_due_date or invoice.issuing_date
    return datetime.combine(due + timedelta(days=1), time(), UTC)
