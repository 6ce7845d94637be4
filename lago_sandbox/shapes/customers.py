"""A customer as JSON."""

from typing import Any

from lago_sandbox import clock, switches
from lago_sandbox.billing.invoicing import grace_days
from lago_sandbox.models import Customer

TEXTS = (
    "name", "firstname", "lastname", "email", "legal_name", "legal_number", "tax_identification_number", "phone", "url",
    "logo_url", "address_line1", "address_line2", "city", "state", "zipcode", "country",
)  # fmt: skip


def customer(row: Customer, *, full: bool = True) -> dict[str, Any]:
    """Return a customer; `full` with metadata, taxes and integrations, as everywhere but in credit notes."""
    kept = row.details
    zone = kept.get("timezone") if switches.read("licence") else None
    found: dict[str, Any] = {
        "lago_id": str(row.id),
        "billing_entity_code": "sandbox",
        "sequential_id": row.sequential_id,
        "slug": row.slug,
        "external_id": row.external_id,
        "account_type": "customer",
        "customer_type": kept.get("customer_type"),
        "currency": row.currency or None,
        "timezone": zone,  # ignored without a licence
        "applicable_timezone": zone or "UTC",
        "net_payment_term": kept.get("net_payment_term"),
        "finalize_zero_amount_invoice": kept.get("finalize_zero_amount_invoice", "inherit"),
        "skip_invoice_custom_sections": False,
        "created_at": clock.seconds(row.created_at),
        "updated_at": clock.seconds(row.updated_at),
        "billing_configuration": _billing_configuration(row),
        "shipping_address": kept.get("shipping_address") or {},
    } | {name: kept.get(name) for name in TEXTS}
    if full:
        found |= {
            "metadata": [_metadata(one) for one in row.metadata.order_by("created_at", "id")],
            "taxes": [],
            "integration_customers": [],
            "applicable_invoice_custom_sections": [],
        }
    return found


def _billing_configuration(row: Customer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "invoice_grace_period": grace_days(row),
        "document_locale": row.details.get("document_locale", "en"),
    }
    if row.payment_provider:
        found |= {
            "payment_provider": row.payment_provider,
            "payment_provider_code": row.payment_provider_code,
            "provider_customer_id": row.provider_customer_id,
            "sync": False,
            "sync_with_provider": bool(row.details.get("sync_with_provider")),
            "provider_payment_methods": ["card"],
        }
    return found


def _metadata(one: Any) -> dict[str, Any]:
    return {
        "lago_id": str(one.id),
        "key": one.key,
        "value": one.value,
        "display_in_invoice": one.display_in_invoice,
        "created_at": clock.seconds(one.created_at),
    }
