"""Acts of a migration for processes that may die (dying.py): making plans at Lago, migrating, looking at the books."""

from typing import Any

from django.utils import timezone

from credits.ledger import reconcile
from credits.models import Grant
from lago_sync.migration import purses, users, verifying
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


def migrate_without_a_key(user: str, org: str) -> str:
    """Migrate and void whatever the wallet has, granting the balance that was read: the control."""
    purses.voided = lambda _external_id: iter(())
    purses._grant_all = lambda case, _found: purses._grant(  # type: ignore[assignment]
        case, {"lago_id": str(timezone.now()), "currency": "USD"}, 1000, is_paid=False, expires_at=""
    )
    purses._empty = lambda *_: None  # type: ignore[assignment]
    return migrate(user, org)


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
