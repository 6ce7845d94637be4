"""The identity with Lago: every way in which the books can differ is seen and explained; what is on its way is none."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from kit.errors import NotFound
from lago_sync.models import HealthCheck, Identity, LagoCustomer, LagoSubscription, OutboxEvent, Purchase
from lago_sync.reconcile import identity, payments, polling, slices, usage
from lago_sync.subscriptions import plans
from orgs.models import PlanFee
from tests.factories import credits as make
from tests.factories import orgs
from tests.lago_sync.reconcile.story import DAY

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(story):
    """A team that bought 5,000 credits and used some, all of which Lago was told."""
    team = story.team()
    story.buy(team)
    story.use(team, "1.25", "2.5", "0.000001")
    story.deliver()
    return team


def compare(story, team):
    return identity.compare(organization=team, now=story.now())


def whats(books):
    assert all(one["why"] for one in books.differences)
    return [one["what"] for one in books.differences]


def send(story, team, key, credits="1", **fields):
    """Send an event beside the portal."""
    event = {
        "transaction_id": key,
        "external_subscription_id": plans.external_id(team),
        "code": "credits_used",
        "timestamp": str(int(timezone.now().timestamp())),
        "properties": {"credits": credits},
    }
    assert story.lago.api("POST", "events", json={"event": event | fields}).status_code == 200


class TestPayments:
    def test_what_agrees_has_no_difference(self, story, team):
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["event_credits"]["ours"] == books.figures["event_credits"]["lagos"] == "3.750001"
        assert Identity.objects.get() == books

    def test_a_purchase_that_is_paid_and_not_granted_yet_is_on_its_way(self, story, team):
        purchase = story.advance(story.order(team))
        assert compare(story, team).differences == []
        story.lago.pay(str(purchase.invoice_id))
        story.lago.drain()
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["top_ups"] == {"ours": "1", "lagos": "1"}
        story.advance(purchase)
        assert compare(story, team).figures["top_ups"] == {"ours": "2", "lagos": "2"}

    def test_a_purchase_that_lago_does_not_have_is_named(self, story, team):
        ours = Purchase.objects.get()
        Purchase.objects.update(wallet_transaction_id=uuid4(), invoice_id=uuid4())
        found = whats(compare(story, team))
        assert f"Purchase {ours.pk} has no settled top-up at Lago" in found
        assert f"Purchase {ours.pk} has no paid invoice at Lago" in found
        assert any(one.startswith("Lago has a paid top-up of no purchase") for one in found)

    def test_other_amounts_are_named(self, story, team):
        ours = Purchase.objects.get()
        Purchase.objects.update(amount_cents=4400)
        books = compare(story, team)
        assert whats(books) == [
            f"Purchase {ours.pk} and its top-up have other amounts",
            f"Purchase {ours.pk} and its invoice have other amounts",
        ]
        assert books.figures["top_ups_amount"] == {"ours": "44", "lagos": "45"}
        assert (books.differences[0]["ours"], books.differences[0]["lagos"]) == ("$44.00", "45.0")

    def test_gifts_and_voids_at_lago_are_named(self, story, team):
        story.top_up(team, granted_credits="3.0")
        [voided] = story.top_up(team, voided_credits="2.0")
        books = compare(story, team)
        assert books.figures["granted_at_lago"]["lagos"] == "3"
        assert books.figures["voided"]["lagos"] == "2"
        assert whats(books) == [
            f"Lago's wallet has credits voided that the portal did not take back: {voided['lago_id']}",
            "Lago's wallet was given credits for nothing",
        ]

    def test_a_top_up_in_a_wallet_that_was_replaced_still_counts(self, story, team):
        row = LagoCustomer.objects.get()
        story.lago.api("DELETE", f"wallets/{row.wallet_id}")
        assert compare(story, team).figures["top_ups"] == {"ours": "1", "lagos": "1"}

    def test_a_top_up_counts_though_the_list_of_wallets_leaves_its_wallet_out(self, story, team, monkeypatch):
        monkeypatch.setattr(payments.wallets, "of_customer", lambda _: iter([]))
        assert compare(story, team).figures["top_ups"] == {"ours": "1", "lagos": "1"}


class TestPlanFees:
    @pytest.fixture
    def subscriber(self, story):
        team = story.team("starter")
        [invoice] = story.invoices(team)
        story.lago.pay(invoice["lago_id"])
        story.lago.drain()
        return team

    def test_a_paid_one_that_is_not_taken_yet_is_on_its_way(self, story, subscriber):
        books = compare(story, subscriber)
        assert books.figures["plan_fees"] == {"ours": "0", "lagos": "0"}
        assert books.differences == []

    def test_each_that_was_taken_has_its_paid_invoice(self, story, subscriber):
        plans.refresh(organization=subscriber, now=story.now())
        books = compare(story, subscriber)
        assert books.figures["plan_fees"] == {"ours": "1", "lagos": "1"}
        assert books.differences == []

    def test_one_whose_payment_lago_does_not_show_any_more_is_named(self, story, subscriber):
        plans.refresh(organization=subscriber, now=story.now())
        PlanFee.objects.update(reference="LOST-1")
        books = compare(story, subscriber)
        assert books.figures["plan_fees"] == {"ours": "1", "lagos": "0"}
        assert whats(books) == ["The plan fee in invoice LOST-1 is not paid at Lago"]
        assert books.differences[0]["ours"] == "$19.00"

    def test_that_of_a_free_plan_needs_no_invoice(self, story):
        team = story.team("founders_friend")
        assert PlanFee.objects.count() == 1
        assert compare(story, team).figures["plan_fees"] == {"ours": "0", "lagos": "0"}


class TestSubscriptions:
    def test_one_that_the_portal_does_not_know_and_one_too_many_are_named(self, story, team):
        fields = {"external_customer_id": team.public_id, "external_id": "second", "plan_code": "professional"}  # fmt: skip
        story.lago.api("POST", "subscriptions", json={"subscription": fields})
        found = whats(compare(story, team))
        assert found == [
            f"Lago has 2 live subscriptions: second, {plans.external_id(team)}",
            "The live subscription is not the one that the portal knows",
        ]


class TestEvents:
    def test_those_that_are_not_delivered_yet_are_on_their_way(self, story, team):
        story.use(team, "9")
        assert compare(story, team).figures["event_credits"]["ours"] == "3.750001"
        story.deliver()
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["event_credits"]["lagos"] == "12.750001"

    def test_those_that_were_sent_and_not_noted_yet_are_on_their_way(self, story, team):
        story.use(team, "9")
        story.deliver()
        OutboxEvent.objects.filter(payload__credits="9").update(state="waiting", delivered_at=None)
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["event_credits"]["lagos"] == "3.750001"

    def test_reversals_count_below_zero(self, story, team):
        charge = make.charged(team, None, Decimal("10.5"))
        make.reversal(charge, "0.25")
        story.deliver()
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["event_credits"]["lagos"] == "14.000001"

    def test_one_that_lago_lost_is_named(self, story, team):
        lost = OutboxEvent.objects.order_by("pk")[1]
        OutboxEvent.objects.filter(pk=lost.pk).update(transaction_id="lost-1")
        books = compare(story, team)
        assert "Lago does not have 1 of the events that it took: lost-1" in whats(books)
        assert "Lago has 1 events on our subscription that the portal did not send" in whats(books)[1]

    def test_a_strange_one_is_named_and_counted(self, story, team):
        send(story, team, "strange-1", "7.5")
        send(story, team, "another-metric", code="api_call")
        send(story, team, "another-subscription", external_subscription_id="sub_other")
        books = compare(story, team)
        assert whats(books) == [
            "Lago has 1 events on our subscription that the portal did not send: strange-1"
        ]
        assert books.figures["event_credits"]["lagos"] == "11.250001"
        assert books.figures["events"] == {"ours": "3", "lagos": "4"}

    def test_other_credits_are_named(self, story, team):
        row = OutboxEvent.objects.earliest("pk")
        OutboxEvent.objects.filter(pk=row.pk).update(payload=row.payload | {"credits": "1.3"})
        books = compare(story, team)
        assert whats(books) == [f"Lago has other credits in 1 events than were sent: {row.transaction_id}"]
        assert books.figures["event_credits"]["ours"] == "3.800001"

    def test_all_pages_are_read(self, story, team):
        for number in range(3):
            story.use(team, *["0.010001"] * 70)
            story.deliver()
            assert compare(story, team).figures["events"] == {
                "ours": str(3 + 70 * (number + 1)),
                "lagos": str(3 + 70 * (number + 1)),
            }
        assert compare(story, team).figures["event_credits"]["lagos"] == "5.850211"

    def test_one_that_a_list_shows_twice_counts_once(self, story, team, monkeypatch):
        """As a ClickHouse store may, whose events have no id of their own."""
        original = usage.events.of_subscription

        def twice(*given, **times):
            found = list(original(*given, **times))
            return [one | {"lago_id": None} for one in found + found]

        monkeypatch.setattr(usage.events, "of_subscription", twice)
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["events"] == {"ours": "3", "lagos": "3"}

    def test_what_is_old_and_agrees_is_not_read_again(self, story, team):
        story.lago.advance(20 * DAY)
        with make.later("20 days"):
            story.use(team, "100")
        story.deliver()
        first = compare(story, team)
        assert first.differences == []
        [(in_month, kept)] = first.figures["event_credits"]["kept"]["months"].items()
        assert (in_month, *kept) == (f"{timezone.now():%Y-%m}", 3, "3.750001")
        by_month = {
            name: one["event_credits"]["lagos"]
            for name, one in first.months.items()
            if "event_credits" in one
        }
        assert by_month[in_month] in {"3.750001", "103.750001"}
        assert sum(map(Decimal, by_month.values())) == Decimal("103.750001")
        for event in OutboxEvent.objects.order_by("pk")[:3]:
            OutboxEvent.objects.filter(pk=event.pk).update(transaction_id=f"gone-{event.pk}")
        again = compare(story, team)
        assert again.differences == []
        assert again.figures["event_credits"]["lagos"] == "103.750001"
        assert again.figures["events"] == {"ours": "4", "lagos": "4"}

    def test_what_is_old_and_differs_is_read_until_it_agrees(self, story, team):
        row = OutboxEvent.objects.earliest("pk")
        OutboxEvent.objects.filter(pk=row.pk).update(transaction_id="lost")
        story.lago.advance(20 * DAY)
        for _ in range(2):
            assert len(compare(story, team).differences) == 2
        OutboxEvent.objects.filter(pk=row.pk).update(transaction_id=row.transaction_id)
        assert compare(story, team).differences == []

    def test_what_waits_is_not_passed_over(self, story, team):
        story.use(team, "5")
        OutboxEvent.objects.filter(payload__credits="5").update(state="dead")
        story.lago.advance(20 * DAY)
        assert compare(story, team).figures["event_credits"]["kept"]["months"] == {}
        OutboxEvent.objects.filter(state="dead").update(state="waiting")
        story.deliver()
        books = compare(story, team)
        assert books.differences == []
        assert books.figures["event_credits"]["lagos"] == "8.750001"

    def test_a_busy_organization_is_compared_up_to_a_time_that_is_named(self, story, team, monkeypatch):
        monkeypatch.setattr(usage, "READ_AT_MOST", 1)
        monkeypatch.setattr(slices, "IN_A_SLICE", 1)
        story.lago.advance(2 * DAY)
        with make.later("2 days"):
            story.use(team, "1000")
        story.deliver()
        figure = compare(story, team).figures["event_credits"]
        assert (figure["ours"], figure["lagos"]) == ("3.750001", "3.750001")
        assert figure["until"] < story.now().isoformat()


class TestDue:
    def test_who_was_compared_longest_ago_comes_first_and_who_is_not_at_lago_never(self, story, team):
        new = story.team()
        orgs.team("Not at Lago")
        at = story.now()
        assert set(identity.due(now=at)) == {team, new}
        compare(story, team)
        assert identity.due(now=at) == [new]
        assert identity.due(now=at + timedelta(hours=2)) == [new, team]
        assert identity.compare_due(now=at) == 1
        assert identity.due(now=at) == []

    def test_one_that_lago_refuses_stops_no_other(self, story, team):
        other = story.team()
        story.lago.api("DELETE", f"customers/{team.public_id}")
        story.lago.drain()
        identity.compare_due(now=story.now())
        assert [one.organization for one in Identity.objects.all()] == [other]

    def test_a_lago_that_is_away_ends_the_run(self, story, team, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        assert identity.compare_due(now=timezone.now()) == 0

    def test_the_list_shows_those_with_differences_first(self, story, team):
        compare(story, team)
        other = story.team()
        send(story, other, "strange")
        compare(story, other)
        assert [one.organization for one in identity.all_latest()] == [other, team]

    def test_who_is_not_at_lago_cannot_be_compared(self, db):
        with pytest.raises(NotFound):
            identity.compare(organization=orgs.team(), now=timezone.now())


class TestPoll:
    def test_finds_a_payment_that_no_webhook_told(self, story):
        team = story.team()
        purchase = story.advance(story.order(team))
        story.lago.pay(str(purchase.invoice_id))
        story.lago.drain()
        Purchase.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        assert polling.poll(now=timezone.now()).purchases == 1
        purchase.refresh_from_db()
        assert purchase.status == Purchase.Status.COMPLETED

    def test_finds_a_renewal_that_no_webhook_told(self, story):
        team = story.team()
        before = plans.live(organization=team)
        assert polling.poll(now=before.synced_at).subscriptions == 0
        story.lago.advance(32 * DAY)
        assert polling.poll(now=story.now()).subscriptions == 1
        assert plans.live(organization=team).period_start > before.period_start

    def test_looks_at_a_bounded_number_those_seen_longest_ago_first(self, story, monkeypatch):
        monkeypatch.setattr(polling, "AT_ONCE", 1)
        teams = [story.team(), story.team()]
        at = story.now() + timedelta(hours=1)
        for number, _ in enumerate(teams, start=1):
            assert polling.poll(now=at).subscriptions == 1
            assert LagoSubscription.objects.filter(synced_at__gte=at).count() == number
        assert polling.poll(now=at).subscriptions == 0

    def test_one_that_lago_refuses_lets_the_others_go_first(self, story, monkeypatch):
        monkeypatch.setattr(polling, "AT_ONCE", 1)
        gone, other = story.team(), story.team()
        story.lago.api("DELETE", f"customers/{gone.public_id}")
        story.lago.drain()
        at = story.now() + timedelta(hours=1)
        polling.poll(now=at)
        polling.poll(now=at)
        assert LagoSubscription.objects.get(organization=other).synced_at >= at

    def test_where_lago_is_away_it_ends(self, story, settings):
        story.team()
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        assert polling.poll(now=timezone.now() + timedelta(hours=1)).subscriptions == 0


def test_the_tasks_do_each_one_thing(story):
    from lago_sync import tasks

    team = story.team()
    assert tasks.check_health() == "healthy"
    assert HealthCheck.objects.exists()
    assert tasks.compare_books() == 1
    assert Identity.objects.get().organization == team
    assert tasks.poll() == 0
