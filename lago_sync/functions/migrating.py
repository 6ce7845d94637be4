"""Moving a user-based customer at Lago to an organization."""

from django.utils import timezone

from credits import amounts
from lago_sync.client import customers as at_lago
from lago_sync.client.transport import Json
from lago_sync.functions.boundary import told
from lago_sync.functions.subscriptions import get_subscription
from lago_sync.migration import candidates, users
from lago_sync.models import CustomerMigration
from orgs.audit.events import SYSTEM


@told
def migrate_user_to_org(user_id: str, org_id: str, org_name: str, email: str) -> Json | None:
    """Move subscription and wallet credits of a user-based customer to the organization, once; return what was done.

    `user_id` is Lago's id of the customer, or the user's without `user_` before it. The organization is made under its
    id where there is none, owned by whoever has the e-mail. Paid days are billed once, what is left in the wallets
    becomes credits once (docs/migration.md). After a failure the next call goes on where this one stopped; after the end
    it answers the same again. None where Lago has no such customer.

    The dict: `from_external_id`, `org_id`, `status` (done), `plan_code` (empty without a plan), `wallet_credits`
    (decimal text), `wallet_cents` (minor units), `currency`, and `subscription` (see `get_subscription`) or None.
    Raises NotDone, LagoRefused, LagoUnavailable; the migration keeps why.
    """
    external_id = _external_id(user_id)
    if external_id is None:
        return None
    row = users.migrate(
        user_id=external_id, org_id=org_id, org_name=org_name, email=email, by=SYSTEM, now=timezone.now()
    )
    return _shown(row)


def _external_id(user_id: str) -> str | None:
    """Return Lago's id of a user-based customer: as given, or with the prefix of such ids; None where Lago has neither."""
    prefixed = [] if user_id.startswith(candidates.PREFIX) else [f"{candidates.PREFIX}{user_id}"]
    return next((one for one in (user_id, *prefixed) if at_lago.get(one) is not None), None)


def _shown(row: CustomerMigration) -> Json:
    public_id = row.organization.public_id if row.organization is not None else row.organization_public_id
    return {
        "from_external_id": row.from_external_id,
        "org_id": public_id,
        "status": row.status,
        "plan_code": row.plan_code,
        "wallet_credits": amounts.text(row.wallet_credits),
        "wallet_cents": row.wallet_cents,
        "currency": row.currency,
        "subscription": get_subscription(public_id),
    }
