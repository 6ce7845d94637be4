"""The end of a purchase: what Lago says of its payment is verified, and only then are credits granted, once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from credits.ledger import grants
from kit import transactions
from kit.errors import Conflict
from lago_sync.client import invoices, wallets
from lago_sync.errors import LagoUnavailable
from lago_sync.models import Purchase
from lago_sync.purchases import orders, telling, topups
from lago_sync.purchases.topups import TopUp, understood
from orgs.audit import events
from orgs.audit.events import SYSTEM


class NotAsOrdered(Conflict):
    """Lago has something with this purchase's key that is not the payment of what was ordered; nothing is granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The paid top-up of one purchase, as Lago has just shown it."""

    purchase_id: UUID
    wallet_id: UUID
    transaction_id: UUID
    invoice_id: UUID
    invoice_number: str


def verify(purchase: Purchase) -> Payment:
    """Return the payment of a purchase, fetched from Lago by our key: nothing that we were told or kept is believed.

    Raises NotAsOrdered for a payment of another kind, wallet, customer, amount or currency, or one that its invoice
    does not bear out; LagoUnavailable while Lago does not show it whole.
    """
    if purchase.wallet_id is None:
        raise NotAsOrdered("It was never ordered at Lago.")
    kept = topups.of_purchase(purchase, wallet_id=purchase.wallet_id).kept
    if kept is None or not kept.is_settled or kept.invoice_id is None:
        raise NotAsOrdered("Lago shows no settled transaction with its key over what was ordered.")
    invoice, wallet = invoices.get(str(kept.invoice_id)), wallets.get(str(kept.wallet_id))
    if invoice is None or wallet is None:
        raise LagoUnavailable("Lago does not show the invoice of a settled top-up.")
    with understood():
        wrong = list(_differences(purchase, invoice, wallet))
        if wrong:
            raise NotAsOrdered("; ".join(wrong))
        return _payment(purchase, kept, invoice)


def complete(*, purchase_id: UUID, payment: Payment, now: datetime) -> Purchase:
    """Grant what was paid for, once: the purchase's row is locked, and whoever comes second finds it completed.

    Also grants to an organization that was suspended or archived meanwhile, and to an order that we took for failed:
    the money came.
    """
    transactions.require()
    purchase = (
        Purchase.objects.select_for_update(no_key=True, of=("self",))
        .select_related("organization")
        .get(pk=purchase_id)
    )
    if purchase.status in Purchase.GRANTED:
        return purchase
    if payment.purchase_id != purchase.pk:
        raise NotAsOrdered("This payment is another purchase's.")
    telling.paid(purchase, invoice_number=payment.invoice_number)
    granted = grants.grant(
        organization=purchase.organization,
        source="purchase",
        credits=purchase.credits,
        reference=purchase.key,
        reason=f"Invoice {payment.invoice_number}",
        by=SYSTEM,
        paid=grants.Paid(cents=purchase.amount_cents, currency=purchase.currency),
    )
    before = purchase.status
    _fill(purchase, payment, grant_id=granted.pk, now=now)
    events.record(
        organization=purchase.organization.public_id,
        by=SYSTEM,
        action="credits.purchased",
        target=purchase.key,
        before={"status": before},
        after={
            **orders.facts(purchase),
            "status": purchase.status,
            "ordered_by": purchase.made_by,
            "invoice_number": purchase.invoice_number,
        },
    )
    return purchase


def _fill(purchase: Purchase, payment: Payment, *, grant_id: UUID, now: datetime) -> None:
    purchase.status, purchase.grant_id, purchase.completed_at = Purchase.Status.COMPLETED, grant_id, now
    purchase.wallet_id, purchase.wallet_transaction_id = payment.wallet_id, payment.transaction_id
    purchase.invoice_id, purchase.invoice_number = payment.invoice_id, payment.invoice_number
    purchase.leased_until, purchase.last_error = None, ""
    purchase.save()


def _differences(purchase: Purchase, invoice: dict[str, Any], wallet: dict[str, Any]) -> Iterator[str]:
    """Yield why this is not the payment of what was ordered."""
    customer = purchase.organization.public_id
    said = {
        "the wallet's customer": (wallet["external_customer_id"], customer),
        "the wallet's currency": (wallet["currency"], purchase.currency),
        "the invoice's customer": (invoice["customer"]["external_id"], customer),
        "the invoice's type": (invoice["invoice_type"], "credit"),
        "the invoice's status": (invoice["status"], "finalized"),
        "the invoice's payment": (invoice["payment_status"], "succeeded"),
        "the invoice's currency": (invoice["currency"], purchase.currency),
        "the invoice's total in minor units": (invoice["total_amount_cents"], purchase.amount_cents),
    }
    for what, (found, asked) in said.items():
        if found != asked:
            yield f"{what} is {found} instead of {asked}"


def _payment(purchase: Purchase, kept: TopUp, invoice: dict[str, Any]) -> Payment:
    return Payment(
        purchase_id=purchase.pk,
        wallet_id=kept.wallet_id,
        transaction_id=kept.id,
        invoice_id=UUID(invoice["lago_id"]),
        invoice_number=str(invoice["number"])[:64],
    )
