"""Several runs at one user: the last to begin carries on, and plan and credits move once."""

import pytest

from kit.errors import DomainError
from lago_sync.migration import verifying
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.concurrency.racing import race
from tests.lago_sync.migration.story import DAY

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]


def test_four_runs_at_once_move_a_user_once(legacy):
    user = legacy.customer("ada")
    old = legacy.subscribe(user, "professional")
    legacy.wallet(user, paid="400", granted="600")
    legacy.lago.advance(3 * DAY)
    down = {"external_customer_id": user, "external_id": old, "plan_code": "starter"}
    legacy.ask("POST", "subscriptions", json={"subscription": down})
    outcomes = race([lambda: legacy.migrate(user, "org_ada")] * 4)
    assert all(not isinstance(one, BaseException) or isinstance(one, DomainError) for one in outcomes), (
        outcomes
    )
    row = legacy.migrate(user, "org_ada")
    assert (row.status, verifying.differences(row)) == ("done", [])
    assert legacy.granted("org_ada") == row.wallet_credits == 1000
    [new] = legacy.live("org_ada")
    assert (new["plan_code"], new["next_plan_code"], new["ending_at"]) == ("professional", "starter", None)
    assert (legacy.live(user), len(legacy.plan_fees(user, "org_ada"))) == ([], 1)
    assert Organization.objects.filter(public_id="org_ada").count() == 1
    assert AuditEvent.objects.filter(action="organization.migrated").count() == 1
