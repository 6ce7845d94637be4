"""A team at Lago that buys, uses and is told of: what the comparisons of books are about."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from lago_sync.models import LagoCustomer, OutboxEvent, Purchase
from lago_sync.outbox import delivery
from lago_sync.purchases import advancing, orders
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import catalogue, plans
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import credits as make
from tests.factories import orgs

DAY = 86_400
NOWHERE = "http://127.0.0.1:9"
"""A portal that does not listen, found without asking for a name: the sandbox sends webhooks to it."""


class Story:
    def __init__(self, lago: Any, settings: Any) -> None:
        self.lago = lago
        settings.SITE_URL = NOWHERE
        settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
        installing.install(webhook_url=guard.webhook_url(), now=self.now())
        catalogue.refresh(now=self.now())

    def now(self) -> datetime:
        return datetime.fromisoformat(self.lago.now())

    def team(self, plan_code: str = "starter") -> Organization:
        team = orgs.team("Acme")
        plans.subscribe(organization=team, plan_code=plan_code, by=SYSTEM, now=self.now())
        self.lago.drain()
        return team

    def order(self, team: Organization, package: str = "credits-5000") -> Purchase:
        with transaction.atomic():
            purchase, _ = orders.place(
                organization=team,
                order=orders.Order(package_code=package, credits=None),
                idempotency_key=f"order {Purchase.objects.count()}",
                by=SYSTEM,
                now=timezone.now(),
            )
        return self.advance(purchase)

    def buy(self, team: Organization, package: str = "credits-5000") -> Purchase:
        """Order, pay on the provider's page, and have it granted."""
        purchase = self.advance(self.order(team, package))
        assert purchase.invoice_id, purchase.last_error
        self.lago.pay(str(purchase.invoice_id))
        self.lago.drain()
        purchase = self.advance(purchase)
        assert purchase.status == Purchase.Status.COMPLETED, purchase.last_error
        return purchase

    def advance(self, purchase: Purchase) -> Purchase:
        purchase = advancing.advance(purchase_id=purchase.pk, now=timezone.now())
        self.lago.drain()
        return purchase

    def use(self, team: Organization, *credits: str) -> None:
        for amount in credits:
            make.charged(team, None, Decimal(amount))

    def deliver(self) -> None:
        delivery.deliver_due(now=timezone.now())
        assert not OutboxEvent.objects.filter(state="waiting").exists()
        self.lago.drain()

    def invoices(self, team: Organization) -> list[dict[str, Any]]:
        """Return the plan's invoices, oldest first, with their fees."""
        found = self.lago.api("GET", f"customers/{team.public_id}/invoices").json()["invoices"]
        listed = [one["lago_id"] for one in reversed(found) if one["invoice_type"] == "subscription"]
        return [self.lago.api("GET", f"invoices/{one}").json()["invoice"] for one in listed]

    def top_up(self, team: Organization, **fields: Any) -> list[dict[str, Any]]:
        """Top a wallet up beside the portal."""
        wallet = str(LagoCustomer.objects.get(organization=team).wallet_id)
        answer = self.lago.api(
            "POST", "wallet_transactions", json={"wallet_transaction": {"wallet_id": wallet, **fields}}
        )
        assert answer.status_code == 200, answer.text
        self.lago.drain()
        return answer.json()["wallet_transactions"]

    def wallet(self, team: Organization, **fields: Any) -> dict[str, Any]:
        """Make a wallet beside the portal."""
        asked = {"external_customer_id": team.public_id, "rate_amount": "1", "currency": "USD", **fields}
        answer = self.lago.api("POST", "wallets", json={"wallet": asked})
        assert answer.status_code == 200, answer.text
        self.lago.drain()
        return answer.json()["wallet"]
