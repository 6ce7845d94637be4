"""What the guard finds wrong at Lago, and whom it keeps from buying."""

from datetime import UTC, datetime

import pytest

from lago_sync.customers import linking
from lago_sync.errors import PurchasesStopped
from lago_sync.models import HealthCheck
from lago_sync.setup import charges, guard, installing
from tests.factories import orgs as make

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def installed(lago):
    installing.install(webhook_url=guard.webhook_url(), now=NOW)
    return lago


def add_plan(lago, *charged, code="special"):
    plan = {"name": code, "code": code, "interval": "monthly", "amount_cents": 0, "amount_currency": "USD", "pay_in_advance": True, "charges": list(charged)}  # fmt: skip
    answer = lago.api("POST", "plans", json={"plan": plan})
    assert answer.status_code == 200, answer.text


def charge(lago, metric="credits_used", **fields):
    found = lago.api("GET", f"billable_metrics/{metric}").json()["billable_metric"]["lago_id"]
    return {
        "billable_metric_id": found,
        "charge_model": "standard",
        "properties": {"amount": "0"},
        **fields,
    }


def whats(found):
    return [one.what for one in found]


class TestProblems:
    def test_are_none_after_setup(self, installed):
        assert guard.problems() == []

    def test_of_an_empty_lago_all_say_setup(self, lago):
        found = guard.problems()
        assert len(found) == 2 + 8 + 1
        assert all("setup_lago" in one.do and not one.stops_purchases for one in found)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"properties": {"amount": "0.01"}},
            {"pay_in_advance": True},
            {"charge_model": "package", "properties": {"amount": "1", "package_size": 10, "free_units": 0}},
        ],
    )
    def test_a_charge_that_bills_usage_stops_everybody_on_whatever_plan(self, installed, wrong):
        add_plan(installed, charge(installed, **wrong))
        [problem] = guard.problems()
        assert problem.what.startswith("Plan special charges for credits_used")
        assert (problem.stops_purchases, problem.organization) == (True, "")

    def test_a_plan_that_is_not_ours_needs_no_charges(self, installed):
        add_plan(installed)
        add_plan(installed, charge(installed), code="special2")
        assert guard.problems() == []

    @pytest.mark.parametrize(
        ("changes", "priced"),
        [
            ({}, False),
            ({"properties": {"amount": "0.000"}}, False),
            ({"properties": {"amount": "0.000001"}}, True),
            ({"properties": {}}, True),
            ({"properties": {"amount": "nothing"}}, True),
            ({"min_amount_cents": 100}, True),
            ({"filters": [{"properties": {"amount": "0"}}]}, False),
            ({"filters": [{"properties": {"amount": "1"}}]}, True),
            ({"charge_model": "dynamic"}, True),
        ],
    )
    def test_every_way_to_price_a_charge_is_seen(self, changes, priced):
        free = {"billable_metric_code": "api_call", "charge_model": "standard", "pay_in_advance": False, "properties": {"amount": "0"}}  # fmt: skip
        found = list(charges.problems({"code": "x", "charges": [free | changes]}, is_ours=False))
        assert [one.stops_purchases for one in found] == ([True] if priced else [])

    def test_a_metric_of_another_kind_is_told(self, lago):
        lago.api("POST", "billable_metrics", json={"billable_metric": {"name": "x", "code": "credits_used", "aggregation_type": "count_agg"}})  # fmt: skip
        assert "Metric credits_used counts something else: count_agg of None" in whats(guard.problems())

    def test_webhooks_that_are_not_sent_or_not_signed_as_agreed_are_told(self, installed):
        [endpoint] = installed.api("GET", "webhook_endpoints").json()["webhook_endpoints"]
        changed = {"webhook_url": endpoint["webhook_url"], "signature_algo": "jwt"}
        installed.api("PUT", f"webhook_endpoints/{endpoint['lago_id']}", json={"webhook_endpoint": changed})
        assert whats(guard.problems()) == ["Lago signs webhooks with jwt, and the portal refuses them"]
        installed.api("DELETE", f"webhook_endpoints/{endpoint['lago_id']}")
        assert whats(guard.problems()) == [f"Lago sends no webhooks to {guard.webhook_url()}"]

    def test_a_wallet_that_pays_invoices_stops_its_own_organization(self, installed):
        team = make.team("Acme")
        linking.ensure_wallet(customer=linking.ensure_customer(organization=team, now=NOW), now=NOW)
        second = {"external_customer_id": team.public_id, "code": "second", "rate_amount": "1"}
        installed.api("POST", "wallets", json={"wallet": second})
        [problem] = guard.problems()
        assert "wallet second is not restricted to credits_used" in problem.what
        assert (problem.stops_purchases, problem.organization) == (True, team.public_id)

    def test_a_customer_that_lago_lost_is_told(self, installed):
        team = make.team("Acme")
        linking.ensure_wallet(customer=linking.ensure_customer(organization=team, now=NOW), now=NOW)
        installed.api("DELETE", f"customers/{team.public_id}")
        installed.drain()
        assert whats(guard.problems()) == [f"Lago has no customer {team.public_id}"]

    def test_only_so_many_wallets_are_looked_at_in_one_check(self, installed, monkeypatch):
        monkeypatch.setattr(guard, "WALLETS_LOOKED_AT", 1)
        for _ in range(2):
            row = linking.ensure_customer(organization=make.team(), now=NOW)
            linking.ensure_wallet(customer=row, now=NOW)
        before = asked_for_wallets(installed)
        guard.problems()
        assert asked_for_wallets(installed) == before + 1


class TestRequireSafe:
    def keep(self, *problems, at=NOW):
        HealthCheck.objects.update_or_create(
            pk=1, defaults={"checked_at": at, "status": "unhealthy", "problems": list(problems)}
        )

    def test_lets_buy_before_the_first_check_and_after_an_old_one(self, db):
        guard.require_safe()
        self.keep(at=datetime(2020, 1, 1, tzinfo=UTC))
        guard.require_safe()

    def test_lets_buy_in_spite_of_what_bills_nothing_twice(self, db):
        self.keep({"what": "No webhooks", "do": "Run it", "stops_purchases": False, "organization": ""})
        guard.require_safe()

    def test_stops_everybody_or_the_one_organization(self, db):
        self.keep({"what": "Priced", "do": "Mend it", "stops_purchases": True, "organization": ""})
        for one in ("", "org_1"):
            with pytest.raises(PurchasesStopped) as stopped:
                guard.require_safe(organization=one)
            assert stopped.value.details == {"problem": "Priced", "do": "Mend it"}
        self.keep({"what": "Wallet", "do": "Mend it", "stops_purchases": True, "organization": "org_1"})
        guard.require_safe()
        guard.require_safe(organization="org_2")
        with pytest.raises(PurchasesStopped):
            guard.require_safe(organization="org_1")

    def test_asks_lago_nothing(self, db):
        """Nobody listens at the tests' address."""
        guard.require_safe(organization="org_1")


def asked_for_wallets(lago):
    return sum(one["count"] for one in lago.dump()["requests"] if one["path"].endswith("/wallets"))
