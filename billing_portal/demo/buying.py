"""The demo subscribes like everybody, four weeks ago by the sandbox's clock, buys today, and pays on the sandbox's page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import Decimal

from django.utils import timezone

from billing_portal.demo import payments
from billing_portal.demo.cast import SOLO, SOLO_ORDERS, TEAMS, Order
from billing_portal.demo.history import DAYS
from kit import transactions
from lago_sync.client import invoices
from lago_sync.models import LagoCustomer, LagoSubscription, Purchase
from lago_sync.purchases import abandoning, advancing, orders, refunds, voids
from lago_sync.subscriptions import plans
from orgs.audit.events import SYSTEM, Actor
from orgs.models import Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopping:
    """What one organization subscribes to and orders."""

    organization: Organization
    buyer: User
    plan: str
    orders: Sequence[Order]


def buy(made: dict[str, Organization]) -> None:
    """Subscribe and buy what is missing of the demo's plans and credits, and pay what plans have come to owe since."""
    wanted = list(_shopping(made))
    lists = [one for one in wanted if _is_missing_something(one)]
    if lists:
        with _four_weeks_ago():
            _subscribe_all(lists)
        _buy(lists)
    for one in wanted:
        if one.plan:
            _pay_the_plan(one.organization)


def _subscribe_all(lists: Sequence[Shopping]) -> None:
    for one in lists:
        if one.plan:
            _subscribe(one)
            _pay_the_plan(one.organization)


def _buy(lists: Sequence[Shopping]) -> None:
    placed = [(_place(one, number), order) for one in lists for number, order in enumerate(one.orders)]
    _advance(placed)
    for purchase, order in placed:
        purchase.refresh_from_db()
        if purchase.invoice_id and purchase.status == Purchase.Status.AWAITING_PAYMENT:
            _end(purchase, order)
    _advance(placed)
    for purchase, order in placed:
        _refund(purchase, order)


def _end(purchase: Purchase, order: Order) -> None:
    if order.outcome == "give_up":
        with transactions.durable():
            abandoning.give_up(purchase=purchase, by=_buyer(purchase), now=timezone.now())
    elif order.outcome:
        payments.settle(invoice=str(purchase.invoice_id), outcome=order.outcome)


def _refund(purchase: Purchase, order: Order) -> None:
    """Give back a part of a purchase, once: its reference is the demo's own."""
    if order.refund:
        purchase.refresh_from_db()
        with transactions.durable():
            refunds.refund(
                purchase=purchase,
                credits=Decimal(order.refund),
                reference="demo",
                reason="Ordered a package too many.",
                by=SYSTEM,
                now=timezone.now(),
            )
        voids.tell_due(now=timezone.now())


def _buyer(purchase: Purchase) -> Actor:
    return Actor(kind="user", public_id=purchase.made_by)


def _shopping(made: dict[str, Organization]) -> Iterator[Shopping]:
    for team in TEAMS:
        buyer = User.objects.get(email=team.owner)
        yield Shopping(organization=made[team.slug], buyer=buyer, plan=team.plan, orders=team.orders)
    solo = User.objects.get(email=SOLO)
    yield Shopping(organization=made[SOLO], buyer=solo, plan="", orders=SOLO_ORDERS)


def _is_missing_something(one: Shopping) -> bool:
    ordered = orders.of_organization(organization=one.organization)
    unpaid = ordered.filter(status__in=(Purchase.Status.PENDING, Purchase.Status.FAILED)).exists()
    return ordered.count() < len(one.orders) or unpaid or not _is_subscribed(one)


def _is_subscribed(one: Shopping) -> bool:
    return not one.plan or LagoSubscription.objects.filter(organization=one.organization).exists()


@contextmanager
def _four_weeks_ago() -> Iterator[None]:
    if not LagoCustomer.objects.exists():  # the clock goes back only before anything has happened
        payments.set_clock(timezone.now().astimezone(UTC) - timedelta(days=DAYS))
    try:
        yield
    finally:
        payments.set_clock(timezone.now().astimezone(UTC))


def _subscribe(one: Shopping) -> None:
    if not _is_subscribed(one):
        plans.subscribe(organization=one.organization, plan_code=one.plan, by=SYSTEM, now=timezone.now())


def _pay_the_plan(organization: Organization) -> None:
    """Pay the plan's open invoices and take them into the books: its credits come with the payment."""
    payments.wait()
    for invoice in invoices.of_customer(organization.public_id):
        if invoice["invoice_type"] == "subscription" and invoice["payment_status"] == "pending":
            payments.settle(invoice=str(invoice["lago_id"]), outcome="pay")
    plans.refresh(organization=organization, now=timezone.now())


def _place(one: Shopping, number: int) -> Purchase:
    order = one.orders[number]
    is_package = order.what.startswith("credits-")
    with transactions.durable():
        purchase, _ = orders.place(
            organization=one.organization,
            order=orders.Order(
                order.what if is_package else None, None if is_package else Decimal(order.what)
            ),
            idempotency_key=f"demo-{number}",
            by=Actor(kind="user", public_id=one.buyer.public_id),
            now=timezone.now(),
        )
    return purchase


def _advance(placed: Sequence[tuple[Purchase, Order]]) -> None:
    """Bring each purchase as far as it goes: its top-up, then what Lago makes of that a moment later."""
    for _ in range(2):
        for purchase, _order in placed:
            advancing.advance(purchase_id=purchase.pk, now=timezone.now())
        payments.wait()
