"""The poll reads Lago's lists to a watermark: what webhooks missed is found, repaired where it is ours to repair, kept."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from lago_sync.client import transport
from lago_sync.models import (
    Drift,
    LagoCustomer,
    LagoInvoice,
    LagoPlan,
    LagoSubscription,
    PaymentMethod,
    Purchase,
    Watermark,
)
from lago_sync.reconcile import drift, lag, polling, watermarks
from lago_sync.reconcile.kinds.every import KINDS
from lago_sync.subscriptions import plans

pytestmark = pytest.mark.django_db
NAMES = {kind.name for kind in KINDS}


def soon(story, minutes: int = 5):
    """Later than any webhook may still be on its way."""
    return story.now() + timedelta(minutes=minutes)


def poll(story, minutes: int = 5):
    return polling.poll(now=soon(story, minutes))


def sync(*args: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("sync_lago", *args, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


def test_what_is_in_step_is_no_drift_and_the_watermarks_move_on(story):
    team = story.team()
    story.buy(team)
    poll(story)
    poll(story, 6)
    assert not Drift.objects.filter(repaired_at=None).exists()
    assert set(Watermark.objects.values_list("name", flat=True)) == NAMES
    assert {one.through for one in Watermark.objects.all()} == {Watermark.objects.get(name="plans").through}
    assert poll(story, 7).drifted == 0


def test_everything_that_webhooks_missed_is_found_repaired_and_kept_as_drift(story, monkeypatch):
    """None of Lago's webhooks arrives in these tests."""
    lago, team = story.lago, story.team()
    purchase = story.advance(story.order(team))
    poll(story)
    Drift.objects.all().delete()
    lago.api("PUT", "plans/professional", json={"plan": {"name": "Professional plus"}})
    lago.api("POST", "subscriptions", json={"subscription": {
        "external_customer_id": team.public_id, "external_id": plans.external_id(team), "plan_code": "professional",
    }})  # fmt: skip
    lago.pay(str(purchase.invoice_id))
    lago.drain()
    LagoCustomer.objects.filter(organization=team).update(wallet_id=None)
    Purchase.objects.update(due_at=timezone.now() + timedelta(days=30))
    monkeypatch.setattr(polling.mirror, "catch_up", lambda now: 0)
    LagoSubscription.objects.filter(ended_at=None).update(synced_at=soon(story, 4))

    poll(story)
    drift = {one.kind: one for one in Drift.objects.order_by("pk")}
    assert set(drift) == {"plan", "subscription", "invoice", "wallet"}
    assert all(one.repaired_at and not one.do for one in drift.values()), [
        vars(one) for one in drift.values()
    ]
    assert "Professional plus at Lago and Professional here" in drift["plan"].what
    assert drift["subscription"].organization == drift["wallet"].organization == team.public_id
    assert LagoPlan.objects.get(code="professional").name == "Professional plus"
    assert LagoSubscription.objects.get(ended_at=None).plan_code == "professional"
    assert Purchase.objects.get().status == Purchase.Status.COMPLETED
    assert LagoCustomer.objects.get().wallet_id is not None
    assert poll(story, 6).drifted == 0


def test_a_payment_whose_invoice_looks_unpaid_here_is_followed(story):
    team = story.team()
    story.buy(team)
    poll(story)
    Drift.objects.all().delete()
    invoice = LagoInvoice.objects.get(invoice_type="credit")
    kept = invoice.body
    LagoInvoice.objects.filter(pk=invoice.pk).update(payment_status="pending", total_due_amount_cents=4500)
    poll(story, 6)
    [row] = Drift.objects.filter(kind="payment")
    assert (row.repaired_at is not None, row.organization) == (True, team.public_id)
    assert "unpaid here" in row.what
    after = LagoInvoice.objects.get(pk=invoice.pk)
    assert (after.payment_status, after.body["lago_id"]) == ("succeeded", kept["lago_id"])


def test_what_nobody_can_repair_stays_open_once_and_ends_when_somebody_has(story):
    team = story.team()
    story.buy(team)
    known = LagoCustomer.objects.get()
    LagoCustomer.objects.update(currency="EUR")
    for minutes in (5, 7, 9):
        poll(story, minutes)
    [row] = Drift.objects.filter(repaired_at=None)
    assert (row.kind, row.subject, row.what) == (
        "customer",
        team.public_id,
        "Its currency is USD at Lago and EUR here",
    )
    assert row.do.startswith("Make both the same")
    assert row.seen_at == row.found_at + timedelta(minutes=4) or row.seen_at > row.found_at
    assert lag.measure(now=soon(story)).open_drift == 1
    LagoCustomer.objects.update(currency=known.currency)
    poll(story, 11)
    assert not Drift.objects.filter(repaired_at=None).exists()


