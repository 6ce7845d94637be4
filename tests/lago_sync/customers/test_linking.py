"""An organization's customer and wallet at Lago: one of each, whatever comes between, and none that bills twice."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from lago_sync.customers import linking, restrictions
from lago_sync.errors import LagoUnavailable, LagoUnreachable, PurchasesStopped
from lago_sync.models import LagoCustomer
from orgs.models import Organization
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def team():
    made = make.team("Acme")
    Organization.objects.filter(pk=made.pk).update(
        billing_email="billing@acme.example", legal_name="Acme GmbH", tax_number="DE1", billing_address="Main St 1"
    )  # fmt: skip
    made.refresh_from_db()
    return made


def customer_at(lago, team):
    return lago.api("GET", f"customers/{team.public_id}").json()["customer"]


def wallets_at(lago, team):
    return lago.api("GET", f"customers/{team.public_id}/wallets").json()["wallets"]


def make_wallet(lago, team, **fields):
    right = {
        "external_customer_id": team.public_id,
        "code": "credits",
        "rate_amount": "1",
        "currency": "USD",
        "applies_to": {"billable_metric_codes": ["credits_used"]},
    }
    answer = lago.api("POST", "wallets", json={"wallet": right | fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["wallet"]


def link(team):
    return linking.ensure_customer(organization=team, now=NOW)


def with_wallet(team):
    return linking.ensure_wallet(customer=link(team), now=NOW)


class TestCustomer:
    def test_is_made_with_what_the_portal_knows(self, lago, team):
        row = link(team)
        found = customer_at(lago, team)
        assert str(row.lago_id) == found["lago_id"]
        assert {name: found[name] for name in ("external_id", "name", "email", "currency", "legal_name")} == {
            "external_id": team.public_id,
            "name": "Acme",
            "email": "billing@acme.example",
            "currency": "USD",
            "legal_name": "Acme GmbH",
        }
        assert (found["tax_identification_number"], found["address_line1"]) == ("DE1", "Main St 1")
        owner = team.memberships.get(role="owner").user
        assert {one["key"]: one["value"] for one in found["metadata"]} == {
            "billing_type": "organization",
            "created_at": "2026-11-21T12:00:00+00:00",
            "created_by_user_id": owner.public_id,
        }

    def test_of_an_organization_that_says_little_is_made_too(self, lago):
        link(make.team("Bare"))

    def test_is_asked_about_once(self, lago, team):
        link(team)
        before = lago.dump()["requests"]
        assert link(team) == LagoCustomer.objects.get()
        assert lago.dump()["requests"] == before

    @pytest.mark.parametrize("provider", ["stripe", ""])
    def test_is_charged_by_card_only_where_the_provider_is_told_of_it(self, lago, team, settings, provider):
        settings.LAGO_PAYMENT_PROVIDER = provider
        settings.LAGO_PAYMENT_PROVIDER_CODE = "stripe_eu" if provider else ""
        link(team)
        billing = customer_at(lago, team)["billing_configuration"]
        expected = ("stripe", "stripe_eu", True) if provider else (None, None, None)
        names = ("payment_provider", "payment_provider_code", "sync_with_provider")
        assert tuple(billing.get(name) for name in names) == expected

    def test_that_lago_has_already_is_found_and_its_metadata_left(self, lago, team):
        theirs = [{"key": "crm", "value": "77", "display_in_invoice": False}]
        lago.api(
            "POST", "customers",
            json={"customer": {"external_id": team.public_id, "name": "Old", "metadata": theirs}},
        )  # fmt: skip
        link(team)
        found = customer_at(lago, team)
        assert found["name"] == "Acme"
        assert [one["key"] for one in found["metadata"]] == ["crm"]
        assert len(lago.dump()["customer"]) == 1

    def test_in_another_currency_stops(self, lago, team):
        lago.api("POST", "customers", json={"customer": {"external_id": team.public_id, "currency": "EUR"}})
        with pytest.raises(PurchasesStopped, match="in EUR, the portal in USD"):
            link(team)
        assert not LagoCustomer.objects.exists()

    def test_is_one_though_the_answer_was_lost(self, lago, team):
        lago.faults({"method": "POST", "path": "customers", "times": 1, "drop": True, "after_commit": True})
        with pytest.raises(LagoUnavailable):
            link(team)
        assert not LagoCustomer.objects.exists()
        link(team)
        assert len(lago.dump()["customer"]) == 1

    def test_is_one_though_two_workers_make_it(self, lago, team, monkeypatch):
        """The other one is through between our look and our making."""
        meanwhile(monkeypatch, linking.customers, "upsert", lambda: link(team))
        link(team)
        assert len(lago.dump()["customer"]) == 1
        assert LagoCustomer.objects.count() == 1

    def test_is_not_made_up_where_lago_is_away(self, team):
        with pytest.raises(LagoUnreachable):
            link(team)
        assert not LagoCustomer.objects.exists()

    def test_is_one_row_an_organization_by_the_database(self, lago, team):
        row = link(team)
        other = make.team("Other")
        with pytest.raises(IntegrityError, match="lago_id"), transaction.atomic():
            LagoCustomer.objects.create(organization=other, lago_id=row.lago_id, currency="USD")


class TestChangedDetails:
    def change(self, team, **fields):
        Organization.objects.filter(pk=team.pk).update(**fields)

    def test_reach_lago_once_and_what_was_emptied_is_emptied_there(self, lago, team):
        link(team)
        assert linking.tell_changes() == 0  # nothing was changed since it was made
        self.change(team, legal_name="Acme SE", tax_number="")
        assert linking.tell_changes() == 1
        found = customer_at(lago, team)
        assert (found["legal_name"], found["tax_identification_number"]) == ("Acme SE", None)
        assert len(found["metadata"]) == 3  # not sent again, and kept
        assert linking.tell_changes() == 0

    def test_that_the_portal_never_had_are_left_to_lago(self, lago):
        bare = make.team("Bare")
        link(bare)
        lago.api(
            "POST", "customers", json={"customer": {"external_id": bare.public_id, "legal_name": "By hand"}}
        )
        self.change(bare, billing_email="bills@bare.example")
        assert linking.tell_changes() == 1
        found = customer_at(lago, bare)
        assert (found["email"], found["legal_name"]) == ("bills@bare.example", "By hand")

    def test_wait_while_lago_is_away_and_one_that_is_refused_stops_no_other(self, lago, team, settings):
        other = make.team("Other")
        for one in (team, other):
            link(one)
            self.change(one, name=f"New {one.name}")
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        assert linking.tell_changes() == 0
        settings.LAGO_API_URL = lago.url
        lago.faults({"method": "POST", "path": "customers", "times": 1, "status": 422, "body": '{"status":422,"code":"validation_errors"}'})  # fmt: skip
        assert linking.tell_changes() == 2
        assert [customer_at(lago, one)["name"] for one in (team, other)] == ["Acme", "New Other"]
        assert linking.tell_changes() == 0  # what was refused waits for the next change


class TestWallet:
    def test_is_restricted_empty_and_at_rate_one(self, lago, team):
        row = with_wallet(team)
        [found] = wallets_at(lago, team)
        assert str(row.wallet_id) == found["lago_id"]
        assert (found["code"], found["rate_amount"], found["currency"]) == ("credits", "1.0", "USD")
        assert found["applies_to"] == {"fee_types": [], "billable_metric_codes": ["credits_used"]}
        assert (found["credits_balance"], found["recurring_transaction_rules"], found["expiration_at"]) == ("0.0", [], None)  # fmt: skip
        assert not lago.dump()["wallettransaction"]

    def test_is_made_once(self, lago, team):
        first = with_wallet(team)
        assert with_wallet(team).wallet_id == first.wallet_id
        assert lago.requested("POST", "/api/v1/wallets") == 1

    def test_that_lago_has_already_is_found(self, lago, team):
        link(team)
        made = make_wallet(lago, team)
        assert str(with_wallet(team).wallet_id) == made["lago_id"]
        assert len(wallets_at(lago, team)) == 1

    def test_is_one_though_the_answer_was_lost(self, lago, team):
        link(team)
        lago.faults({"method": "POST", "path": "wallets", "times": 1, "drop": True, "after_commit": True})
        with pytest.raises(LagoUnavailable):
            with_wallet(team)
        with_wallet(team)
        assert len(wallets_at(lago, team)) == 1

    def test_is_one_though_two_workers_make_it(self, lago, team, monkeypatch):
        row = link(team)
        other = LagoCustomer.objects.get(pk=row.pk)
        meanwhile(
            monkeypatch, linking.wallets, "make", lambda: linking.ensure_wallet(customer=other, now=NOW)
        )
        mine = linking.ensure_wallet(customer=row, now=NOW)
        assert mine.wallet_id == other.wallet_id
        assert len(wallets_at(lago, team)) == 1

    def test_that_was_terminated_stops_since_what_was_on_its_way_lies_there(self, lago, team):
        row = with_wallet(team)
        lago.api("DELETE", f"wallets/{row.wallet_id}")
        with pytest.raises(PurchasesStopped, match="terminated") as stopped:
            with_wallet(team)
        assert "clear the wallet" in stopped.value.details["do"]
        LagoCustomer.objects.update(wallet_id=None)
        assert with_wallet(team).wallet_id not in {None, row.wallet_id}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"rate_amount": "2"}, "has the rate 2.0, not 1"),
            ({"applies_to": {}}, "is not restricted"),
            ({"applies_to": {"billable_metric_codes": ["credits_used"], "fee_types": ["subscription"]}}, "is not restricted"),
            ({"expiration_at": "2030-01-01T00:00:00Z"}, "expires at"),
            ({"code": "other", "applies_to": {}}, "wallet other is not restricted"),
        ],
    )  # fmt: skip
    def test_that_would_bill_twice_stops_each_time_until_it_is_mended(self, lago, team, wrong, said):
        link(team)
        lago.api("POST", "billable_metrics", json={"billable_metric": {"name": "Credits", "code": "credits_used", "aggregation_type": "sum_agg", "field_name": "credits"}})  # fmt: skip
        bad = make_wallet(lago, team, **wrong)
        for _ in range(2):
            with pytest.raises(PurchasesStopped, match=said) as stopped:
                with_wallet(team)
            assert stopped.value.details["do"]
        lago.api("DELETE", f"wallets/{bad['lago_id']}")
        LagoCustomer.objects.update(wallet_id=None)
        with_wallet(team)

    def test_in_another_currency_stops(self, lago, team):
        row = link(team)
        make_wallet(lago, team)
        LagoCustomer.objects.update(currency="EUR")
        row.refresh_from_db()
        with pytest.raises(PurchasesStopped, match="is in USD, its purchases in EUR"):
            linking.ensure_wallet(customer=row, now=NOW)

    def test_with_a_rule_of_lagos_is_a_problem(self):
        wallet = {
            "lago_id": "1", "status": "active", "code": "credits", "rate_amount": "1.0", "consumed_credits": "0.0",
            "applies_to": {"billable_metric_codes": ["credits_used"], "fee_types": []}, "expiration_at": None,
        }  # fmt: skip
        assert restrictions.problems(of="org_1", found=[wallet]) == []
        [problem] = restrictions.problems(
            of="org_1", found=[wallet | {"recurring_transaction_rules": [{"lago_id": "2"}]}]
        )
        assert "tops itself up" in problem.what
        assert (problem.stops_purchases, problem.organization) == (True, "org_1")
        assert (
            restrictions.problems(of="org_1", found=[wallet | {"status": "terminated", "rate_amount": "9"}])
            == []
        )


def meanwhile(monkeypatch, module, name, what):
    """Let somebody else do `what` just before the first call of a function."""
    original = getattr(module, name)

    def first_others(*args):
        monkeypatch.setattr(module, name, original)
        what()
        return original(*args)

    monkeypatch.setattr(module, name, first_others)
