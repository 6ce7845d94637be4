"""A user becomes an organization at Lago: one plan, billed once for every day, and the wallet's credits once."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone

from kit.errors import Conflict, NotFound
from lago_sync.errors import LagoUnavailable
from lago_sync.migration import verifying
from lago_sync.migration.cases import CannotMigrate
from lago_sync.migration.moves import Waits
from lago_sync.models import CustomerMigration, LagoSubscription
from orgs import subscriptions
from orgs.audit.models import AuditEvent
from orgs.models import Membership, Organization, User
from tests.factories import orgs as make
from tests.lago_sync.migration.story import DAY

pytestmark = pytest.mark.django_db

ORG = "org_e41e9b6f-8fe0-4f8f-9d6d-5a6f6d0f7c11"


def test_a_user_moves_with_plan_and_credits_and_no_day_is_billed_twice(legacy):
    user = legacy.customer("ada", legal_name="Ada Ltd", address_line1="Main St 1")
    old = legacy.subscribe(user)
    wallet = legacy.wallet(user, paid="4000", granted="500")
    legacy.pay_all(user)
    legacy.lago.advance(10 * DAY)
    row = legacy.migrate(user, ORG, org_name="Ada's")
    assert (row.status, row.step, row.last_error) == ("done", "marked", "")

    team = Organization.objects.get(public_id=ORG)
    assert (team.name, team.legal_name, team.billing_address) == ("Ada's", "Ada Ltd", "Main St 1")
    owner = Membership.objects.get(organization=team, role="owner").user
    assert (owner.email, owner.has_usable_password()) == ("ada@example.com", False)
    assert subscriptions.live(organization=team).plan.code == "starter"

    [new] = legacy.live(ORG)
    assert (new["external_id"], new["plan_code"]) == (f"sub_{ORG}", "starter")
    assert legacy.live(user) == []
    assert LagoSubscription.objects.get(organization=team).external_id == f"sub_{ORG}"
    assert legacy.granted(ORG) == 4500
    assert (row.wallet_credits, row.wallet_cents) == (4500, 4500)
    assert [one["status"] for one in legacy.wallets(user)] == ["terminated"]
    assert sum(one["transaction_status"] == "voided" for one in legacy.transactions(wallet)) == 1
    marks = legacy.metadata(ORG)
    assert set(marks) == {
        "billing_type",
        "created_at",
        "created_by_user_id",
        "migrated_from",
        "migration_date",
    }
    assert (marks["migrated_from"], marks["created_by_user_id"]) == (user, owner.public_id)
    assert legacy.metadata(user)["migrated_to"] == ORG
    assert AuditEvent.objects.get(action="organization.migrated").target == user

    again = legacy.migrate(user, ORG)
    assert again.pk == row.pk
    assert legacy.granted(ORG) == 4500
    with pytest.raises(Conflict, match="was moved to"):
        legacy.migrate(user, "org_other")

    legacy.lago.advance(65 * DAY)
    fees = legacy.plan_fees(user, ORG)
    assert [cents for _, _, cents in fees] == [1900, 1900, 1900]
    for (_, ends, _), (begins, _, _) in pairwise(fees):
        assert date.fromisoformat(begins) - date.fromisoformat(ends) == timedelta(days=1)
    assert len(legacy.plan_fees(user)) == 1
    assert old not in [one["external_id"] for one in legacy.live(ORG)]
    assert legacy.ask("GET", f"customers/{user}/credit_notes")["credit_notes"] == []


def test_each_billing_calendar_goes_on_where_it_was(legacy):
    """Anniversaries at a month's end, after an upgrade in mid-period, by calendar, by the year, by the week."""
    legacy.lago.set_clock("2027-01-31T12:00:00Z")
    plans = {
        "monthend": ("starter", {}),
        "calendar": ("starter", {"billing_time": "calendar"}),
        "yearly": ("starter_yearly", {}),
        "upgraded": ("starter", {}),
    }
    for name, (code, fields) in plans.items():
        legacy.subscribe(legacy.customer(name), code, **fields)
    legacy.lago.advance(33 * DAY)  # 5 March, in the period that a short February began
    upgraded = legacy.live("user_upgraded")[0]["external_id"]
    up = {"external_customer_id": "user_upgraded", "external_id": upgraded, "plan_code": "professional"}
    legacy.ask("POST", "subscriptions", json={"subscription": up})
    legacy.lago.drain()
    legacy.lago.advance(3 * DAY)
    for name in plans:
        before = legacy.live(f"user_{name}")[0]
        legacy.migrate(f"user_{name}", f"org_{name}", now=legacy.now())
        [after] = legacy.live(f"org_{name}")
        period = "current_billing_period_ending_at"
        assert after[period] == before[period], name
        assert legacy.invoices(f"org_{name}") == [], name
    for _ in range(4):
        legacy.lago.advance(25 * DAY)
        CustomerMigration.objects.exists()  # so that no transaction stands idle for long
    for name in plans:
        row = CustomerMigration.objects.get(from_external_id=f"user_{name}")
        assert verifying.differences(row) == [], name
        fees = legacy.plan_fees(f"user_{name}", f"org_{name}")
        whole = [one for one in fees if one[2] in (1900, 19000, 4900)]
        assert len(whole) >= (1 if name == "yearly" else 4), (name, fees)
        for (_, ends, _), (begins, _, _) in pairwise(whole):
            assert begins > ends, (name, fees)


