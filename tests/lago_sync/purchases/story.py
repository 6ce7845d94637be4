"""An organization that buys at the sandbox, and what books and sandbox have of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import requests
from django.db import transaction
from django.utils import timezone

from credits.models import Grant
from lago_sync.models import LagoCustomer, Purchase
from lago_sync.purchases import advancing, orders
from lago_sync.purchases.orders import Order
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.factories import orgs

BUYER = Actor(kind="user", public_id="usr_buyer")
PACKAGE = Order(package_code="credits-5000", credits=None)
"""5,000 credits for $45.00."""


def ordered(organization: Organization, order: Order = PACKAGE, *, key: str = "a click") -> Purchase:
    """Order, in a transaction of its own, and return the purchase."""
    with transaction.atomic():
        return orders.place(
            organization=organization, order=order, idempotency_key=key, by=BUYER, now=timezone.now()
        )[0]


def custom(credits: str) -> Order:
    return Order(package_code=None, credits=Decimal(credits))


def store_card(page: str) -> None:
    """Store a card on the payment provider's page, as a person does in a browser."""
    with requests.Session() as browser:
        browser.trust_env = False
        form = browser.get(page, timeout=10).text
        token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        sent = browser.post(page, data={"csrfmiddlewaretoken": token}, headers={"Referer": page}, timeout=10)
        assert sent.status_code == 200, sent.text


class Shop:
    """One organization and its purchases at the sandbox."""

    def __init__(self, lago: Any) -> None:
        self.lago = lago
        self.organization = orgs.team()

    def order(self, order: Order = PACKAGE, *, key: str = "a click") -> Purchase:
        return ordered(self.organization, order, key=key)

    def advance(self, purchase: Purchase, *, later: timedelta = timedelta()) -> Purchase:
        """Advance once, and let the sandbox do what it does a moment later."""
        found = advancing.advance(purchase_id=purchase.pk, now=timezone.now() + later)
        self.lago.drain()
        return found

    def waiting(self, order: Order = PACKAGE) -> Purchase:
        """Return a purchase that waits for its payment, its invoice known."""
        purchase = self.advance(self.advance(self.order(order)))
        assert purchase.status == "awaiting_payment", purchase.last_error
        assert purchase.invoice_id is not None
        return purchase

    def pay(self, invoice_id: object) -> None:
        self.lago.pay(str(invoice_id))
        self.lago.drain()

    def decline(self, invoice_id: object) -> None:
        self.lago.decline(str(invoice_id))
        self.lago.drain()

    @property
    def wallet_id(self) -> str:
        return str(LagoCustomer.objects.get(organization=self.organization).wallet_id)

    def top_up(
        self, purchase: Purchase, *, wallet_id: str = "", amount: str = "45.00", kind: str = "paid"
    ) -> str:
        """Make a top-up by hand at the sandbox, with the purchase's key; return its id."""
        fields = {
            "wallet_id": wallet_id or self.wallet_id,
            f"{kind}_credits": amount,
            "metadata": [{"key": "purchase", "value": purchase.key}],
        }
        made = self.lago.api("POST", "wallet_transactions", json={"wallet_transaction": fields})
        assert made.status_code == 200, made.text
        self.lago.drain()
        found: str = made.json()["wallet_transactions"][0]["lago_id"]
        return found

    def at_lago(self, transaction_id: object) -> dict[str, Any]:
        found: dict[str, Any] = self.lago.api("GET", f"wallet_transactions/{transaction_id}").json()[
            "wallet_transaction"
        ]
        return found

    def invoice(self, transaction_id: object) -> dict[str, Any]:
        invoice_id = self.at_lago(transaction_id)["lago_invoice_id"]
        found: dict[str, Any] = self.lago.api("GET", f"invoices/{invoice_id}").json()["invoice"]
        return found

    def top_ups(self, purchase: Purchase) -> list[dict[str, Any]]:
        """Return the sandbox's own rows that bear the purchase's key."""
        mark = {"key": "purchase", "value": purchase.key}
        return [one for one in self.lago.dump()["wallettransaction"] if mark in one["metadata"]]

    def granted(self) -> list[Decimal]:
        found = Grant.objects.filter(organization=self.organization, source=Grant.Source.PURCHASE)
        return list(found.values_list("credits", flat=True))

    def audited(self) -> list[str]:
        """Return what the audit log has of purchases, oldest first."""
        found = AuditEvent.objects.filter(
            organization=self.organization.public_id, action__startswith="credits.purchase"
        )
        return list(found.order_by("sequence").values_list("action", flat=True))
