"""Plan fees: nothing before Lago shows the payment, each period once whatever is told how often, and what an upgrade gave back."""

import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from credits.models import Grant
from lago_sync.models import LagoSubscription
from lago_sync.reconcile import polling
from lago_sync.setup import guard, installing
from lago_sync.subscriptions import fees, plans
from orgs.audit.events import SYSTEM
from orgs.models import Organization, PlanFee, Subscription
from tests.concurrency.racing import race
from tests.factories import credits as make
from tests.factories import orgs
from tests.lago_sync.inbox import story as inbox
from tests.lago_sync.inbox.messages import message

pytestmark = pytest.mark.django_db
DAY = 86_400


class Subscriber:
    """An organization on a plan at the sandbox, and what became of its fees."""

    def __init__(self, lago, plan_code):
        self.lago = lago
        self.team = orgs.team("Acme")
        self.subscribe(plan_code)

    def now(self):
        return datetime.fromisoformat(self.lago.now())

    def subscribe(self, plan_code):
        plans.subscribe(organization=self.team, plan_code=plan_code, by=SYSTEM, now=self.now())
        self.lago.drain()

    def post(self, plan_code):
        """Change the plan at Lago."""
        fields = {
            "external_customer_id": self.team.public_id,
            "external_id": plans.external_id(self.team),
            "plan_code": plan_code,
        }
        answer = self.lago.api("POST", "subscriptions", json={"subscription": fields})
        assert answer.status_code == 200, answer.text
        self.lago.drain()

    def refresh(self):
        return plans.refresh(organization=self.team, now=self.now())

    def invoices(self):
        """Return the plan's invoices, oldest first."""
        found = self.lago.api("GET", f"customers/{self.team.public_id}/invoices").json()["invoices"]
        return [one for one in reversed(found) if one["invoice_type"] == "subscription"]

    def unpaid(self):
        return [one for one in self.invoices() if one["payment_status"] != "succeeded"]

    def pay(self):
        """Pay what is unpaid, and return the numbers of the invoices."""
        waiting = self.unpaid()
        for one in waiting:
            self.lago.pay(one["lago_id"])
        self.lago.drain()
        return [one["number"] for one in waiting]

    def fees(self):
        return list(PlanFee.objects.filter(subscription__organization=self.team).order_by("period_start"))

    def granted(self):
        rows = Grant.objects.filter(organization=self.team, source="plan").order_by("created_at")
        return list(rows.values_list("credits", flat=True))


@pytest.fixture
def installed(lago):
    installing.install(webhook_url=guard.webhook_url(), now=datetime.fromisoformat(lago.now()))
    return lago


@pytest.fixture
def starter(installed):
    return Subscriber(installed, "starter")


def lies(lago, invoice, **changes):
    """Let the sandbox answer for one invoice with other values; `fee__x` is a value of its fee."""
    path = f"invoices/{invoice['lago_id']}"
    told = lago.api("GET", path).json()
    of_fee = {name.removeprefix("fee__"): value for name, value in changes.items() if "__" in name}
    told["invoice"] |= {name: value for name, value in changes.items() if "__" not in name}
    told["invoice"]["fees"] = [one | of_fee for one in told["invoice"]["fees"]]
    lago.faults({"method": "GET", "path": f"/{path}$", "times": 9, "status": 200, "body": json.dumps(told)})


