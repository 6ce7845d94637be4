"""Customers: each organization that Lago has is linked, to the same customer, in its currency and payment provider."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from django.conf import settings

from lago_sync.client import customers
from lago_sync.client.transport import Json
from lago_sync.customers import linking
from lago_sync.models import LagoCustomer
from lago_sync.reconcile.kinds.kind import SHORTLY, Found, Kind, instant, text
from lago_sync.setup import guard
from orgs.models import Organization

_ANOTHER: Final = (
    "Somebody deleted it at Lago and made it anew. See what the old one had; then set the ids of the organization's "
    "Lago customer in the admin."
)
_CURRENCY: Final = (
    "Make both the same: Lago's customer while it has no invoice, or the organization before it buys."
)


def judge(rows: list[Json]) -> Iterator[Found]:
    """Compare customers with the organizations of their names; others are somebody else's and no business of ours."""
    named = {text(row.get("external_id")): row for row in rows}
    organizations = Organization.objects.filter(public_id__in=named)
    linked = LagoCustomer.objects.filter(organization__in=organizations).in_bulk()
    for organization in organizations:
        row, link = named[organization.public_id], linked.get(organization.pk)
        found = partial(
            Found,
            kind="customer",
            subject=organization.public_id,
            organization=organization.public_id,
        )
        if link is None:
            repair = partial(_link, organization)
            yield found(what="Lago has it as a customer, the portal does not know so", repair=repair)
        else:
            link.organization = organization
            yield from _linked(found, link, row)


def _linked(found: "partial[Found]", link: LagoCustomer, row: Json) -> Iterator[Found]:
    if str(link.lago_id) != row["lago_id"]:
        yield found(what=f"Lago has another customer of this name: {row['lago_id']}", do=_ANOTHER)
    elif row.get("currency") and row["currency"] != link.currency:
        yield found(what=f"Its currency is {row['currency']} at Lago and {link.currency} here", do=_CURRENCY)
    elif settings.LAGO_PAYMENT_PROVIDER and not guard.has_provider(row):
        yield found(
            what=f"It is not linked to {settings.LAGO_PAYMENT_PROVIDER} at Lago, so nothing can be paid",
            repair=lambda _now: linking.tell_change(customer=link),
        )


def _link(organization: Organization, now: datetime) -> None:
    linking.ensure_customer(organization=organization, now=now)


def _of_customer(public_id: str) -> Iterator[Json]:
    row = customers.get(public_id)
    return iter([row] if row is not None else [])


CUSTOMERS: Final = Kind(
    name="customers",
    listed=lambda page: customers.everyone(page=page),
    of_customer=_of_customer,
    one=customers.get,
    judge=judge,
    made_at=lambda row: instant(row["created_at"]),
    overlap=SHORTLY,
    is_missed=lambda public_id: LagoCustomer.objects.filter(organization__public_id=public_id).exists(),
)
