"""A Lago whose customers are users: made beside the portal, as the predecessor did, and what becomes of them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from credits.models import Grant
from lago_sync.migration import users
from lago_sync.models import CustomerMigration
from lago_sync.setup import guard, installing
from orgs.audit.events import Actor

OPERATOR = Actor(kind="operator", public_id="manage.py")
DAY = 86_400


class Legacy:
    def __init__(self, lago: Any, settings: Any) -> None:
        self.lago = lago
        settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe"
        installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
        silence(lago)

    def now(self) -> datetime:
        return datetime.fromisoformat(self.lago.now())

    def ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        answer = self.lago.api(method, path, **given)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def customer(self, name: str, **fields: Any) -> str:
        """Make a user-based customer; return its id at Lago."""
        external_id = f"user_{name}"
        facts = {
            "external_id": external_id,
            "name": name.title(),
            "email": f"{name}@example.com",
            "currency": "USD",
        }
        self.ask("POST", "customers", json={"customer": facts | fields})
        return external_id

    def subscribe(self, customer: str, plan_code: str = "starter", **fields: Any) -> str:
        """Start a subscription under an id as the predecessor gave them; return it."""
        external_id = f"{customer}_{plan_code}_1700000000"
        asked = {
            "external_customer_id": customer,
            "external_id": external_id,
            "plan_code": plan_code,
            "billing_time": "anniversary",
            **fields,
        }
        self.ask("POST", "subscriptions", json={"subscription": asked})
        self.lago.drain()
        return external_id

    def wallet(
        self, customer: str, *, paid: str = "", granted: str = "", rate: str = "0.01", **fields: Any
    ) -> str:
        """Make a wallet with credits, the paid ones paid; return its id."""
        asked = {"external_customer_id": customer, "rate_amount": rate, "currency": "USD", **fields}
        if paid:
            asked["paid_credits"] = paid
        if granted:
            asked["granted_credits"] = granted
        made = self.ask("POST", "wallets", json={"wallet": asked})["wallet"]
        self.lago.drain()
        for one in self.transactions(made["lago_id"]):
            if one["status"] == "pending":
                self.lago.pay(one["lago_invoice_id"])
        self.lago.drain()
        return str(made["lago_id"])

    def pay_all(self, customer: str) -> None:
        for one in self.invoices(customer):
            if one["payment_status"] == "pending":
                self.lago.pay(one["lago_id"])
        self.lago.drain()

    def migrate(self, customer: str, org_id: str = "", **given: Any) -> CustomerMigration:
        asked = {"org_name": "", "email": "", "by": OPERATOR, "now": timezone.now(), **given}
        try:
            return users.migrate(user_id=customer, org_id=org_id, **asked)
        finally:
            self.lago.drain()

    def transactions(self, wallet: str) -> list[dict[str, Any]]:
        return self.ask("GET", f"wallets/{wallet}/wallet_transactions")["wallet_transactions"]

    def wallets(self, customer: str) -> list[dict[str, Any]]:
        return self.ask("GET", f"customers/{customer}/wallets")["wallets"]

    def invoices(self, customer: str, kind: str = "subscription") -> list[dict[str, Any]]:
        """Return a customer's invoices, oldest first."""
        found = self.ask("GET", f"customers/{customer}/invoices")["invoices"]
        return [one for one in reversed(found) if one["invoice_type"] == kind]

    def live(self, customer: str) -> list[dict[str, Any]]:
        return self.ask("GET", f"customers/{customer}/subscriptions")["subscriptions"]

    def plan_fees(self, *customers: str) -> list[tuple[str, str, int]]:
        """Return what plans were billed, voided invoices left out: from, to, minor units; in order of time."""
        found = []
        for customer in customers:
            for listed in self.invoices(customer):
                whole = self.ask("GET", f"invoices/{listed['lago_id']}")["invoice"]
                found += [
                    (one["from_date"][:10], one["to_date"][:10], one["amount_cents"])
                    for one in whole["fees"]
                    if one["item"]["type"] == "subscription" and whole["status"] != "voided"
                ]
        return sorted(found)

    def metadata(self, customer: str) -> dict[str, str]:
        found = self.ask("GET", f"customers/{customer}")["customer"]["metadata"]
        return {one["key"]: one["value"] for one in found}

    def granted(self, public_id: str) -> Decimal:
        rows = Grant.objects.filter(organization__public_id=public_id, source="migration")
        return sum(rows.values_list("credits", flat=True), Decimal(0))


def silence(lago: Any) -> None:
    """Take away the webhook endpoint: nobody listens here, and each try would take its time."""
    for one in lago.api("GET", "webhook_endpoints").json()["webhook_endpoints"]:
        lago.api("DELETE", f"webhook_endpoints/{one['lago_id']}")
