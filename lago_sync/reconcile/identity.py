"""The identity with Lago, per organization and exact (product.md §8): what was bought, what was used, nothing twice.

Settled purchased top-ups are the completed purchases, one to one, each with one paid credit invoice; invoices consumed
nothing of a wallet; what was voided was taken back; and the credits of the events are those of the delivered charges
less the reversals; each plan fee in the books has its paid invoice. What Lago has that nobody ordered is listed, and
never granted.
"""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q, QuerySet

from kit import transactions
from kit.errors import NotFound
from lago_sync.client import subscriptions
from lago_sync.errors import LagoRefused, LagoUnavailable
from lago_sync.models import Identity, LagoCustomer, LagoSubscription
from lago_sync.reconcile import payments, plan_fees, telling, usage
from lago_sync.reconcile.differences import Difference, Tally
from orgs.models import Organization

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(hours=1)
AT_ONCE: Final = 20
"""Organizations of one run of the job."""


def compare(*, organization: Organization, now: datetime) -> Identity:
    """Compare an organization's books with Lago's, keep and return what was found. Asks Lago.

    Raises NotFound for an organization that is not at Lago, LagoUnavailable, LagoRefused.
    """
    customer = LagoCustomer.objects.select_related("organization").filter(organization=organization).first()
    if customer is None:
        raise NotFound("The organization is not at Lago.")
    before = Identity.objects.filter(organization=organization).first()
    earlier: dict[str, Any] = before.figures if before is not None else {}
    paid = payments.compare(customer)
    planned = plan_fees.compare(organization)
    used = usage.compare(customer, earlier=earlier, now=now)
    differences = [
        *paid.differences,
        *planned.differences,
        *used.differences,
        *_subscriptions(organization),
    ]
    counted = paid.tally.figures() | planned.tally.figures()
    found = {
        "checked_at": now,
        "figures": {name: figure.plain() for name, figure in counted.items()} | used.figures,
        "months": _by_month(paid.tally, planned.tally, used.tally),
        "differences": [asdict(one) for one in differences],
    }
    if differences:
        logger.error("%s is out of step with Lago: %s", organization.public_id, differences[0].what)
    with transactions.durable():
        row, _ = Identity.objects.update_or_create(organization=organization, defaults=found)
        telling.of_differences(row, before=before)
    return row


def compare_due(*, now: datetime) -> int:
    """Compare the organizations whose time has come, and return how many; stops where Lago is away."""
    count = 0
    for organization in due(now=now):
        try:
            compare(organization=organization, now=now)
        except LagoRefused as refusal:
            logger.error("%s cannot be compared: %s", organization.public_id, refusal.message)  # noqa: TRY400 - no trace is needed
        except LagoUnavailable:
            break
        count += 1
    return count


def due(*, now: datetime) -> list[Organization]:
    """Return the organizations to compare: those compared longest ago or never, a bounded number."""
    linked = Organization.objects.filter(lago_customer__isnull=False)
    waiting = linked.filter(Q(lago_identity=None) | Q(lago_identity__checked_at__lt=now - EVERY))
    return list(waiting.order_by(F("lago_identity__checked_at").asc(nulls_first=True), "pk")[:AT_ONCE])


def all_latest() -> QuerySet[Identity]:
    """Return the latest comparison of every organization, those with differences first."""
    return Identity.objects.select_related("organization").order_by(
        F("differences__0").desc(nulls_last=True), "organization__name"
    )


def _by_month(*tallies: Tally) -> dict[str, dict[str, dict[str, str]]]:
    """Return the figures of each month: they add up to those of all time."""
    months: dict[str, dict[str, dict[str, str]]] = {}
    for tally in tallies:
        for in_month, figures in tally.months().items():
            months.setdefault(in_month, {}).update({name: one.plain() for name, one in figures.items()})
    return months


def _subscriptions(organization: Organization) -> list[Difference]:
    """Return live subscriptions at Lago that the portal does not know of, or that are one too many."""
    at_lago = {
        str(one["lago_id"]): one["external_id"] for one in subscriptions.of_customer(organization.public_id)
    }
    here = LagoSubscription.objects.filter(organization=organization, ended_at=None)
    known = {str(pk) for pk in here.values_list("pk", flat=True)}
    found = []
    if len(at_lago) > 1:
        found.append(
            Difference(
                what=f"Lago has {len(at_lago)} live subscriptions: {', '.join(sorted(at_lago.values()))}",
                why="Somebody started one beside the portal, and each bills its fee. End the others at Lago.",
                ours="1",
                lagos=str(len(at_lago)),
            )
        )
    if set(at_lago) != known:
        found.append(
            Difference(
                what="The live subscription is not the one that the portal knows",
                why="A change at Lago was not told yet; the poll brings it within minutes.",
                ours=", ".join(sorted(known)),
                lagos=", ".join(sorted(at_lago)),
            )
        )
    return found
