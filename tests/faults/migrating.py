"""Acts of a migration for processes that may die (dying.py): making plans at Lago, migrating, looking at the books."""

from typing import Any
from uuid import uuid4

from django.utils import timezone

from credits.ledger import grants, reconcile
from credits.models import Grant
from kit import transactions
from lago_sync.migration import purses, standing, users, verifying
from lago_sync.models import CustomerMigration
from lago_sync.setup import guard, installing
from orgs.audit.events import Actor
from orgs.models import Organization, Subscription

OPERATOR = Actor(kind="operator", public_id="manage.py")


def install() -> None:
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())


def migrate(user: str, org: str) -> str:
    row = users.migrate(user_id=user, org_id=org, org_name="", email="", by=OPERATOR, now=timezone.now())
    return str(row.status)


def migrate_by_balance(user: str, org: str) -> str:
    """Migrate, granting what the wallet shows before it is voided: the control."""
    users.STEPS = tuple((name, _by_balance if name == "wallets" else act) for name, act in users.STEPS)  # type: ignore[misc]
    return migrate(user, org)


def _by_balance(case: Any) -> None:
    for wallet in standing.look(case.row.from_external_id).wallets:
        with transactions.durable():
            grants.grant(
                organization=case.organization,
                source="migration",
                credits=purses.worth(wallet.cents, wallet.currency, credits=None, whole=0),
                reference=str(uuid4()),
                by=OPERATOR,
            )
        purses._empty(wallet.lago_id, case.row.from_external_id)


def look(organizations: list[str]) -> list[dict[str, Any]]:
    """Return what the books have of each organization."""
    return [_look(one) for one in organizations]


def _look(public_id: str) -> dict[str, Any]:
    team = Organization.objects.get(public_id=public_id)
    row = CustomerMigration.objects.get(organization=team)
    plans = Subscription.objects.filter(organization=team, ended_at=None).values_list("plan__code", flat=True)
    return {
        "status": row.status,
        "plans": list(plans),
        "granted": [
            str(one) for one in Grant.objects.filter(organization=team).values_list("credits", flat=True)
        ],
        "differences": verifying.differences(row),
        "violations": [str(one) for one in reconcile.prove(organization=team)],
    }
