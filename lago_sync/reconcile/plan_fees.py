"""Plan fees against Lago's invoices: each fee on which plan credits rest has one paid invoice there."""

from decimal import Decimal
from typing import Final

from lago_sync import money
from lago_sync.client import invoices
from lago_sync.reconcile.differences import Compared, Difference, Tally, month
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
    paid = {str(one["number"]): month(one["issuing_date"]) for one in found if fees.is_paid(one)}
    tally = Tally(("plan_fees",))
    for one in noted:
        tally.add("plan_fees", paid.get(one.reference) or month(one.period_start), ours=Decimal(1))
        if one.reference in paid:
            tally.add("plan_fees", paid[one.reference], lagos=Decimal(1))
    return Compared(
        tally=tally,
        differences=[
            Difference(
                what=f"The plan fee in invoice {one.reference} is not paid at Lago",
                why=_UNPROVED,
                ours=money.display(one.amount_cents, one.currency),
                month=month(one.period_start),
            )
            for one in noted
            if one.reference not in paid
        ],
    )
