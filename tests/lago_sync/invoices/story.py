"""An organization with a plan at the sandbox, its invoices there, and what the mirror has of them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import requests
from django.utils import timezone

from lago_sync.customers import methods
from lago_sync.invoices import mirror
from lago_sync.models import LagoCreditNote, LagoInvoice
from lago_sync.subscriptions import plans
from orgs.audit.events import SYSTEM
from orgs.models import Organization
from tests.factories import orgs


class Billed:
    """Acme, on `professional` since a moment ago."""

    def __init__(self, lago: Any, plan_code: str = "professional") -> None:
        self.lago = lago
        self.organization = orgs.team("Acme")
        Organization.objects.filter(pk=self.organization.pk).update(billing_email="bills@acme.example")
        self.organization.refresh_from_db()
        plans.subscribe(organization=self.organization, plan_code=plan_code, by=SYSTEM, now=self.now())
        lago.drain()

    def now(self) -> datetime:
        return datetime.fromisoformat(self.lago.now())

    def refresh(self, *, at: datetime | None = None) -> mirror.Mirrored:
        return mirror.refresh(organization=self.organization, now=at or self.now())

    def change_plan(self, code: str) -> None:
        fields = {
            "external_customer_id": self.organization.public_id,
            "external_id": plans.external_id(self.organization),
            "plan_code": code,
        }
        assert self.lago.api("POST", "subscriptions", json={"subscription": fields}).status_code == 200
        self.lago.drain()

    def at_lago(self) -> list[dict[str, Any]]:
        """Return the invoices at the sandbox, oldest first."""
        found = self.lago.api("GET", f"customers/{self.organization.public_id}/invoices").json()["invoices"]
        return list(reversed(found))

    def pay(self, invoice_id: object) -> None:
        self.lago.pay(str(invoice_id))
        self.lago.drain()

    def store_card(self) -> None:
        """Store a card on the provider's page, and see it here."""
        answer = self.lago.api("POST", f"customers/{self.organization.public_id}/checkout_url")
        page = answer.json()["customer"]["checkout_url"]
        with requests.Session() as browser:
            browser.trust_env = False
            token = (
                browser.get(page, timeout=5).text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
            )
            browser.post(page, data={"csrfmiddlewaretoken": token}, headers={"Referer": page}, timeout=5)
        methods.refresh(organization=self.organization, now=timezone.now())
        assert methods.has_default(organization=self.organization)

    def rows(self) -> list[LagoInvoice]:
        """Return the mirror, oldest first."""
        return list(LagoInvoice.objects.filter(organization=self.organization).order_by("number"))

    def notes(self) -> list[LagoCreditNote]:
        return list(LagoCreditNote.objects.filter(organization=self.organization))

    @property
    def first(self) -> LagoInvoice:
        return self.rows()[0]


def mirrored(organization: Organization, number: str = "ACM-001", **fields: Any) -> LagoInvoice:
    """Return an invoice as if it had been seen at Lago: of a plan, final, $49.00 to pay in a week."""
    today = timezone.now().date()
    body = {
        "fees_amount_cents": 4900,
        "created_at": timezone.now().isoformat(),
        "fees": [
            {
                "item": {"type": "subscription", "code": "professional", "name": "Professional"},
                "amount_cents": 4900,
                "units": "1.0",
                "from_date": "2026-11-01T00:00:00Z",
                "to_date": "2026-11-30T23:59:59Z",
            }
        ],
        "credits": [],
    }
    return LagoInvoice.objects.create(
        **{
            "lago_id": uuid4(),
            "organization": organization,
            "number": number,
            "invoice_type": "subscription",
            "status": "finalized",
            "payment_status": "pending",
            "currency": "USD",
            "total_amount_cents": 4900,
            "total_due_amount_cents": 4900,
            "issuing_date": today,
            "payment_due_date": today + timedelta(days=7),
            "synced_at": timezone.now(),
            "body": body,
            **fields,
        }
    )


def uuid_of(row: dict[str, Any]) -> UUID:
    return UUID(row["lago_id"])
