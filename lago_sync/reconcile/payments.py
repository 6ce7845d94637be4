"""Purchases against Lago's wallets and credit invoices: one settled top-up and one paid invoice for each, and no others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q

from credits.amounts import ZERO
from lago_sync import money
from lago_sync.client import invoices, wallets
from lago_sync.client.transport import Json
from lago_sync.customers import restrictions
from lago_sync.models import LagoCustomer, Purchase
from lago_sync.reconcile.differences import Difference, Figure

_DRIFT: Final = (
    "Nobody ordered it here, so nothing was granted for it, and nothing will be by itself. Ask who made it at Lago; "
    "void it there, or have staff grant the credits with the reason."
)
_UNPROVED: Final = "The portal granted after Lago said so; see in Lago whether it was deleted, or whether LAGO_API_URL is another Lago now."


@dataclass(frozen=True, slots=True)
class Compared:
    """The figures by name, and what differs."""

    figures: dict[str, Figure]
    differences: list[Difference]


@dataclass(frozen=True, slots=True)
class _Books:
    """Both sides of one organization: its completed purchases, as they were before Lago was asked, and Lago's rows."""

    customer: LagoCustomer
    purchases: list[Purchase]
    wallets: list[Json]
    transactions: dict[str, Json]
    invoices: dict[str, Json]

    def amount(self, cents: int) -> Decimal:
        return money.major(cents, self.customer.currency)

    def of(self, kind: str) -> dict[str, Json]:
        """Return the settled transactions of a kind, by id."""
        return {
            key: one
            for key, one in self.transactions.items()
            if one["transaction_status"] == kind and one["status"] == "settled"
        }


def compare(customer: LagoCustomer) -> Compared:
    """Compare an organization's purchases with Lago, exactly. Asks Lago; writes nothing."""
    books = _read(customer)
    paid, ours = books.of("purchased"), {str(one.wallet_transaction_id): one for one in books.purchases}
    strange = {key: one for key, one in paid.items() if key not in ours}
    strange = {key: one for key, one in strange.items() if key not in _on_their_way(strange)}
    counted = [one for key, one in paid.items() if key in ours or key in strange]
    strange_invoices = _strange_invoices(books, strange)
    figures = {
        "top_ups": Figure(ours=Decimal(len(ours)), lagos=Decimal(len(counted))),
        "top_ups_amount": Figure(
            ours=sum((books.amount(one.amount_cents) for one in books.purchases), ZERO), lagos=_sum(counted)
        ),
        "granted_at_lago": Figure(ours=ZERO, lagos=_sum(books.of("granted").values())),
        "consumed_by_invoices": Figure(ours=ZERO, lagos=_sum(books.of("invoiced").values())),
        "voided": Figure(ours=ZERO, lagos=_sum(books.of("voided").values())),
        "credit_invoices": Figure(
            ours=Decimal(len(ours)), lagos=Decimal(_paid_invoices(books) + len(strange_invoices))
        ),
    }
    differences = [
        *_of_wallets(books),
        *_of_purchases(books, paid),
        *(_drift(key, one) for key, one in strange.items()),
        *(_invoice_drift(one) for one in strange_invoices),
        *_of_sums(figures),
    ]
    return Compared(figures, differences)


def _read(customer: LagoCustomer) -> _Books:
    purchases = list(
        Purchase.objects.filter(organization=customer.organization, status=Purchase.Status.COMPLETED)
    )
    public_id = customer.organization.public_id
    found = list(wallets.of_customer(public_id))
    ids = {str(one["lago_id"]) for one in found} | {str(one.wallet_id) for one in purchases if one.wallet_id}
    transactions = {
        str(one["lago_id"]): one for wallet_id in sorted(ids) for one in wallets.transactions(wallet_id)
    }
    credit = invoices.of_customer(public_id, {"invoice_type": "credit", "payment_status": "succeeded"})
    return _Books(
        customer=customer,
        purchases=purchases,
        wallets=found,
        transactions=transactions,
        invoices={str(one["lago_id"]): one for one in credit if _is_paid_credit(one)},
    )


def _is_paid_credit(invoice: Json) -> bool:
    """Tell what was asked for from what came: Lago ignores a filter that it does not understand."""
    wanted = {"invoice_type": "credit", "payment_status": "succeeded", "status": "finalized"}
    return all(invoice.get(name) == value for name, value in wanted.items())