def test_a_period_that_began_today_is_billed_by_one_of_the_two(legacy):
    unpaid, paid, free = (legacy.customer(one) for one in ("unpaid", "paid", "free"))
    legacy.subscribe(unpaid)
    legacy.subscribe(paid)
    legacy.pay_all(paid)
    legacy.subscribe(free, "founders_friend")
    legacy.migrate(unpaid, "org_unpaid")
    assert [one[2] for one in legacy.plan_fees(unpaid, "org_unpaid")] == [1900]
    assert [one["status"] for one in legacy.invoices(unpaid)][:1] == ["voided"]
    legacy.migrate(free, "org_free")
    with pytest.raises(Waits, match="tomorrow"):
        legacy.migrate(paid, "org_paid")
    assert [one["ending_at"] for one in legacy.live(paid)] == [None]
    legacy.lago.advance(DAY)
    legacy.migrate(paid, "org_paid", now=legacy.now())
    assert [one[2] for one in legacy.plan_fees(paid, "org_paid")] == [1900]
    assert [one["plan_code"] for one in legacy.live("org_paid")] == ["starter"]


def test_wishes_for_the_periods_end_move_along(legacy):
    leaving, shrinking = legacy.customer("leaving"), legacy.customer("shrinking")
    one, two = legacy.subscribe(leaving), legacy.subscribe(shrinking, "professional")
    legacy.lago.advance(5 * DAY)
    ends = (legacy.now() + timedelta(days=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
    legacy.ask("PUT", f"subscriptions/{one}", json={"subscription": {"ending_at": ends}})
    down = {"external_customer_id": shrinking, "external_id": two, "plan_code": "starter"}
    legacy.ask("POST", "subscriptions", json={"subscription": down})
    legacy.migrate(leaving, "org_leaving")
    legacy.migrate(shrinking, "org_shrinking")
    assert [each["ending_at"] for each in legacy.live("org_leaving")] == [ends]
    assert [each["next_plan_code"] for each in legacy.live("org_shrinking")] == ["starter"]
    legacy.lago.advance(40 * DAY)
    assert legacy.live("org_leaving") == []
    assert [each["plan_code"] for each in legacy.live("org_shrinking")] == ["starter"]
    assert [each[2] for each in legacy.plan_fees(shrinking, "org_shrinking")] == [4900, 1900]


def test_what_is_about_to_end_ends(legacy):
    """A legacy trial that Lago would renew ends with its week; one that ended before the run came back stays ended."""
    trial, gone = legacy.customer("trial"), legacy.customer("gone")
    legacy.subscribe(trial, "trial")
    old = legacy.subscribe(gone)
    legacy.lago.advance(2 * DAY)
    legacy.migrate(trial, "org_trial")
    ends = (legacy.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    legacy.ask("PUT", f"subscriptions/{old}", json={"subscription": {"ending_at": ends}})
    legacy.lago.faults({"method": "POST", "path": "^/api/v1/subscriptions$", "times": 5, "status": 500})
    with pytest.raises(LagoUnavailable):
        legacy.migrate(gone, "org_gone")
    legacy.lago.faults()
    legacy.lago.advance(12 * DAY)
    row = legacy.migrate(gone, "org_gone", now=legacy.now())
    assert (row.status, verifying.differences(row)) == ("done", [])
    assert legacy.live("org_trial") == legacy.live("org_gone") == legacy.live(gone) == []
    assert [one[2] for one in legacy.plan_fees(trial, "org_trial")] == [100]
    assert [one[2] for one in legacy.plan_fees(gone, "org_gone")] == [1900]


def test_what_a_person_must_see_to_stops_it_before_anything_is_changed(legacy):
    two = legacy.customer("two")
    legacy.subscribe(two)
    legacy.subscribe(two, "professional")
    owing = legacy.customer("owing")
    made = legacy.ask("POST", "wallets", json={"wallet": {"external_customer_id": owing, "rate_amount": "1", "paid_credits": "10"}})  # fmt: skip
    legacy.lago.drain()
    euro = legacy.customer("euro", currency="EUR")
    legacy.wallet(euro, granted="5", rate="1", currency="EUR")
    taken = make.team("Taken")
    nobody = legacy.customer("nobody", email="")
    strange = legacy.customer("strange")
    metric = legacy.ask("GET", "billable_metrics/credits_used")["billable_metric"]["lago_id"]
    plan = {"name": "Old", "code": "old", "interval": "monthly", "amount_cents": 500, "amount_currency": "USD",
            "pay_in_advance": False, "charges": [{"billable_metric_id": metric, "charge_model": "standard",
                                                  "properties": {"amount": "1"}}]}  # fmt: skip
    legacy.ask("POST", "plans", json={"plan": plan})
    legacy.subscribe(strange, "old")
    for user, org_id, why in (
        (two, "org_two", "2 live subscriptions"),
        (owing, "org_owing", "is not paid"),
        (euro, "org_euro", "column credits"),
        (nobody, "org_nobody", "e-mail"),
        (strange, "org_strange", "arrears"),
        (strange, "org_strange", "billed twice"),
    ):
        with pytest.raises(CannotMigrate, match=why):
            legacy.migrate(user, org_id)
        assert not Organization.objects.filter(public_id=org_id).exists()
        assert CustomerMigration.objects.get(from_external_id=user).status == "failed"
    with pytest.raises(CannotMigrate, match="EUR"):
        legacy.migrate(euro, taken.public_id, credits=Decimal(5))
    with pytest.raises(NotFound):
        legacy.migrate("user_unknown", "org_unknown")
    assert len(legacy.live(two)) == 2
    assert made["wallet"]["lago_id"] in [one["lago_id"] for one in legacy.wallets(owing)]
    assert User.objects.filter(email__startswith="two").count() == 0

    row = legacy.migrate(euro, "org_euro", credits=Decimal("777.5"))
    assert legacy.granted("org_euro") == row.wallet_credits == Decimal("777.5")
    assert Organization.objects.get(public_id="org_euro").currency == "EUR"


def test_two_users_of_one_team_bring_their_wallets_and_one_plan(legacy):
    first, second, third = (legacy.customer(one) for one in ("first", "second", "third"))
    legacy.subscribe(first)
    legacy.subscribe(third)
    legacy.wallet(second, granted="300")
    legacy.lago.advance(2 * DAY)
    legacy.migrate(first, "org_shared")
    legacy.migrate(second, "org_shared")
    with pytest.raises(CannotMigrate, match="already"):
        legacy.migrate(third, "org_shared")
    assert legacy.granted("org_shared") == 300
    assert len(legacy.live("org_shared")) == len(legacy.live(third)) == 1


def test_without_an_id_it_becomes_the_persons_own_organization(legacy):
    person = make.user("Solo", email="solo@example.com")
    legacy.wallet(legacy.customer("solo"), granted="250")
    row = legacy.migrate("user_solo")
    assert row.organization.personal_of == person
    assert legacy.granted(row.organization_public_id) == 250


def test_a_wallet_that_pays_priced_use_pays_it_first(legacy):
    user = legacy.customer("priced")
    metric = {"name": "Old use", "code": "old_use", "aggregation_type": "count_agg"}
    made = legacy.ask("POST", "billable_metrics", json={"billable_metric": metric})["billable_metric"]
    plan = legacy.ask("GET", "plans/starter")["plan"]
    charges = [
        {"id": one["lago_id"], "billable_metric_id": one["lago_billable_metric_id"], "charge_model": "standard", "properties": {"amount": "0"}}
        for one in plan["charges"]
    ]  # fmt: skip
    charges.append(
        {"billable_metric_id": made["lago_id"], "charge_model": "standard", "properties": {"amount": "0.5"}}
    )
    legacy.ask("PUT", "plans/starter", json={"plan": {"charges": charges}})
    old = legacy.subscribe(user)
    legacy.wallet(user, granted="1000")
    legacy.lago.advance(2 * DAY)
    for number in range(3):
        event = {"transaction_id": f"e{number}", "code": "old_use", "external_subscription_id": old}
        legacy.ask("POST", "events", json={"event": event})
    legacy.lago.advance(60)
    with pytest.raises(Waits, match="last invoice"):
        legacy.migrate(user, "org_priced")
    row = legacy.migrate(user, "org_priced")
    assert (row.status, legacy.granted("org_priced")) == ("done", 850)


def test_a_lago_that_goes_away_is_told_and_the_next_run_carries_on(legacy):
    user = legacy.customer("away")
    legacy.subscribe(user)
    legacy.wallet(user, granted="100")
    legacy.lago.advance(3 * DAY)
    for method, path in (
        ("POST", "^/api/v1/subscriptions$"),
        ("POST", "wallet_transactions$"),
        ("DELETE", "wallets/"),
    ):
        legacy.lago.faults({"method": method, "path": path, "times": 5, "status": 500, "after_commit": True})
        with pytest.raises(LagoUnavailable):
            legacy.migrate(user, "org_away")
        legacy.lago.faults()
        row = CustomerMigration.objects.get(from_external_id=user)
        assert (row.status, bool(row.last_error)) == ("failed", True)
        assert len(legacy.live(user)) + len(legacy.live("org_away")) >= 1
    assert legacy.migrate(user, "org_away").status == "done"
    assert legacy.granted("org_away") == 100
    assert len(legacy.plan_fees(user, "org_away")) == 1
    assert timezone.now() > row.started_at
