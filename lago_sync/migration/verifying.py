"""Both sides of a migration compared afterwards: nothing lives at the old customer, nothing was billed or granted twice."""

from collections.abc import Iterator
from decimal import Decimal

from django.utils.dateparse import parse_datetime

from credits.ledger import grants
from lago_sync.client import customers, invoices, subscriptions, wallets
from lago_sync.client.transport import Json
from lago_sync.errors import LagoRefused
from lago_sync.migration import accounts, purses, standing
from lago_sync.migration.moves import ANEW, Move
from lago_sync.models import CustomerMigration, LagoSubscription
from lago_sync.subscriptions import plans
from orgs.models import Organization


def differences(row: CustomerMigration) -> list[str]:
    """Return what is not as it should be after a migration, nothing where all is. Asks Lago; writes nothing.

    Raises LagoUnavailable, LagoRefused.
    """
    if row.status != CustomerMigration.Status.DONE or row.organization is None:
        return [f"It is not done: {row.last_error or row.step or 'not begun'}"]
    old = customers.get(row.from_external_id)
    if old is None:
        return ["Lago has no such customer any more."]
    kept = row.facts.get("move")
    return [
        *_of_old(row, old),
        *(_of_subscription(row, row.organization, Move.read(kept)) if kept else ()),
        *(_of_fees(row, row.organization, Move.read(kept)) if kept else ()),
        *_of_credits(row, row.organization),
    ]


def _of_old(row: CustomerMigration, old: Json) -> Iterator[str]:
    for one in subscriptions.of_customer(row.from_external_id, statuses=("active", "pending")):
        yield f"Its old subscription {one['external_id']} is {one['status']}."
    for one in wallets.of_customer(row.from_external_id):
        if one["status"] == "active":
            yield f"Its old wallet {one['lago_id']} is active."
    if not accounts.is_marked(old, row.organization_public_id) and accounts.has_room(old):
        yield "The old customer does not say where it went."


def _of_subscription(row: CustomerMigration, organization: Organization, move: Move) -> Iterator[str]:
    """Yield what is wrong with the new subscription; one that has been changed or has ended since is in order."""
    ours = plans.external_id(organization)
    try:
        found = list(
            subscriptions.of_customer(organization.public_id, statuses=("active", "terminated", "canceled"))
        )
    except LagoRefused as refusal:
        if refusal.http_status != 404:
            raise
        found = []
    is_over = move.is_over(row.ended_at or row.started_at)
    if not is_over and not any(one["external_id"] == ours for one in found):
        yield f"Lago has no subscription {ours} on {move.plan_code}."
    live = {str(one["lago_id"]) for one in found if one["status"] == "active"}
    here = LagoSubscription.objects.filter(organization=organization, ended_at=None).values_list(
        "pk", flat=True
    )
    if live != {str(pk) for pk in here}:
        yield "The portal does not show the subscription that lives at Lago; the poll brings it."


def _of_fees(row: CustomerMigration, organization: Organization, move: Move) -> Iterator[str]:
    """Yield fees for days that the other of the two customers billed."""
    stops_at = move.stops_at
    for invoice, fee in _fees(row.from_external_id):
        begins = parse_datetime(str(fee["from_date"]))
        if begins is not None and begins >= stops_at and fee["external_subscription_id"] == move.external_id:
            yield f"The old customer was billed for a later period, in invoice {invoice['number']}."
    for lago_id in move.void if move.kind == ANEW else ():
        one = invoices.get(lago_id)
        if one is not None and one["status"] != "voided":
            yield f"Invoice {one['number']} is for days that the organization pays."
    for invoice, fee in _fees(organization.public_id) if move.kind != ANEW else ():
        begins = parse_datetime(str(fee["from_date"]))
        if (
            begins is not None
            and begins < stops_at
            and fee["lago_subscription_id"] in _moved(organization, move)
        ):
            yield f"The organization was billed for days that were paid before, in invoice {invoice['number']}."


def _moved(organization: Organization, move: Move) -> set[str]:
    """Return Lago's ids of the subscription as it was moved, which is the first on its plan; later ones are upgrades."""
    rows = LagoSubscription.objects.filter(
        organization=organization, external_id=plans.external_id(organization), plan_code=move.plan_code
    )
    return {str(pk) for pk in rows.order_by("started_at").values_list("pk", flat=True)[:1]}


def _fees(customer: str) -> Iterator[tuple[Json, Json]]:
    for listed in standing.plan_invoices(customer):
        invoice = invoices.get(str(listed["lago_id"])) if listed["status"] == "finalized" else None
        for fee in (invoice or {}).get("fees") or []:
            if invoice is not None and fee["item"]["type"] == "subscription" and fee.get("from_date"):
                yield invoice, fee


def _of_credits(row: CustomerMigration, organization: Organization) -> Iterator[str]:
    """Yield where the grants are not what Lago shows as voided, one by one."""
    found = purses.voided(row.from_external_id)
    parts = dict(part for one in found for part in one.parts)
    granted = grants.granted(organization=organization, source="migration", references=list(parts))
    for reference, cents in parts.items():
        if cents and reference not in granted:
            yield f"What was voided in {reference} was not granted."
    if sum(granted.values(), Decimal(0)) != row.wallet_credits:
        yield f"{sum(granted.values(), Decimal(0)):f} credits were granted, not {row.wallet_credits:f}."
    if sum(parts.values()) != row.wallet_cents:
        yield f"Lago shows {sum(parts.values())} minor units as voided, not {row.wallet_cents}."