class TestPaid:
    def test_before_its_payment_nothing_is_granted(self, starter):
        starter.refresh()
        [invoice] = starter.invoices()
        assert (invoice["payment_status"], invoice["total_amount_cents"]) == ("pending", 1900)
        assert (starter.fees(), starter.granted()) == ([], [])

    def test_a_declined_payment_grants_nothing(self, starter):
        starter.lago.decline(starter.invoices()[0]["lago_id"])
        starter.lago.drain()
        starter.refresh()
        assert starter.granted() == []

    def test_is_noted_as_lago_has_it_and_grants_the_plans_credits(self, starter):
        [number] = starter.pay()
        row = starter.refresh()
        [fee] = starter.fees()
        assert (fee.plan.code, fee.amount_cents, fee.full_amount_cents) == ("starter", 1900, 1900)
        assert (fee.currency, fee.reference) == ("USD", number)
        assert (fee.period_start, fee.period_end) == (row.started_at, row.period_end)
        assert (fee.replaced_plan, fee.credited_cents) == (None, 0)
        assert starter.granted() == [2000]

    def test_grants_once_however_often_it_is_looked_at(self, starter):
        starter.pay()
        for _ in range(3):
            starter.refresh()
        assert (len(starter.fees()), starter.granted()) == (1, [2000])

    def test_what_is_known_is_not_fetched_again(self, starter):
        starter.pay()
        starter.refresh()
        before = starter.lago.requested("GET", "/api/v1/invoices/<id>")
        starter.refresh()
        assert starter.lago.requested("GET", "/api/v1/invoices/<id>") == before

    def test_the_poll_finds_what_no_webhook_told(self, starter):
        starter.pay()
        later = starter.now() + polling.STALE_AFTER + timedelta(seconds=1)
        assert polling.poll(now=later).subscriptions == 1
        assert starter.granted() == [2000]

    def test_of_each_renewal_counts_when_it_is_paid(self, starter):
        starter.pay()
        starter.refresh()
        starter.lago.advance(32 * DAY)
        starter.lago.drain()
        with make.later("32 days"):
            starter.refresh()
            assert len(starter.granted()) == 1
            starter.pay()
            row = starter.refresh()
            first, second = starter.fees()
            assert (second.period_start, second.period_end) == (row.period_start, row.period_end)
            assert second.period_start - first.period_end < timedelta(seconds=2)
            assert second.subscription_id == first.subscription_id
            assert starter.granted() == [2000, 2000]

    def test_of_a_subscription_that_ended_meanwhile_still_counts(self, starter):
        starter.lago.api("DELETE", f"subscriptions/{plans.external_id(starter.team)}")
        starter.lago.drain()
        starter.refresh()
        starter.pay()
        fees.collect(organization=starter.team)
        assert [one.subscription.status for one in starter.fees()] == ["terminated"]

    def test_of_an_adopted_subscription_under_another_id_counts(self, installed):
        team = orgs.team("Old")
        fields = {
            "external_customer_id": team.public_id,
            "external_id": "old-contract-7",
            "plan_code": "professional",
        }
        installed.api("POST", "subscriptions", json={"subscription": fields})
        installed.drain()
        old = Subscriber.__new__(Subscriber)
        old.lago, old.team = installed, team
        old.subscribe("professional")
        old.pay()
        old.refresh()
        assert [one.plan.code for one in old.fees()] == ["professional"]


class TestHints:
    """A webhook only says "look": what it claims is never believed, and how often it comes does not matter."""

    def paid_message(self, starter):
        invoice = starter.lago.api("GET", f"invoices/{starter.invoices()[0]['lago_id']}").json()["invoice"]
        return message("invoice.payment_status_updated", invoice=invoice)

    def test_the_webhooks_of_a_payment_grant_once(self, starter):
        starter.pay()
        said = self.paid_message(starter)
        assert [inbox.heard(said).state for _ in range(3)] == ["handled"] * 3
        starter.refresh()
        assert (len(starter.fees()), starter.granted()) == (1, [2000])

    def test_that_lie_grant_nothing(self, starter):
        invoice = starter.lago.api("GET", f"invoices/{starter.invoices()[0]['lago_id']}").json()["invoice"]
        lie = invoice | {"payment_status": "succeeded", "total_due_amount_cents": 0}
        assert inbox.heard(message("invoice.payment_status_updated", invoice=lie)).state == "handled"
        assert starter.granted() == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"invoice_type": "credit"},
            {"customer": None},
            {"customer": {"external_id": "org_nobody"}},
            {"customer": {"external_id": 7}},
            {"customer": {"external_id": "a\x00b"}},
        ],
        ids=str,
    )
    def test_about_nobodys_plan_are_ignored(self, starter, changes):
        invoice = {"invoice_type": "subscription", "customer": {"external_id": starter.team.public_id}}
        told = message("invoice.payment_status_updated", invoice=invoice | changes)
        assert inbox.heard(told).state == "ignored"


