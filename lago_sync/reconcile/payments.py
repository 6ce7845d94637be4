"""Purchases against Lago's wallets and credit invoices: one settled top-up and one paid invoice for each, and no others."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db.models import Q

from lago_sync import money
from lago_sync.client import invoices, wallets
from lago_sync.client.transport import Json
from lago_sync.customers import restrictions
from lago_sync.models import LagoCustomer, Purchase, Refund
from lago_sync.purchases import voids
from lago_sync.reconcile.differences import Compared, Difference, Figure, Tally, month

FIGURES: Final = (
    "top_ups",
    "top_ups_amount",
    "granted_at_lago",
    "consumed_by_invoices",
    "voided",
    "credit_invoices",
)
_ONE: Final = Decimal(1)
_DRIFT: Final = (
    "Nobody ordered it here, so nothing was granted for it, and nothing will be by itself. Ask who made it at Lago; "
    "void it there, or have staff grant the credits with the reason."
)
_UNPROVED: Final = "The portal granted after Lago said so; see in Lago whether it was deleted, or whether LAGO_API_URL is another Lago now."


@dataclass(frozen=True, slots=True)
class _Books:
    """Both sides of one organization: its completed purchases, as they were before Lago was asked, and Lago's rows."""

    customer: LagoCustomer
    purchases: list[Purchase]
    refunds: dict[str, Refund]
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
    strange_invoices = _strange_invoices(books, strange)
    tally = Tally(FIGURES)
    _tally_top_ups(tally, books, [one for key, one in paid.items() if key in ours or key in strange])
    _tally_invoices(tally, books, strange_invoices)
    taken_back = _tally_voided(tally, books)
    for name, kind in (("granted_at_lago", "granted"), ("consumed_by_invoices", "invoiced")):
        for one in books.of(kind).values():
            tally.add(name, month(one["created_at"]), lagos=_decimal(one["amount"]))
    differences = [
        *_of_wallets(books),
        *_of_purchases(books, paid),
        *(_drift(key, one) for key, one in strange.items()),
        *(_invoice_drift(one) for one in strange_invoices),
        *taken_back,
        *_of_sums(tally.figures()),
    ]
    return Compared(tally, differences)


def _read(customer: LagoCustomer) -> _Books:
    organization, public_id = customer.organization, customer.organization.public_id
    purchases = list(Purchase.objects.filter(organization=organization, status__in=Purchase.GRANTED))
    found = list(wallets.of_customer(public_id))
    ids = {str(one["lago_id"]) for one in found} | {str(one.wallet_id) for one in purchases if one.wallet_id}
    transactions = {
        str(one["lago_id"]): one for wallet_id in sorted(ids) for one in wallets.transactions(wallet_id)
    }
    credit = invoices.of_customer(public_id, {"invoice_type": "credit", "payment_status": "succeeded"})
    return _Books(
        customer=customer,
        purchases=purchases,
        refunds={str(one.pk): one for one in Refund.objects.filter(purchase__organization=organization)},
        wallets=found,
        transactions=transactions,
        invoices={str(one["lago_id"]): one for one in credit if _is_paid_credit(one)},
    )


def _tally_top_ups(tally: Tally, books: _Books, counted: list[Json]) -> None:
    """Count a purchase in the month in which Lago had its payment, so that midnight parts no pair."""
    settled = {str(one["lago_id"]): month(one.get("settled_at") or one["created_at"]) for one in counted}
    for one in counted:
        at = settled[str(one["lago_id"])]
        tally.add("top_ups", at, lagos=_ONE)
        tally.add("top_ups_amount", at, lagos=_decimal(one["amount"]))
    for purchase in books.purchases:
        at = settled.get(str(purchase.wallet_transaction_id)) or month(purchase.completed_at)
        tally.add("top_ups", at, ours=_ONE)
        tally.add("top_ups_amount", at, ours=books.amount(purchase.amount_cents))


def _tally_invoices(tally: Tally, books: _Books, strange: list[Json]) -> None:
    for purchase in books.purchases:
        invoice = books.invoices.get(str(purchase.invoice_id))
        if invoice is None:
            tally.add("credit_invoices", month(purchase.completed_at), ours=_ONE)
        else:
            tally.add("credit_invoices", month(invoice["issuing_date"]), ours=_ONE, lagos=_ONE)
    for one in strange:
        tally.add("credit_invoices", month(one["issuing_date"]), lagos=_ONE)


