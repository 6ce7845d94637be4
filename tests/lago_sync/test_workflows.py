"""The workflows that a developer writes against `lago_sync` (reference/lago_workflows.md), called as they would call it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

import lago_sync
from lago_sync import LagoIntegrationError, LagoRefused, LagoUnavailable, NotDone, UnknownOrganization
from lago_sync.models import LagoCustomer, OutboxEvent
from lago_sync.outbox import delivery
from lago_sync.setup import guard, installing
from orgs import organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Membership, Organization, User
from tests.factories import credits as make
from tests.factories import orgs
from tests.factories.lago import lago, lago_process  # noqa: F401

pytestmark = pytest.mark.django_db
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _webhooks_go_nowhere(settings):
    settings.SITE_URL = NOWHERE


@pytest.fixture
def installed(lago):  # noqa: F811
    installing.install(webhook_url=guard.webhook_url(), now=timezone.now())
    return lago


@pytest.fixture
def team(installed):
    return orgs.team("Acme").public_id


def deliver(lago, seconds: int = 2) -> None:  # noqa: F811
    """Tell Lago what waits, and let it count that."""
    delivery.deliver_due(now=timezone.now() + timedelta(seconds=1))
    lago.drain(seconds)


def units(usage) -> dict[str, Decimal]:
    return {one["billable_metric"]["code"]: one["units"] for one in usage["charges_usage"]}


def rows(lago, name: str) -> int:  # noqa: F811
    return len(lago.dump()[name])


def billed(lago) -> int:  # noqa: F811
    """Return what all invoices at Lago come to, in minor units."""
    return sum(one["total_amount_cents"] for one in lago.dump()["invoice"])


# --- 1 and 2: customers ----------------------------------------------------------------------------------------------


def test_a_new_company_is_one_call_and_its_calls_are_in_the_usage_once_delivered(installed):
    ada = orgs.user("Ada", email="ada@new.example")
    asked = ("org_newcompany", "starter_monthly", "New Company", "billing@new.example", ada.public_id)
    subscription = lago_sync.subscribe_org_to_plan(*asked)
    assert subscription["plan_code"] == "starter"
    assert (subscription["status"], subscription["billing_time"]) == ("active", "anniversary")
    assert subscription["external_id"] == "sub_org_newcompany"
    assert subscription["external_customer_id"] == "org_newcompany"
    again = lago_sync.subscribe_org_to_plan(*asked)
    assert again["lago_id"] == subscription["lago_id"]
    assert (rows(installed, "customer"), rows(installed, "subscription")) == (1, 1)
    owner = Membership.objects.get(organization__public_id="org_newcompany")
    assert (owner.user, owner.role) == (ada, "owner")

    call = ("org_newcompany", "call-1", "/v1/chat")
    assert lago_sync.record_api_call(*call, user_id=ada.public_id, tokens=1500, model="gpt-4o") is True
    assert units(lago_sync.get_current_usage("org_newcompany")) == {"credits_used": 0, "api_call": 0}
    deliver(installed)
    here = lago_sync.get_current_usage("org_newcompany")
    there = lago_sync.get_current_usage("org_newcompany", fresh=True)
    assert units(here) == units(there) == {"credits_used": Decimal(0), "api_call": Decimal(1)}
    assert all(isinstance(one, Decimal) for one in [*units(here).values(), *units(there).values()])
    assert here["total_amount"] == there["total_amount"] == "0.00"
    assert here["as_of"] <= there["as_of"]
    [event] = installed.dump()["event"]
    assert event["properties"] == {"endpoint": "/v1/chat", "user_id": ada.public_id, "tokens": "1500", "model": "gpt-4o", "org_id": "org_newcompany"}  # fmt: skip


def test_a_company_whose_owner_nobody_knows_gets_an_account_for_its_address(installed):
    lago_sync.create_org_customer("org_else", "Else", "owner@else.example", user_id="user-of-another-system")
    owner = User.objects.get(email="owner@else.example")
    assert not owner.has_usable_password()
    assert Organization.objects.get(public_id="org_else").memberships.get().user == owner
    for wrong in ("acme", "user_1", "org_", "org_a b", "org_" + "x" * 99, ""):
        with pytest.raises(NotDone) as refusal:
            lago_sync.create_org_customer(wrong, "Wrong", "wrong@else.example")
        assert "org_id" in refusal.value.codes
    with pytest.raises(NotDone) as refusal:
        lago_sync.create_org_customer("org_third", "Third", "no address")
    assert refusal.value.status == 422
    assert rows(installed, "customer") == 1
    assert not Organization.objects.filter(public_id="org_third").exists()


def test_a_customer_is_made_once_and_its_metadata_says_by_whom_when_and_that_it_is_an_organization(
    installed, team
):
    made = lago_sync.get_or_create_customer(team, "Acme Inc", "bills@acme.example", user_id="user_7")
    again = lago_sync.get_or_create_customer(team, "Another name", "other@acme.example")
    assert made["lago_id"] == again["lago_id"]
    assert again["name"] == made["name"] == "Acme Inc"
    assert rows(installed, "customer") == 1
    said = {one["key"]: one["value"] for one in made["metadata"]}
    assert (said["created_by_user_id"], said["billing_type"]) == ("user_7", "organization")
    assert datetime.fromisoformat(said["created_at"]).date() == timezone.now().date()

    second = lago_sync.create_org_customer(team, "Acme Ltd", "bills@acme.example", metadata={"tier": "gold"})
    assert (second["lago_id"], second["name"]) == (made["lago_id"], "Acme Ltd")
    assert Organization.objects.get(public_id=team).name == "Acme Ltd"


def test_a_customer_is_changed_and_read_back_from_the_mirror_and_from_lago(installed, team):
    assert lago_sync.get_customer(team) is None
    assert lago_sync.get_customer("org_unknown") is None
    assert lago_sync.get_customer(team, fresh=True) is None
    assert lago_sync.update_org_customer(team, email="x@acme.example") is None
    lago_sync.create_org_customer(team, "Acme", "a@acme.example", metadata={"tier": "gold"})
    changed = lago_sync.update_org_customer(
        team, email="b@acme.example", metadata={"tier": "silver", "crm": "17"}
    )
    assert (changed["email"], changed["name"]) == ("b@acme.example", "Acme")
    fresh = lago_sync.get_customer(team, fresh=True)
    assert fresh["email"] == Organization.objects.get(public_id=team).billing_email == "b@acme.example"
    found = {one["key"]: one["value"] for one in fresh["metadata"]}
    assert (found["tier"], found["crm"], found["billing_type"]) == ("silver", "17", "organization")
    kept = lago_sync.get_customer(team)
    assert {name: kept[name] for name in ("lago_id", "email", "external_id", "as_of")} == {name: fresh[name] for name in ("lago_id", "email", "external_id", "as_of")}  # fmt: skip
    assert AuditEvent.objects.filter(organization=team, action="organization.updated").exists()


def test_metadata_that_lago_would_refuse_stops_it_before_anything_is_made(installed, team):
    for wrong in (
        {"k" * 21: "v"},
        {"k": "v" * 101},
        {"k": ""},
        {"": "v"},
        {"k": 7},
        dict.fromkeys("abc", "v"),
    ):
        with pytest.raises(NotDone) as refusal:
            lago_sync.create_org_customer(team, "Acme", "a@acme.example", metadata=wrong)
        assert refusal.value.status == 422
        assert "metadata" in refusal.value.codes
    assert rows(installed, "customer") == 0
    lago_sync.create_org_customer(team, "Acme", "a@acme.example", metadata={"one": "1", "two": "2"})
    with pytest.raises(NotDone):
        lago_sync.update_org_customer(team, metadata={"three": "3"})


# --- 3: usage --------------------------------------------------------------------------------------------------------


def test_usage_is_counted_once_an_id_and_a_charge_is_its_own_event(installed, settings):
    settings.LAGO_EVENT_CODES = {"images": "image_call"}
    org = make.team(100, unlimited=False)
    lago_sync.create_subscription(org.public_id, "enterprise")
    sent = {"endpoint": "/v1/chat", "user_id": "user_1", "tokens": 10, "model": "m"}
    for key in ("a", "a", "b"):
        assert (
            lago_sync.record_usage(org.public_id, event_code="api_call", transaction_id=key, properties=sent)
            is True
        )
    assert lago_sync.record_usage(org.public_id, "images", "c", timestamp=timezone.now().isoformat())
    make.charged(org, None, Decimal("2.5"), key="charge-1")
    for code in ("api_call", "images", "credits_used"):
        assert lago_sync.record_usage(org.public_id, code, "charge-1") is True
    with pytest.raises(NotDone) as refusal:
        lago_sync.record_usage(org.public_id, "credits_used", "no-charge", {"credits": "5"})
    assert set(refusal.value.codes) == {"code"}
    deliver(installed)
    here = lago_sync.get_current_usage(org.public_id)
    there = lago_sync.get_current_usage(org.public_id, fresh=True)
    assert units(here) == {"credits_used": Decimal("2.5"), "api_call": 2, "image_call": 1}
    assert units(there) == {"credits_used": Decimal("2.5"), "api_call": 2}
    assert {one["events_count"] for one in here["charges_usage"]} == {1, 2}


def test_usage_that_cannot_be_counted_is_refused_by_field_and_its_moment_is_read_as_it_is_said(
    installed, team
):
    for wrong in (
        {"transaction_id": ""}, {"transaction_id": "x" * 129}, {"transaction_id": "ü"}, {"properties": {"a": [1]}},
        {"timestamp": "yesterday"}, {"timestamp": float("nan")}, {"timestamp": True}, {"event_code": ""},
    ):  # fmt: skip
        asked = {"org_id": team, "event_code": "api_call", "transaction_id": "t", **wrong}
        with pytest.raises(NotDone) as refusal:
            lago_sync.record_usage(**asked)
        assert refusal.value.status == 422
        assert set(refusal.value.codes) <= {"transaction_id", "properties", "timestamp", "code"}
    for tokens in (-1, True, "5", 1.5, None):
        with pytest.raises(NotDone) as refusal:
            lago_sync.record_api_call(team, "t", "/", tokens=tokens)
        assert set(refusal.value.codes) == {"tokens"}
    with pytest.raises(UnknownOrganization):
        lago_sync.record_usage("org_unknown", "api_call", "t")
    assert not OutboxEvent.objects.exists()

    at = datetime(2026, 11, 3, 12, tzinfo=UTC)
    for number, moment in enumerate(
        (at, at.replace(tzinfo=None), at.isoformat(), at.timestamp(), Decimal(int(at.timestamp())))
    ):
        lago_sync.record_usage(team, "api_call", f"t{number}", timestamp=moment)
    said = {row.payload["timestamp"] for row in OutboxEvent.objects.all()}
    assert said == {f"{at.timestamp():.3f}"}


def test_recording_asks_lago_nothing_and_is_kept_or_lost_with_the_callers_transaction(team, settings):
    settings.LAGO_API_URL, settings.LAGO_API_KEY = "", ""
    with transaction.atomic():
        lago_sync.record_api_call(team, "lost", "/")
        transaction.set_rollback(True)
    assert lago_sync.record_api_call(team, "kept", "/")
    assert [row.transaction_id for row in OutboxEvent.objects.all()] == ["kept"]


# --- 4, 5 and 6: subscriptions, invoices -----------------------------------------------------------------------------


def test_a_subscription_is_read_or_is_none(installed, team):
    assert lago_sync.get_subscription(team) is None
    assert lago_sync.get_subscription(team, fresh=True) is None
    assert lago_sync.get_subscription("org_unknown") is None
    assert lago_sync.get_current_usage(team) is None
    made = lago_sync.create_subscription(team, "professional_annual", billing_time="calendar")
    for read in (lago_sync.get_subscription(team), lago_sync.get_subscription(team, fresh=True)):
        assert (read["plan_code"], read["status"], read["billing_time"]) == (
            "professional_yearly",
            "active",
            "calendar",
        )
        assert (read["plan_amount_cents"], read["plan_amount_currency"], read["interval"]) == (
            49000,
            "USD",
            "yearly",
        )
        assert read["lago_id"] == made["lago_id"]
        assert datetime.fromisoformat(read["as_of"]).tzinfo is not None
    for plan_code, status in (("starter", 409), ("platinum", 409)):
        with pytest.raises(NotDone) as refusal:
            lago_sync.create_subscription(team, plan_code)
        assert refusal.value.status == status
    with pytest.raises(UnknownOrganization):
        lago_sync.create_subscription("org_unknown", "starter")
    with pytest.raises(NotDone) as refusal:
        lago_sync.create_subscription(orgs.team("Other").public_id, "platinum")
    assert (refusal.value.status, refusal.value.codes) == (422, {"plan_code": "There is no such plan."})


def test_invoices_come_newest_first_with_amounts_in_both_spellings(installed, team):
    assert lago_sync.get_invoices(team) == lago_sync.get_invoices("org_unknown") == []
    lago_sync.create_subscription(team, "starter")
    installed.advance(32 * 86_400)
    assert lago_sync.get_invoices(team) == []
    found = lago_sync.get_invoices(team, limit=5, fresh=True)
    assert [one["total_amount"] for one in found] == ["19.00", "19.00"]
    assert [(one["total_amount_cents"], one["currency"]) for one in found] == [(1900, "USD")] * 2
    assert found[0]["issuing_date"] > found[1]["issuing_date"]
    assert found[0]["number"]
    assert found[0]["fees"]
    assert {"payment_status", "status", "as_of"} <= set(found[0])
    assert lago_sync.get_invoices(team, limit=1) == found[:1]
    for wrong in (0, 101, True, "5"):
        with pytest.raises(NotDone):
            lago_sync.get_invoices(team, limit=wrong)


def test_a_change_of_plan_keeps_the_id_and_the_old_way_leaves_one_live_subscription(installed, team):
    with pytest.raises(NotDone) as refusal:
        lago_sync.change_plan(team, "starter")
    assert refusal.value.status == 404
    first = lago_sync.create_subscription(team, "starter")
    up = lago_sync.change_plan(team, "enterprise_annual")
    assert (up["external_id"], up["plan_code"]) == (first["external_id"], "enterprise_yearly")
    assert lago_sync.change_plan(team, "enterprise_annual")["lago_id"] == up["lago_id"]
    down = lago_sync.change_plan(team, "starter")
    assert (down["plan_code"], down["next_plan_code"]) == ("enterprise_yearly", "starter")
    assert down["downgrade_plan_date"]
    notes = installed.dump()["creditnote"]
    ended = lago_sync.terminate_subscription(team)
    assert (ended["status"], ended["external_id"]) == ("terminated", first["external_id"])
    assert lago_sync.get_subscription(team) is None
    assert lago_sync.terminate_subscription(team) is None
    assert lago_sync.terminate_subscription("org_unknown") is None
    again = lago_sync.create_subscription(team, "professional")
    assert again["external_id"] == first["external_id"]
    live = [one for one in installed.dump()["subscription"] if one["status"] in {"active", "pending"}]
    assert [one["external_id"] for one in live] == [first["external_id"]]
    assert len(installed.dump()["creditnote"]) == len(notes)


# --- 7: migration ----------------------------------------------------------------------------------------------------


def test_organizations_customers_are_told_by_their_id():
    told = {one: lago_sync.is_org_customer(one) for one in ("org_1", "user_1", "1", "", "Org_1", None)}
    assert [one for one, is_org in told.items() if is_org] == ["org_1"]


def test_a_user_based_customer_becomes_an_organizations_once(installed):
    assert lago_sync.migrate_user_to_org("user_9", "org_moved", "Moved", "moved@example.com") is None
    customer = {"external_id": "user_9", "name": "Nine", "email": "nine@example.com", "currency": "USD"}
    installed.api("POST", "customers", json={"customer": customer})
    subscription = {"external_customer_id": "user_9", "external_id": "old-9", "plan_code": "starter", "billing_time": "anniversary"}  # fmt: skip
    installed.api("POST", "subscriptions", json={"subscription": subscription})
    installed.drain()
    installed.advance(86_400)
    assert billed(installed) == 1900
    moved = lago_sync.migrate_user_to_org("9", "org_moved", "Moved", "moved@example.com")
    assert (moved["status"], moved["from_external_id"], moved["org_id"]) == ("done", "user_9", "org_moved")
    assert moved["subscription"]["external_id"] == "sub_org_moved"
    assert moved["subscription"]["plan_code"] == moved["plan_code"] == "starter"
    assert lago_sync.migrate_user_to_org("user_9", "org_moved", "Moved", "moved@example.com") == moved
    installed.drain()
    live = [one["external_id"] for one in installed.dump()["subscription"] if one["status"] == "active"]
    assert live == ["sub_org_moved"]
    assert billed(installed) == 1900  # the paid month is not billed a second time


# --- 10 and 11: when Lago is not as it should be ---------------------------------------------------------------------


def test_health_says_what_is_wrong_and_never_the_key(lago, settings):  # noqa: F811
    up = lago_sync.check_lago_health()
    assert (up["status"], up["api_url"]) == ("healthy", lago.url)
    settings.LAGO_API_KEY = "a-wrong-key"
    wrong = lago_sync.check_lago_health()
    assert (wrong["status"], "LAGO_API_KEY" in wrong["message"]) == ("unhealthy", True)
    settings.LAGO_API_KEY = lago.api_key
    settings.LAGO_API_URL = "http://name:secret@127.0.0.1:9/api/v1"
    down = lago_sync.check_lago_health()
    assert (down["status"], down["api_url"]) == ("unreachable", "http://127.0.0.1:9/api/v1")
    settings.LAGO_API_KEY = ""
    missing = lago_sync.check_lago_health()
    assert (missing["status"], missing["message"]) == ("unhealthy", "Lago API configuration missing")
    for one in (up, wrong, down, missing):
        assert set(one) == {"status", "api_url", "message"}
        assert not any(key in str(one) for key in ("a-wrong-key", lago.api_key, "secret"))


def test_errors_say_whether_lago_refused_or_was_away_and_reads_go_on(installed, team, settings):
    lago_sync.create_subscription(team, "starter")
    installed.faults({"method": "POST", "path": "customers", "times": 1, "status": 422, "body": '{"status": 422, "error": "Unprocessable Entity", "code": "validation_errors", "error_details": {"email": ["invalid_email_format"]}}'})  # fmt: skip
    with pytest.raises(LagoIntegrationError) as refused:
        lago_sync.update_org_customer(team, email="x@acme.example")
    assert isinstance(refused.value, LagoRefused)
    assert (refused.value.http_status, refused.value.codes) == (422, {"email": ["invalid_email_format"]})

    settings.LAGO_API_URL = NOWHERE
    for call in (
        lambda: lago_sync.update_org_customer(team, email="y@acme.example"),
        lambda: lago_sync.change_plan(team, "professional"),
        lambda: lago_sync.create_subscription(orgs.team("Other").public_id, "starter"),
        lambda: lago_sync.terminate_subscription(team),
        lambda: lago_sync.get_customer(team, fresh=True),
        lambda: lago_sync.get_subscription(team, fresh=True),
        lambda: lago_sync.get_current_usage(team, fresh=True),
        lambda: lago_sync.get_invoices(team, fresh=True),
        lambda: lago_sync.migrate_user_to_org("user_1", "org_x", "X", "x@x.example"),
    ):
        with pytest.raises(LagoUnavailable):
            call()
    assert lago_sync.record_usage(team, "api_call", "while-away") is True
    assert lago_sync.get_subscription(team)["plan_code"] == "starter"
    assert lago_sync.get_customer(team)["external_id"] == team
    assert lago_sync.get_current_usage(team)["charges_usage"]
    assert lago_sync.get_invoices(team) == []


def test_an_archived_organization_is_unknown(installed, team):
    lago_sync.create_org_customer(team, "Acme", "a@acme.example")
    with transaction.atomic():
        organizations.archive(organization=Organization.objects.get(public_id=team), by=SYSTEM)
    assert lago_sync.get_customer(team) is None
    assert LagoCustomer.objects.exists()
    with pytest.raises(UnknownOrganization):
        lago_sync.record_api_call(team, "t", "/")
    with pytest.raises(NotDone):
        lago_sync.create_org_customer(team, "Acme", "a@acme.example")


def test_every_name_of_the_contract_is_there():
    names = "create_org_customer get_customer update_org_customer get_or_create_customer create_subscription subscribe_org_to_plan get_subscription terminate_subscription change_plan record_usage record_api_call get_current_usage get_invoices migrate_user_to_org is_org_customer check_lago_health LagoIntegrationError".split()  # noqa: SIM905
    from lago_sync import aio

    assert all(callable(getattr(lago_sync, name)) and callable(getattr(aio, name)) for name in names)
    assert set(names) <= set(dir(lago_sync))
    with pytest.raises(AttributeError):
        lago_sync.mint_credits  # noqa: B018