class TestVerified:
    @pytest.mark.parametrize(
        "changes",
        [
            {"payment_status": "pending"},
            {"status": "voided"},
            {"invoice_type": "credit"},
            {"customer": {"external_id": "org_somebody_else"}},
            {"customer": None},
            {"currency": "EUR"},
            {"fee__amount_currency": "EUR"},
            {"fee__external_subscription_id": "sub_somebody_else"},
            {"fee__lago_subscription_id": "11111111-1111-4111-8111-111111111111"},
            {"fee__lago_subscription_id": None},
            {"fee__amount_cents": "1900"},
            {"fee__amount_cents": -1},
            {"fee__amount_cents": 19.0},
            {"fee__from_date": "yesterday"},
            {"fee__item": {}},
        ],
        ids=str,
    )
    def test_what_is_not_as_it_should_be_grants_nothing_and_is_logged(self, starter, changes, caplog):
        starter.pay()
        lies(starter.lago, starter.invoices()[0], **changes)
        starter.refresh()
        assert (starter.fees(), starter.granted()) == ([], [])
        assert "does not count" in caplog.text
        starter.lago.faults()
        starter.refresh()
        assert starter.granted() == [2000]

    def test_what_is_no_fee_of_a_plan_grants_nothing(self, starter):
        starter.pay()
        lies(starter.lago, starter.invoices()[0], fee__item={"type": "charge"})
        starter.refresh()
        assert starter.fees() == []

    def test_a_bad_invoice_stops_no_other(self, starter):
        starter.pay()
        first = starter.invoices()[0]
        lies(starter.lago, first, currency="EUR")
        starter.lago.advance(32 * DAY)
        starter.lago.drain()
        starter.pay()
        with make.later("32 days"):
            starter.refresh()
            assert [one.reference for one in starter.fees()] == [starter.invoices()[1]["number"]]

    def test_the_invoice_says_the_period_where_the_fee_does_not(self, starter):
        starter.pay()
        lies(starter.lago, starter.invoices()[0], fee__from_date=None, fee__to_date=None)
        row = starter.refresh()
        [fee] = starter.fees()
        assert (fee.period_start, fee.period_end) == (row.started_at, row.period_end)

    def test_another_amount_for_a_period_that_was_paid_is_logged_and_changes_nothing(self, starter, caplog):
        starter.pay()
        starter.refresh()
        PlanFee.objects.update(reference="ANOTHER-1", amount_cents=1700)
        starter.refresh()
        assert [one.amount_cents for one in starter.fees()] == [1700]
        assert "is not noted: This period's fee was paid with another amount" in caplog.text
        assert starter.granted() == [2000]


class TestFree:
    def test_a_plan_that_costs_nothing_counts_at_once(self, installed):
        free = Subscriber(installed, "founders_friend")
        [fee] = free.fees()
        assert (fee.plan.code, fee.amount_cents, fee.full_amount_cents) == ("founders_friend", 0, 0)

    def test_and_once_a_period_with_or_without_an_invoice_of_nothing(self, installed):
        free = Subscriber(installed, "founders_friend")
        for _ in range(2):
            free.refresh()
        installed.advance(32 * DAY)
        installed.drain()
        with make.later("32 days"):
            for _ in range(2):
                free.refresh()
        assert len(free.invoices()) == 2
        assert len(free.fees()) == 2

    def test_an_invoice_that_credit_notes_paid_counts_at_once(self, installed):
        team = Subscriber(installed, "professional")
        team.pay()
        team.refresh()
        installed.api("DELETE", f"subscriptions/{plans.external_id(team.team)}")
        installed.drain()
        team.refresh()
        team.subscribe("starter")
        assert (team.invoices()[-1]["total_amount_cents"], team.invoices()[-1]["payment_status"]) == (
            0,
            "succeeded",
        )
        team.refresh()
        assert [(one.plan.code, one.amount_cents) for one in team.fees()] == [
            ("professional", 4900),
            ("starter", 1900),
        ]
        assert Subscription.objects.filter(organization=team.team).count() == 2


