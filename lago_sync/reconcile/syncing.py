"""`sync_lago`: reads all that Lago has, of everybody or one organization, repairs what is behind and says what is left."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from lago_sync.client import customers, transport
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused
from lago_sync.invoices import mirror
from lago_sync.models import Drift, LagoCustomer, LagoSubscription, Purchase
from lago_sync.purchases import advancing
from lago_sync.reconcile import drift, identity, watermarks
from lago_sync.reconcile.kinds.every import KINDS
from lago_sync.reconcile.kinds.kind import Found, Kind
from lago_sync.subscriptions import plans
from orgs.models import Organization

_ALL: Final = 1_000_000
"""Pages of a list: as many as there are."""
_LOST: Final = (
    "See in Lago's log who deleted it; what it bought and used is in the books here. Link it anew in the admin, or "
    "archive the organization."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that differed: repaired, or left with what to do."""

    kind: str
    organization: str
    what: str
    do: str
    is_repaired: bool


def everybody(*, now: datetime) -> Iterator[Line]:
    """Read all lists to their ends, look at every linked organization, and yield what differed. Asks Lago a lot.

    Raises LagoUnavailable; what was repaired before stays so.
    """
    for kind in KINDS:
        yield from _all_of(kind, now)
    linked = LagoCustomer.objects.select_related("organization").order_by("pk")
    for customer in linked.iterator():
        yield from _look_at(customer.organization, now)


def one(*, organization: Organization, now: datetime) -> Iterator[Line]:
    """Read what Lago has of one organization, and yield what differed. Asks Lago. Raises LagoUnavailable."""
    for kind in KINDS:
        try:
            rows = list(kind.of_customer(organization.public_id))
        except LagoRefused as refusal:
            if refusal.http_status != 404:
                raise
            continue  # no such customer: told below where the portal has one
        yield from _judged(kind, rows, now)
    if LagoCustomer.objects.filter(organization=organization).exists():
        yield from _look_at(organization, now)


def _all_of(kind: Kind, now: datetime) -> Iterator[Line]:
    """Read one list from its first page to its last, and set its watermark."""
    watermarks.begin_anew(kind)
    try:
        for rows in watermarks.read(kind, now=now, pages=_ALL):
            yield from _judged(kind, rows, now)
    except LagoRefused:
        return  # an older Lago has no such list of everybody's; each organization's is looked at below


def _judged(kind: Kind, rows: list[Json], now: datetime) -> Iterator[Line]:
    left = iter(rows)
    while some := list(islice(left, transport.PER_PAGE)):
        for row in drift.judge(kind, some, now=now, at_once=True):
            yield _line(row)


def _look_at(organization: Organization, now: datetime) -> Iterator[Line]:
    """Look at one linked organization as a whole: what is here and not at Lago, and both books side by side."""
    public_id = organization.public_id
    if customers.get(public_id) is None:
        what = "The portal has it as a customer of Lago, and Lago has none of this name"
        lost = Found(kind="customer", subject=public_id, organization=public_id, what=what, do=_LOST)
        yield _line(drift.note(lost, now=now))
        return
    before = _live(organization)
    plans.refresh(organization=organization, now=now)
    mirror.refresh(organization=organization, now=now)
    for gone in before - _live(organization):
        yield Line(
            kind="subscription",
            organization=public_id,
            what=f"{gone} had ended at Lago",
            do="",
            is_repaired=True,
        )
    for purchase_id in Purchase.objects.filter(
        organization=organization, status__in=Purchase.OPEN
    ).values_list("pk", flat=True):
        advancing.advance(purchase_id=purchase_id, now=now)
    for one_difference in identity.compare(organization=organization, now=now).differences:
        yield Line(
            kind="books",
            organization=public_id,
            what=one_difference["what"],
            do=one_difference["why"],
            is_repaired=False,
        )


def _live(organization: Organization) -> set[str]:
    rows = LagoSubscription.objects.filter(organization=organization, ended_at=None)
    return {f"{one.external_id} on {one.plan_code}" for one in rows}


def _line(row: Drift) -> Line:
    return Line(
        kind=row.kind,
        organization=row.organization,
        what=row.what,
        do=row.do,
        is_repaired=row.repaired_at is not None,
    )
