"""What is wrong at Lago, and whether credits may be bought in spite of it."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from django.conf import settings
from django.db.models import F

from lago_sync.client import catalogue, customers, organization, wallets
from lago_sync.client.transport import Json
from lago_sync.customers import restrictions
from lago_sync.errors import LagoRefused, Problem, PurchasesStopped
from lago_sync.models import HealthCheck, LagoCustomer
from lago_sync.setup import charges, offer, webhook_key

WALLETS_LOOKED_AT: Final = 50
"""Organizations whose wallets one check looks at: those that the comparison of books saw longest ago.

Every other one is looked at before each purchase of its own, and when its books are compared.
"""
CUSTOMERS_LOOKED_AT: Final = 100
"""One page of Lago's customers, the newest: the poll looks at the others when it comes by."""
_NAMED: Final = 3


def webhook_url() -> str:
    """Return where Lago sends webhooks."""
    return f"{settings.SITE_URL}/webhooks/lago"


def problems() -> list[Problem]:
    """Return everything that is wrong with metrics, plans, webhook endpoint and wallets. Asks Lago.

    A wallet that would bill twice stops the purchases of its organization, a plan that would those of all.
    Raises LagoUnavailable, LagoRefused.
    """
    return [*_metrics(), *_plans(), *_webhooks(), *_customers(), *_wallets()]


def require_safe(*, organization: str = "") -> None:
    """Raise PurchasesStopped where the last check found what would bill this organization's (public id) credits twice.

    Asks the database only.

    No check yet, or one older than 15 minutes, stops nothing by itself: a portal whose poll is down may still sell,
    since before money moves the organization's wallets are checked live (`customers.linking.ensure_wallet`).
    """
    known = HealthCheck.objects.first()
    for problem in known.problems if known is not None else []:
        if problem.get("stops_purchases") and problem.get("organization") in {None, "", organization}:
            raise PurchasesStopped(
                "Purchases are stopped: Lago would bill credits twice.",
                problem=problem["what"],
                do=problem["do"],
            )


def has_provider(customer: Json) -> bool:
    """Tell whether a customer of Lago's is linked to the configured payment provider, which charges its card."""
    found: Json = customer.get("billing_configuration") or {}
    return bool(
        found.get("payment_provider") == settings.LAGO_PAYMENT_PROVIDER and found.get("sync_with_provider")
    )


def _metrics() -> Iterator[Problem]:
    for code, wanted in offer.metrics().items():
        found = catalogue.metric(code)
        if found is None:
            yield Problem(what=f"Metric {code} is missing", do="Run `manage.py setup_lago`.")
        elif any((found.get(name) or None) != value for name, value in wanted.items() if name != "name"):
            yield Problem(
                what=f"Metric {code} counts something else: {found.get('aggregation_type')} of {found.get('field_name')}",
                do=f"In Lago, make it {wanted['aggregation_type']} of {wanted['field_name'] or 'events'}.",
            )


def _plans() -> Iterator[Problem]:
    ours = {one.code for one in offer.plans()}
    found = {plan["code"]: plan for plan in catalogue.plans()}
    for code, plan in found.items():
        yield from charges.problems(plan, is_ours=code in ours and not plan.get("pending_deletion"))
    for code in sorted(ours - set(found)):
        yield Problem(what=f"Plan {code} is missing", do="Run `manage.py setup_lago`.")


def _webhooks() -> Iterator[Problem]:
    here = [one for one in organization.webhook_endpoints() if one["webhook_url"] == webhook_url()]
    if not here:
        yield Problem(
            what=f"Lago sends no webhooks to {webhook_url()}",
            do="Run `manage.py setup_lago`; the poll works meanwhile.",
        )
    elif here[0].get("signature_algo") != settings.LAGO_WEBHOOK_SIGNATURE_ALGORITHM:
        yield Problem(
            what=f"Lago signs webhooks with {here[0].get('signature_algo')}, and the portal refuses them",
            do="Run `manage.py setup_lago`.",
        )
    if webhook_key.is_wanted() and webhook_key.differs():
        yield Problem(
            what="Lago signs webhooks with a key that is not pinned, and the portal refuses them",
            do="Make sure that it is your Lago's, then run `manage.py setup_lago`.",
        )


def _customers() -> Iterator[Problem]:
    """Look at the newest customers: without the payment provider they get no page to pay on, and no card is charged."""
    if not settings.LAGO_PAYMENT_PROVIDER:
        return
    newest = {one["external_id"]: one for one in islice(customers.everyone(), CUSTOMERS_LOOKED_AT)}
    linked = LagoCustomer.objects.filter(organization__public_id__in=newest)
    ours = linked.values_list("organization__public_id", flat=True)
    without = sorted(name for name in ours if not has_provider(newest[name]))
    if without:
        more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        yield Problem(
            what=f"Not linked to {settings.LAGO_PAYMENT_PROVIDER} at Lago: {', '.join(without[:_NAMED])}{more}",
            do="See that this payment provider is connected in Lago's settings, then run `manage.py sync_lago`.",
        )


def _wallets() -> Iterator[Problem]:
    linked = LagoCustomer.objects.filter(wallet_id__isnull=False).select_related("organization")
    longest_ago = linked.order_by(F("organization__lago_identity__checked_at").asc(nulls_first=True), "pk")
    for customer in longest_ago[:WALLETS_LOOKED_AT]:
        public_id = customer.organization.public_id
        try:
            found = list(wallets.of_customer(public_id))
        except LagoRefused as refusal:
            if refusal.http_status != 404:
                raise
            yield Problem(
                what=f"Lago has no customer {public_id}",
                do="Look at Lago's log for who deleted it; the organization cannot buy until it is linked anew.",
            )
            continue
        yield from restrictions.problems(of=public_id, found=found)
