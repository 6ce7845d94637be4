"""A month of the sandbox's clock: the plan is billed in full, usage nowhere, and the books agree to the last decimal."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from credits.reports import figures
from lago_sync.errors import PurchasesStopped
from lago_sync.models import OutboxEvent, Purchase
from lago_sync.purchases import refunds, voids
from lago_sync.reconcile import health, identity
from lago_sync.setup import guard
from lago_sync.subscriptions import changing, plans
from orgs.audit.events import SYSTEM
from tests.factories import credits as make
from tests.lago_sync.reconcile.story import DAY

pytestmark = pytest.mark.django_db

FIRST = ("0.000001", "1.5", "0.333333", "99.999999", "12", "0.1", "0.2", "700.123456")
SECOND = ("0.000007", "250.25", "3.141592")


def test_a_month(story):
    lago, team = story.lago, story.team("starter")
    story.buy(team, "credits-5000")
    story.use(team, *FIRST)
    reversed_charge = make.charged(team, None, Decimal("10.000001"))
    make.reversal(reversed_charge, "4.000001")
    story.deliver()
    lago.advance(15 * DAY)
    with make.later("15 days"):
        story.use(team, *SECOND)
    story.deliver()

    spent = sum(map(Decimal, FIRST + SECOND)) + Decimal(6)
    usage = lago.api("GET", f"customers/{team.public_id}/current_usage", params={"external_subscription_id": plans.external_id(team)}).json()  # fmt: skip
    counted = {one["billable_metric"]["code"]: one for one in usage["customer_usage"]["charges_usage"]}
    assert Decimal(counted["credits_used"]["units"]) == spent
    assert usage["customer_usage"]["total_amount_cents"] == 0

    lago.advance(17 * DAY)
    lago.drain()
    first, renewal = story.invoices(team)
    for invoice in (first, renewal):
        assert (invoice["total_amount_cents"], invoice["total_due_amount_cents"]) == (1900, 1900)
        assert invoice["prepaid_credit_amount_cents"] == 0
        paid_for = [one["amount_cents"] for one in invoice["fees"] if one["item"]["type"] == "subscription"]
        billed = [one["amount_cents"] for one in invoice["fees"] if one["item"]["type"] == "charge"]
        assert paid_for == [1900]
        assert not any(billed)
    [wallet] = lago.api("GET", f"customers/{team.public_id}/wallets").json()["wallets"]
    assert (wallet["balance_cents"], Decimal(wallet["consumed_credits"])) == (4500, 0)

    books = identity.compare(organization=team, now=story.now())
    assert books.differences == []
    assert {name: (one["ours"], one["lagos"]) for name, one in books.figures.items()} == {
        "top_ups": ("1", "1"),
        "top_ups_amount": ("45", "45"),
        "granted_at_lago": ("0", "0"),
        "consumed_by_invoices": ("0", "0"),
        "voided": ("0", "0"),
        "credit_invoices": ("1", "1"),
        "plan_fees": ("0", "0"),
        "events": ("13", "13"),
        "event_credits": (f"{spent.normalize():f}", f"{spent.normalize():f}"),
    }
    assert figures.organization_figures(organization=team).used == spent
    assert plans.refresh(organization=team, now=story.now()).period_start > timezone.now()
    assert health.check(now=story.now()).status == "healthy"


def test_a_month_with_an_upgrade_a_downgrade_and_a_refund(story):
    """Plan fees are due in full, usage above and below the plan credits is billed nowhere, each month agrees exactly."""
    lago, team = story.lago, story.team("starter")
    pay_plan(story, team)
    purchase = story.buy(team, "credits-5000")
    story.use(team, "0.000001", "1499.333333")  # below the 2,000 of the plan
    story.deliver()

    lago.advance(12 * DAY)
    with make.later("12 days"):
        up = change(story, team, "professional")
        pay_plan(story, team)
        story.use(team, "5000.123456", "1.5")  # above what the plans gave
        story.deliver()
        with transaction.atomic():
            refunds.refund(purchase=purchase, credits=Decimal(1000), reference="re_1", reason="asked for", by=SYSTEM, now=timezone.now())  # fmt: skip
        assert voids.tell_due(now=timezone.now() + timedelta(minutes=1)) == 1
        down = change(story, team, "starter")
        assert plans.live(organization=team).next_plan_code == "starter"

    lago.advance(22 * DAY)
    lago.drain()
    with make.later("34 days"):
        pay_plan(story, team)
        story.use(team, "7.25")
        story.deliver()
        live = plans.refresh(organization=team, now=story.now())
        assert (live.plan_code, live.next_plan_code) == ("starter", "")

    due = [one["total_due_amount_cents"] + one["total_paid_amount_cents"] for one in story.invoices(team)]
    fees = [fee for one in story.invoices(team) for fee in one["fees"]]
    plan_fees = [fee["amount_cents"] for fee in fees if fee["item"]["type"] == "subscription"]
    assert plan_fees[0] == plan_fees[-1] == 1900
    assert plan_fees[1] == up.price_change["fee_cents"]
    assert [one["total_amount_cents"] for one in story.invoices(team)] == [
        1900,
        up.price_change["due_cents"],
        1900,
    ]
    assert down.price_change["due_cents"] in {0, 1900}
    assert all(due_or_paid >= 0 for due_or_paid in due)
    assert not any(fee["amount_cents"] for fee in fees if fee["item"]["type"] == "charge")
    [wallet] = lago.api("GET", f"customers/{team.public_id}/wallets").json()["wallets"]
    assert (wallet["balance_cents"], Decimal(wallet["consumed_credits"])) == (3600, 0)

    books = identity.compare(organization=team, now=story.now())
    assert books.differences == []
    spent = sum(map(Decimal, ("0.000001", "1499.333333", "5000.123456", "1.5", "7.25")))
    assert {name: (one["ours"], one["lagos"]) for name, one in books.figures.items()} == {
        "top_ups": ("1", "1"),
        "top_ups_amount": ("45", "45"),
        "granted_at_lago": ("0", "0"),
        "consumed_by_invoices": ("0", "0"),
        "voided": ("9", "9"),
        "credit_invoices": ("1", "1"),
        "plan_fees": ("3", "3"),
        "events": ("5", "5"),
        "event_credits": (f"{spent.normalize():f}", f"{spent.normalize():f}"),
    }
    assert len(books.months) >= 2
    for name, whole in books.figures.items():
        by_month = [
            Decimal(one[name][side])
            for one in books.months.values()
            if name in one
            for side in ("ours", "lagos")
        ]
        assert sum(by_month) == 2 * Decimal(whole["ours"]), name
        assert all(one[name]["ours"] == one[name]["lagos"] for one in books.months.values() if name in one)
    assert figures.organization_figures(organization=team).used == spent
    assert health.check(now=story.now()).status == "healthy"


def pay_plan(story, team):
    """Pay each plan invoice that is open, and have its fee noted."""
    for invoice in story.invoices(team):
        if invoice["payment_status"] != "succeeded":
            story.lago.pay(invoice["lago_id"])
    story.lago.drain()
    plans.refresh(organization=team, now=story.now())


def change(story, team, plan_code):
    found = changing.change_plan(organization=team, plan_code=plan_code, by=SYSTEM, now=story.now())
    story.lago.drain()
    return found


class TestControl:
    """Without what product.md §8 asks for, the month would be wrong, and the portal would say so."""

    def test_an_unrestricted_wallet_pays_the_plan_is_found_and_stops_purchases(self, story):
        lago, team = story.lago, story.team("starter")
        story.buy(team, "credits-5000")
        wallet = story.wallet(team, code="behind", granted_credits="7.5", name="Behind our back")
        lago.drain()
        lago.advance(32 * DAY)
        lago.drain()
        renewal = story.invoices(team)[1]
        assert (renewal["prepaid_credit_amount_cents"], renewal["total_due_amount_cents"]) == (750, 1150)

        found = health.check(now=story.now())
        assert found.status == "unhealthy"
        said = [one["what"] for one in found.problems]
        assert any("wallet behind is not restricted to credits_used" in one for one in said)
        assert any("wallet behind paid an invoice" in one for one in said)
        with pytest.raises(PurchasesStopped):
            guard.require_safe(organization=team.public_id)
        guard.require_safe(organization="org_of_somebody_else")

        books = identity.compare(organization=team, now=story.now())
        assert books.figures["consumed_by_invoices"] == {"ours": "0", "lagos": "7.5"}
        assert books.figures["granted_at_lago"] == {"ours": "0", "lagos": "7.5"}
        assert any("Lago paid invoices" in one["what"] for one in books.differences)
        assert all(one["why"] for one in books.differences)

        before = len(lago.dump()["wallettransaction"])
        with pytest.raises(PurchasesStopped):
            story.order(team)
        lago.api("DELETE", f"wallets/{wallet['lago_id']}")
        assert len(lago.dump()["wallettransaction"]) == before
        assert health.check(now=story.now()).status == "healthy"
        story.buy(team)

    def test_purchases_are_stopped_live_before_any_check_saw_the_wallet(self, story):
        lago, team = story.lago, story.team("starter")
        story.buy(team)
        story.wallet(team, code="behind")
        purchase = story.order(team)
        assert (purchase.status, purchase.wallet_transaction_id) == (Purchase.Status.PENDING, None)
        assert "not restricted" in purchase.last_error
        assert len(lago.dump()["wallettransaction"]) == 1

    def test_a_drifted_top_up_is_listed_and_not_granted(self, story):
        lago, team = story.lago, story.team("starter")
        story.buy(team)
        [drifted] = story.top_up(team, paid_credits="20.0")
        assert identity.compare(organization=team, now=story.now()).differences == []
        invoice = lago.api("GET", f"wallet_transactions/{drifted['lago_id']}").json()["wallet_transaction"]["lago_invoice_id"]  # fmt: skip
        lago.pay(invoice)
        lago.drain()
        books = identity.compare(organization=team, now=story.now())
        [difference] = books.differences
        assert difference["what"] == f"Lago has a paid top-up of no purchase: {drifted['lago_id']}"
        assert "Nobody ordered it here" in difference["why"]
        assert books.figures["top_ups"] == {"ours": "1", "lagos": "2"}
        assert books.figures["top_ups_amount"] == {"ours": "45", "lagos": "65"}
        assert figures.own_pool(organization=team) == 5000
        assert OutboxEvent.objects.count() == 0