class TestUpgrade:
    def test_is_noted_with_what_lago_gave_back_of_the_old_plan(self, starter):
        starter.pay()
        starter.refresh()
        starter.lago.advance(10 * DAY)
        starter.post("professional")
        with make.later("10 days"):
            starter.refresh()
            assert len(starter.fees()) == 1
            [note] = starter.lago.api("GET", f"customers/{starter.team.public_id}/credit_notes").json()[
                "credit_notes"
            ]
            [invoice] = starter.unpaid()
            starter.pay()
            row = starter.refresh()
            old, new = starter.fees()
            assert (new.plan.code, new.full_amount_cents) == ("professional", 4900)
            assert new.amount_cents - note["total_amount_cents"] == invoice["total_amount_cents"]
            assert 0 < new.amount_cents < 4900
            assert (new.replaced_plan.code, new.replaced_full_cents) == ("starter", 1900)
            assert new.credited_cents == note["total_amount_cents"]
            assert (new.period_start, new.period_end) == (row.started_at, row.period_end)
            assert new.subscription_id == old.subscription_id
            expected = _down(6000, new.amount_cents, 4900) - _down(2000, new.credited_cents, 1900)
            assert abs(starter.granted()[-1] - expected) <= Decimal("0.000002")

    def test_its_next_period_gives_nothing_back(self, starter):
        starter.pay()
        starter.refresh()
        starter.lago.advance(10 * DAY)
        starter.post("professional")
        starter.pay()
        starter.refresh()
        starter.lago.advance(25 * DAY)
        starter.lago.drain()
        with make.later("35 days"):
            starter.pay()
            starter.refresh()
            renewal = starter.fees()[-1]
            assert (renewal.plan.code, renewal.amount_cents) == ("professional", 4900)
            assert (renewal.replaced_plan, renewal.credited_cents) == (None, 0)
            assert starter.granted()[-1] == 6000

    def test_on_the_day_of_the_start_both_fees_count(self, starter):
        starter.pay()
        starter.refresh()
        starter.post("professional")
        starter.pay()
        starter.refresh()
        assert [(one.plan.code, one.credited_cents) for one in starter.fees()] == [
            ("starter", 0),
            ("professional", 1900),
        ]

    def test_a_downgrade_at_the_periods_end_gives_nothing_back(self, installed):
        team = Subscriber(installed, "professional")
        team.pay()
        team.refresh()
        team.post("starter")
        installed.advance(32 * DAY)
        installed.drain()
        with make.later("32 days"):
            team.pay()
            team.refresh()
            assert [(one.plan.code, one.amount_cents, one.replaced_plan) for one in team.fees()] == [
                ("professional", 4900, None),
                ("starter", 1900, None),
            ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
def test_many_who_look_at_once_note_and_grant_once(installed):
    starter = Subscriber(installed, "starter")
    starter.pay()

    def look():
        connection.ensure_connection()
        plans.refresh(organization=Organization.objects.get(pk=starter.team.pk), now=timezone.now())

    outcomes = race([look] * 6)
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    assert (len(starter.fees()), starter.granted()) == (1, [2000])


def test_a_trial_and_a_yearly_plan_count_as_lago_prices_them(installed):
    trial, yearly = Subscriber(installed, "trial"), Subscriber(installed, "starter_yearly")
    for one in (trial, yearly):
        one.pay()
        one.refresh()
    [fee] = trial.fees()
    assert (fee.plan.code, fee.amount_cents, fee.full_amount_cents) == ("trial", 100, 100)
    assert trial.granted() == [500]
    [fee] = yearly.fees()
    assert (fee.plan.code, fee.amount_cents, fee.full_amount_cents) == ("starter", 19_000, 19_000)
    assert fee.period_end - fee.period_start > timedelta(days=364)
    assert yearly.granted() == [2000]
    assert LagoSubscription.objects.filter(plan_code="starter_yearly").exists()


def _down(credits, part, whole):
    return Decimal(credits * part) / Decimal(whole)
