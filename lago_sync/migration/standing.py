"""What a user-based customer has at Lago before it is migrated, and what of it a person must see to first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.utils.dateparse import parse_datetime

from kit.errors import NotFound
from lago_sync import money
from lago_sync.client import catalogue, customers, invoices, subscriptions, wallets
from lago_sync.client.transport import Json
from lago_sync.errors import LagoUnavailable
from lago_sync.setup import charges
from orgs.subscriptions import plan_named

_WAITING: Final = ("pending", "failed")
"""Of a top-up that is not paid: Lago lets a declined one be paid later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """An active wallet: what is left of it in minor units, and the top-ups of it that are not paid."""

    lago_id: str
    cents: int
    currency: str
    unpaid: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A customer as Lago shows it: the live subscriptions, those that have not begun, the active wallets."""

    customer: Json
    live: tuple[Json, ...]
    planned: tuple[Json, ...]
    wallets: tuple[Wallet, ...]

    @property
    def subscription(self) -> Json | None:
        return self.live[0] if self.live else None

    @property
    def currency(self) -> str:
        """What the customer is billed in; empty where nothing says."""
        said = [self.customer.get("currency"), *(one["plan_amount_currency"] for one in self.live)]
        return str(next((one for one in [*said, *(one.currency for one in self.wallets)] if one), ""))


def look(external_id: str) -> Standing:
    """Return what a customer has now. Asks Lago. Raises NotFound, LagoUnavailable, LagoRefused."""
    customer = customers.get(external_id)
    if customer is None:
        raise NotFound(f"Lago has no customer {external_id}.")
    found = list(subscriptions.of_customer(external_id, statuses=("active", "pending")))
    live = [_with_plan(one) for one in found if one["status"] == "active"]
    changing = {one["external_id"] for one in live}
    return Standing(
        customer=customer,
        live=tuple(live),
        planned=tuple(
            one for one in found if one["status"] == "pending" and one["external_id"] not in changing
        ),
        wallets=tuple(_wallet(one) for one in wallets.of_customer(external_id) if one["status"] == "active"),
    )


def obstacles(standing: Standing, *, credits: Decimal | None) -> Iterator[str]:
    """Yield what a person must see to at Lago before anything is moved; `credits` say what the wallet stands for."""
    if len(standing.live) > 1:
        names = ", ".join(str(one["external_id"]) for one in standing.live)
        yield f"It has {len(standing.live)} live subscriptions ({names}); an organization has one. End the others at Lago."
    for one in standing.planned:
        yield f"Its subscription {one['external_id']} has not begun; migrate when it has, or cancel it at Lago."
    for one in standing.live:
        yield from _of_plan(one)
    for wallet in standing.wallets:
        yield from _of_wallet(wallet, credits)


def stamped(*found: Json) -> datetime | None:
    """Return the latest time that Lago has put on these objects: its clock is not behind that."""
    said = [
        parse_datetime(str(one[name]))
        for one in found
        for name in ("created_at", "updated_at")
        if one.get(name)
    ]
    return max((one for one in said if one is not None), default=None)


def instant(given: Any) -> datetime:
    """Return a time that Lago says; raises LagoUnavailable for what is none."""
    at = parse_datetime(str(given))
    if at is None or at.tzinfo is None:
        raise LagoUnavailable("Lago's subscription has a time that is none.")
    return at


def plan_invoices(external_id: str) -> list[Json]:
    """Return a customer's invoices of subscriptions, newest first, without their fees. Asks Lago."""
    found = invoices.of_customer(external_id, {"invoice_type": "subscription"})
    return [one for one in found if one["invoice_type"] == "subscription"]


def _of_plan(one: Json) -> Iterator[str]:
    plan: Json = one.get("plan") or {}
    code = str(one["plan_code"])
    try:
        plan_named(code)
    except NotFound:
        yield f"Its plan {code} is none of the portal's; change it at Lago to one that is."
    if not plan.get("pay_in_advance"):
        yield f"Its plan {code} is paid in arrears, which the portal's are not; change it at Lago."
    for problem in charges.problems(plan, is_ours=False) if plan else ():
        if problem.stops_purchases:
            yield f"{problem.what}. {problem.do}"


def _of_wallet(wallet: Wallet, credits: Decimal | None) -> Iterator[str]:
    for transaction in wallet.unpaid:
        yield f"The top-up {transaction} of its wallet is not paid; let it be paid, or void its invoice at Lago."
    if wallet.cents and wallet.currency != settings.PRICE_CURRENCY and credits is None:
        yield (
            f"Its wallet has {money.display(wallet.cents, wallet.currency)}, and credits are worth "
            f"{settings.PRICE_CURRENCY}; say in the list's column credits how many they are."
        )


def _with_plan(one: Json) -> Json:
    return one if one.get("plan") else one | {"plan": catalogue.plan(one["plan_code"]) or {}}


def _wallet(one: Json) -> Wallet:
    rows = [
        row for row in wallets.transactions(str(one["lago_id"])) if row["transaction_status"] == "purchased"
    ]
    return Wallet(
        lago_id=str(one["lago_id"]),
        cents=int(one["balance_cents"]),
        currency=str(one["currency"]),
        unpaid=tuple(str(row["lago_id"]) for row in rows if row["status"] in _WAITING and _is_payable(row)),
    )


def paid_cents(transactions: Iterable[Json], currency: str) -> int:
    """Return what was ever paid into a wallet; of what is left that much is paid for, as Lago uses gifts first (B43)."""
    bought = (
        row for row in transactions if row["transaction_status"] == "purchased" and row["status"] == "settled"
    )
    return sum(minor(Decimal(str(row["amount"])), currency) for row in bought)


def minor(amount: Decimal, currency: str) -> int:
    """Return an amount of Lago's in minor units of its currency."""
    return int(amount.scaleb(money.places(currency)))


def _is_payable(row: Json) -> bool:
    invoice = invoices.get(str(row["lago_invoice_id"])) if row.get("lago_invoice_id") else None
    if invoice is None:
        return bool(row["status"] == "pending")
    return bool(invoice["status"] == "finalized" and invoice["payment_status"] != "succeeded")
