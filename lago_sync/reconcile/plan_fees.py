"""Plan fees against Lago's invoices: each fee on which plan credits rest has one paid invoice there."""

from decimal import Decimal
from typing import Final

from lago_sync import money
from lago_sync.client import invoices
from lago_sync.reconcile.differences import Difference, Figure
from lago_sync.reconcile.payments import Compared
from lago_sync.subscriptions import fees
from orgs.models import Organization

_UNPROVED: Final = (
    "Its credits were granted after Lago showed it paid; see in Lago whether the invoice was deleted or its payment taken "
    "back, or whether LAGO_API_URL is another Lago now."
)


def compare(organization: Organization) -> Compared:
    """Compare an organization's paid fees with Lago's paid invoices, one to one. Asks Lago; writes nothing."""
    noted = list(fees.noted(organization=organization))
    asked = {name: fees.WANTED[name] for name in ("invoice_type", "payment_status")}
    found = invoices.of_customer(organization.public_id, asked)
    paid = {str(one["number"]) for one in found if fees.is_paid(one)}
    proved = [one for one in noted if one.reference in paid]
    return Compared(
        figures={"plan_fees": Figure(ours=Decimal(len(noted)), lagos=Decimal(len(proved)))},
        differences=[
            Difference(
                what=f"The plan fee in invoice {one.reference} is not paid at Lago",
                why=_UNPROVED,
                ours=money.display(one.amount_cents, one.currency),
            )
            for one in noted
            if one.reference not in paid
        ],
    )