def test_a_customer_without_the_payment_provider_is_told_of_it(story, settings):
    team = story.team()
    settings.LAGO_PAYMENT_PROVIDER = settings.LAGO_PAYMENT_PROVIDER_CODE = "adyen"
    poll(story)
    [row] = Drift.objects.filter(kind="customer")
    assert row.repaired_at is not None
    shown = story.lago.api("GET", f"customers/{team.public_id}").json()["customer"]["billing_configuration"]
    assert (shown["payment_provider"], shown["sync_with_provider"]) == ("adyen", True)
    assert not PaymentMethod.objects.exists()


def test_what_changed_just_now_is_left_to_its_webhook(story):
    story.team()
    Drift.objects.all().delete()
    LagoCustomer.objects.update(currency="EUR")
    polling.poll(now=story.now())
    assert not Drift.objects.filter(kind="customer").exists()


def test_a_long_list_is_read_in_pieces_over_several_runs(story, monkeypatch):
    for number in range(7):
        story.lago.api("POST", "customers", json={"customer": {"external_id": f"somebody-{number}"}})
    monkeypatch.setattr(transport, "PER_PAGE", 2)
    customers = next(kind for kind in KINDS if kind.name == "customers")

    def run(minutes):
        rows = [row for page in watermarks.read(customers, now=soon(story, minutes), pages=1) for row in page]
        return [row["external_id"] for row in rows], Watermark.objects.get(name="customers")

    first, mark = run(1)
    assert (first, mark.page, mark.through) == (["somebody-6", "somebody-5"], 2, None)
    story.lago.api("POST", "customers", json={"customer": {"external_id": "new-meanwhile"}})
    seen = [*first, *run(2)[0], *run(3)[0], *run(4)[0]]
    mark = Watermark.objects.get(name="customers")
    last, mark = run(5) if mark.page else ([], mark)
    assert {f"somebody-{number}" for number in range(7)} <= {*seen, *last}
    assert (mark.page, mark.through) == (
        0,
        soon(story, 1).replace(microsecond=mark.through.microsecond, second=mark.through.second),
    )
    again = [row["external_id"] for page in watermarks.read(customers, now=soon(story, 60)) for row in page]
    assert "new-meanwhile" in again  # made while the run was under way
    assert [row for page in watermarks.read(customers, now=soon(story, 61)) for row in page] == []


class TestCommand:
    def test_repairs_prints_and_exits_by_what_is_left(self, story):
        team = story.team()
        story.buy(team)
        sync()
        story.lago.api("PUT", "plans/starter", json={"plan": {"name": "Beginner"}})
        story.lago.api("POST", "subscriptions", json={"subscription": {
            "external_customer_id": team.public_id, "external_id": plans.external_id(team), "plan_code": "enterprise",
        }})  # fmt: skip
        story.lago.drain()
        said, status = sync()
        assert status == 0, said
        assert "repaired  plan" in said
        assert "repaired  subscription" in said
        assert "0 left." in said
        assert sync() == ("0 repaired, 0 left.\n", 0)

        [strange] = story.top_up(team, paid_credits="20.0")
        found = story.lago.api("GET", f"wallet_transactions/{strange['lago_id']}").json()[
            "wallet_transaction"
        ]
        story.lago.pay(found["lago_invoice_id"])
        story.lago.drain()
        said, status = sync("--organization", team.slug)
        assert status == 1
        assert "left      books" in said
        assert "Lago has a paid top-up of no purchase" in said
        assert "Nobody ordered it here" in said

    def test_names_a_customer_that_lago_lost(self, story):
        team = story.team()
        story.lago.api("DELETE", f"customers/{team.public_id}")
        story.lago.drain()
        said, status = sync("--organization", team.public_id)
        assert status == 1
        assert "Lago has none of this name" in said
        assert Drift.objects.get(kind="customer").do.startswith("See in Lago's log who deleted it")

    def test_does_not_take_a_lost_customer_for_mended_at_the_next_look(self, story):
        team = story.team()
        story.lago.api("DELETE", f"customers/{team.public_id}")
        story.lago.drain()
        sync("--organization", team.public_id)
        drift.look_again(now=soon(story))
        [lost] = Drift.objects.filter(kind="customer")
        assert lost.repaired_at is None
        assert "archive the organization" in lost.do

    def test_of_nobody_or_of_a_lago_that_is_away_says_so(self, story, settings):
        with pytest.raises(CommandError, match="no organization"):
            sync("--organization", "nobody")
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        with pytest.raises(CommandError, match="cannot be reached"):
            sync()