def _on_their_way(strange: dict[str, Json]) -> set[str]:
    """Return those of purchases that are paid and not yet completed, or were completed while Lago was asked."""
    rows = Purchase.objects.filter(wallet_transaction_id__in=list(strange))
    return {str(one) for one in rows.values_list("wallet_transaction_id", flat=True)}


def _strange_invoices(books: _Books, strange: dict[str, Json]) -> list[Json]:
    """Return paid credit invoices of no purchase; that of a strange top-up is told with it."""
    ours = {str(one.invoice_id) for one in books.purchases}
    left = {key: one for key, one in books.invoices.items() if key not in ours}
    paid_for = {str(one["lago_invoice_id"]): key for key, one in books.transactions.items()}
    known = Purchase.objects.filter(
        Q(invoice_id__in=list(left))
        | Q(wallet_transaction_id__in=[paid_for[key] for key in left if key in paid_for])
    )
    on_their_way = {str(pk) for row in known.values_list("invoice_id", "wallet_transaction_id") for pk in row}
    return [
        one
        for key, one in left.items()
        if key not in on_their_way
        and paid_for.get(key) not in on_their_way
        and paid_for.get(key) not in strange
    ]


def _paid_invoices(books: _Books) -> int:
    return sum(1 for one in books.purchases if str(one.invoice_id) in books.invoices)


def _of_wallets(books: _Books) -> Iterator[Difference]:
    for problem in restrictions.problems(of=books.customer.organization.public_id, found=books.wallets):
        yield Difference(what=problem.what, why=f"{problem.do} Until then the organization cannot buy.")


def _of_purchases(books: _Books, paid: dict[str, Json]) -> Iterator[Difference]:
    for one in books.purchases:
        amount, key = books.amount(one.amount_cents), str(one.wallet_transaction_id)
        said = f"{money.display(one.amount_cents, one.currency)}"
        if key not in paid:
            yield Difference(
                what=f"Purchase {one.pk} has no settled top-up at Lago", why=_UNPROVED, ours=said
            )
        elif _decimal(paid[key]["amount"]) != amount:
            yield Difference(
                what=f"Purchase {one.pk} and its top-up have other amounts",
                why=_UNPROVED,
                ours=said,
                lagos=str(paid[key]["amount"]),
            )
        invoice = books.invoices.get(str(one.invoice_id))
        if invoice is None:
            yield Difference(what=f"Purchase {one.pk} has no paid invoice at Lago", why=_UNPROVED, ours=said)
        elif invoice["total_amount_cents"] != one.amount_cents:
            yield Difference(
                what=f"Purchase {one.pk} and its invoice have other amounts",
                why=_UNPROVED,
                ours=said,
                lagos=money.display(int(invoice["total_amount_cents"]), one.currency),
            )


def _drift(key: str, one: Json) -> Difference:
    return Difference(
        what=f"Lago has a paid top-up of no purchase: {key}", why=_DRIFT, lagos=str(one["amount"])
    )


def _invoice_drift(one: Json) -> Difference:
    return Difference(
        what=f"Lago has a paid credit invoice of no purchase: {one['number']}",
        why=_DRIFT,
        lagos=str(one["total_amount_cents"]),
    )


def _of_sums(figures: dict[str, Figure]) -> Iterator[Difference]:
    """Yield what must be nothing and is not."""
    reasons = {
        "granted_at_lago": ("Lago's wallet was given credits for nothing", _DRIFT),
        "consumed_by_invoices": (
            "Lago paid invoices with what credits were bought for",
            "The wallet was not restricted. Find the invoices at Lago and decide with the customer who bears them.",
        ),
        "voided": (
            "Top-ups were voided at Lago that the portal did not take back",
            "Find who voided them and why; withdraw the credits here if the money went back.",
        ),
    }
    for name, (what, why) in reasons.items():
        figure = figures[name].plain()
        if figures[name].lagos != figures[name].ours:
            yield Difference(what=what, why=why, **figure)


def _sum(rows: Iterable[Json]) -> Decimal:
    return sum((_decimal(one["amount"]) for one in rows), ZERO)


def _decimal(given: Any) -> Decimal:
    return Decimal(str(given))