def _tally_voided(tally: Tally, books: _Books) -> list[Difference]:
    """Set what was voided against the refunds that name it; one that Lago was not told of yet is on its way."""
    found, told = [], set[str]()
    for one in books.of("voided").values():
        at, amount = month(one["created_at"]), _decimal(one["amount"])
        refund = books.refunds.get(voids.refund_of(one))
        tally.add("voided", at, lagos=amount)
        if refund is None or str(refund.pk) in told:
            found.append(_voided_by_nobody(one))
            continue
        told.add(str(refund.pk))
        tally.add("voided", at, ours=books.amount(refund.amount_cents))
        if books.amount(refund.amount_cents) != amount:
            found.append(_voided_otherwise(refund, one))
    for refund in books.refunds.values():
        if refund.voided_at is not None and refund.amount_cents and str(refund.pk) not in told:
            tally.add("voided", month(refund.voided_at), ours=books.amount(refund.amount_cents))
            found.append(_not_voided(refund))
    return found


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


def _of_wallets(books: _Books) -> Iterator[Difference]:
    for problem in restrictions.problems(of=books.customer.organization.public_id, found=books.wallets):
        yield Difference(what=problem.what, why=f"{problem.do} Until then the organization cannot buy.")


def _of_purchases(books: _Books, paid: dict[str, Json]) -> Iterator[Difference]:
    for one in books.purchases:
        amount, key = books.amount(one.amount_cents), str(one.wallet_transaction_id)
        said = f"{money.display(one.amount_cents, one.currency)}"
        if key not in paid:
            yield Difference(
                what=f"Purchase {one.pk} has no settled top-up at Lago",
                why=_UNPROVED,
                ours=said,
                month=month(one.completed_at),
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


def _voided_by_nobody(one: Json) -> Difference:
    return Difference(
        what=f"Lago's wallet has credits voided that the portal did not take back: {one['lago_id']}",
        why="Find who voided them and why; withdraw the credits here if the money went back.",
        lagos=str(one["amount"]),
        month=month(one["created_at"]),
    )


def _voided_otherwise(refund: Refund, one: Json) -> Difference:
    return Difference(
        what=f"Refund {refund.reference} and what Lago voided for it have other amounts",
        why="Somebody changed one of them. Find out at the payment provider what went back, and void or withdraw the rest.",
        ours=money.display(refund.amount_cents, refund.purchase.currency),
        lagos=str(one["amount"]),
        month=month(one["created_at"]),
    )


def _not_voided(refund: Refund) -> Difference:
    return Difference(
        what=f"Refund {refund.reference} was told to Lago's wallet, which does not show it",
        why="See in Lago whether the wallet was deleted, or whether LAGO_API_URL is another Lago now.",
        ours=money.display(refund.amount_cents, refund.purchase.currency),
        month=month(refund.voided_at),
    )


def _drift(key: str, one: Json) -> Difference:
    return Difference(
        what=f"Lago has a paid top-up of no purchase: {key}",
        why=_DRIFT,
        lagos=str(one["amount"]),
        month=month(one.get("settled_at") or one["created_at"]),
    )


def _invoice_drift(one: Json) -> Difference:
    return Difference(
        what=f"Lago has a paid credit invoice of no purchase: {one['number']}",
        why=_DRIFT,
        lagos=str(one["total_amount_cents"]),
        month=month(one["issuing_date"]),
    )


def _of_sums(figures: dict[str, Figure]) -> Iterator[Difference]:
    """Yield what must be nothing and is not."""
    reasons = {
        "granted_at_lago": ("Lago's wallet was given credits for nothing", _DRIFT),
        "consumed_by_invoices": (
            "Lago paid invoices with what credits were bought for",
            "The wallet was not restricted. Find the invoices at Lago and decide with the customer who bears them.",
        ),
    }
    for name, (what, why) in reasons.items():
        figure = figures[name].plain()
        if figures[name].lagos != figures[name].ours:
            yield Difference(what=what, why=why, **figure)


def _decimal(given: Any) -> Decimal:
    return Decimal(str(given))
