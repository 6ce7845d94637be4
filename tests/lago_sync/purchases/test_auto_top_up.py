"""Auto top-up: judged on the pool, charged to the stored card, never two at once, never beyond its caps."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from kit.errors import Conflict, ValidationError
from lago_sync import tasks
from lago_sync.customers import methods
from lago_sync.models import AutoTopUp, Package, PaymentMethod, Purchase
from lago_sync.purchases import abandoning, advancing, auto_orders, auto_top_ups, disputes
from lago_sync.purchases.auto_top_ups import Terms
from orgs import organizations
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from orgs.notices.models import Notice
from tests.factories import credits as books
from tests.lago_sync.purchases.story import BUYER, store_card

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def terms(**changes):
    return Terms(
        **{
            "is_on": True,
            "threshold": Decimal(500),
            "package_code": "credits-5000",
            "credits": None,
            "day_cap_cents": 9000,
            "month_cap_cents": 20_000,
        }
        | changes
    )


def configure(organization, **changes):
    with transaction.atomic():
        return auto_top_ups.configure(
            organization=organization, terms=terms(**changes), by=BUYER, now=timezone.now()
        )


def card(organization):
    """Note a stored card, as the mirror would."""
    return PaymentMethod.objects.create(
        lago_id="4cf085a7-c196-4f07-a543-97c50ec6e8b2",
        organization=organization,
        kind="card",
        is_default=True,
        synced_at=timezone.now(),
    )


def place(organization, now=NOON):
    with transaction.atomic():
        return auto_orders.place(organization=organization, now=now)


def ended(purchase, status="failed"):
    Purchase.objects.filter(pk=purchase.pk).update(status=status)


def paid(purchase):
    """Let a purchase be completed, as far as the caps look."""
    at_lago = {name: uuid4() for name in ("grant_id", "wallet_id", "wallet_transaction_id", "invoice_id")}
    Purchase.objects.filter(pk=purchase.pk).update(status="completed", completed_at=NOON, **at_lago)


@pytest.fixture
def team(settings):
    settings.LAGO_PAYMENT_PROVIDER = "stripe"
    made = books.team(0)
    card(made)
    configure(made)
    return made


class TestAtLago:
    @pytest.fixture
    def stocked(self, shop):
        """Return the shop with a card stored on the sandbox's page, and auto top-up on."""
        page = methods.page_to_store(organization=shop.organization, now=timezone.now())
        store_card(page)
        methods.refresh(organization=shop.organization, now=timezone.now())
        configure(shop.organization)
        return shop

    def run(self, shop):
        [purchase_id] = auto_orders.place_due(now=timezone.now())
        purchase = Purchase.objects.get(pk=purchase_id)
        for _ in range(3):
            purchase = shop.advance(purchase)
        return purchase

    def test_the_stored_card_is_charged_and_the_credits_come_with_nobody_there(self, stocked):
        purchase = self.run(stocked)
        assert (purchase.status, purchase.made_by, purchase.is_automatic) == ("completed", "portal", True)
        assert stocked.granted() == [5000]
        assert list(auto_orders.place_due(now=timezone.now())) == []  # the pool is full
        assert books.pool(stocked.organization).available == 5000

    def test_a_declined_payment_stops_it_and_tells_the_owners(self, stocked):
        stocked.lago.settings(card_outcome="failed")
        purchase = self.run(stocked)
        assert purchase.status == "declined"
        row = AutoTopUp.objects.get()
        assert (row.is_on, row.stopped_because) == (False, "The payment was declined.")
        owner = stocked.organization.memberships.get(role="owner").user
        assert Notice.objects.filter(user=owner, kind="auto_top_up").count() == 1
        assert AuditEvent.objects.filter(action="auto_top_up.stopped").count() == 1
        assert list(auto_orders.place_due(now=timezone.now())) == []
        stocked.pay(purchase.invoice_id)  # by hand; it stays stopped
        assert stocked.advance(purchase).status == "completed"
        assert not AutoTopUp.objects.get().is_on

    def test_an_order_that_lago_refuses_stops_it(self, stocked):
        stocked.lago.faults({"method": "POST", "path": "wallet_transactions", "times": 1, "status": 422, "body": '{"status":422,"code":"validation_errors","error_details":{"paid_credits":["invalid_amount"]}}'})  # fmt: skip
        assert self.run(stocked).status == "failed"
        assert AutoTopUp.objects.get().stopped_because == "The billing system refused the order."

    def test_a_refused_order_that_lago_has_all_the_same_is_voided_beside_the_next_one(self, shop):
        card(shop.organization)  # here only: the sandbox charges none
        configure(shop.organization)
        shop.advance(shop.order(key="makes the wallet"))
        refused = place(shop.organization, timezone.now())
        ended(refused)
        next_one = shop.advance(place(shop.organization, timezone.now()))
        top_up = shop.top_up(refused)
        assert shop.advance(refused).status == "failed"
        assert shop.invoice(top_up)["status"] == "voided"
        assert shop.advance(next_one).status == "awaiting_payment"


class TestOrdering:
    def test_waits_for_a_low_pool_a_card_a_provider_and_the_order_before(self, team, settings):
        books.grant(team, 500)
        assert place(team) is None  # not below
        books.charged(team, team.memberships.get(role="owner").user, "0.000001")
        PaymentMethod.objects.update(is_default=False)
        assert place(team) is None
        PaymentMethod.objects.update(is_default=True)
        settings.LAGO_PAYMENT_PROVIDER = ""
        assert place(team) is None  # nobody would charge the card
        settings.LAGO_PAYMENT_PROVIDER = "stripe"
        first = place(team)
        assert (first.is_automatic, first.credits, first.amount_cents) == (True, 5000, 4500)
        assert place(team) is None
        for status in ("failed", "abandoned"):
            ended(Purchase.objects.latest("pk"), status)
            assert place(team) is not None

    def test_a_database_that_is_asked_past_the_verbs_keeps_one_open(self, team):
        place(team)
        other = Purchase.objects.get()
        other.pk, other.idempotency_key = uuid4(), "other"
        with pytest.raises(IntegrityError, match="one_open_automatic"), transaction.atomic():
            other.save(force_insert=True)

    def test_counts_its_caps_in_the_organizations_own_days_and_months(self, team):
        Organization.objects.filter(pk=team.pk).update(time_zone="Pacific/Auckland")  # 13 hours ahead
        configure(team, day_cap_cents=4500, month_cap_cents=9000)
        evening = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)  # 23:30 of the 29th there
        paid(place(team, evening))
        assert place(team, evening + timedelta(minutes=29)) is None
        owner = team.memberships.get(role="owner").user
        assert place(team, evening + timedelta(minutes=20)) is None
        assert Notice.objects.filter(user=owner, kind="auto_top_up").count() == 1  # once a day
        paid(place(team, evening + timedelta(minutes=30)))
        next_day = evening + timedelta(days=1, minutes=15)
        assert place(team, next_day) is None  # the month's cap
        assert Notice.objects.filter(user=owner, kind="auto_top_up").count() == 2
        assert place(team, next_day + timedelta(minutes=15)) is not None  # 1 December there

    def test_stops_where_what_it_bought_is_no_longer_offered(self, team):
        Package.objects.filter(code="credits-5000").update(is_active=False)
        assert place(team) is None
        assert AutoTopUp.objects.get().stopped_because == "What it bought is no longer offered."

    def test_waits_while_the_organization_is_suspended_and_stops_no_other(self, team):
        other = books.team(0)
        PaymentMethod.objects.create(lago_id="4cf085a7-c196-4f07-a543-97c50ec6e8b3", organization=other, is_default=True, synced_at=NOON)  # fmt: skip
        configure(other)
        with transaction.atomic():
            organizations.suspend(organization=team, reason="test", by=SYSTEM)
        assert tasks.top_up_low_pools() == 1
        assert Purchase.objects.get().organization == other
        assert AutoTopUp.objects.get(organization=team).is_on

    def test_giving_its_order_up_stops_it(self, team):
        purchase = place(team)
        with transaction.atomic():
            abandoning.give_up(purchase=purchase, by=BUYER, now=NOON)
        assert not AutoTopUp.objects.get().is_on
        assert advancing._read(purchase.pk).abandoning_since == NOON


class TestSettings:
    def test_are_audited_and_turning_it_on_forgets_why_it_stopped(self, team):
        with transaction.atomic():
            auto_top_ups.stop(organization=team, because="The payment was declined.", subject="1", now=NOON)
        row = configure(team, threshold=Decimal(700))
        assert (row.is_on, row.stopped_at, row.stopped_because) == (True, None, "")
        event = AuditEvent.objects.filter(action="auto_top_up.set").latest("sequence")
        assert (event.before["threshold"], event.after["threshold"]) == ("500", "700")
        with transaction.atomic():
            auto_top_ups.turn_off(organization=team, by=BUYER, now=NOON)
        with pytest.raises(Conflict, match="is off"), transaction.atomic():
            auto_top_ups.turn_off(organization=team, by=BUYER, now=NOON)

    def test_that_could_never_buy_are_refused(self, team):
        for wrong, field in (
            ({"package_code": "none"}, "package_code"),
            ({"credits": Decimal(500)}, "package_code"),
            ({"package_code": None}, "package_code"),
            ({"package_code": None, "credits": Decimal(99)}, "credits"),
            ({"day_cap_cents": 4499}, "day_cap_cents"),
            ({"month_cap_cents": 8999}, "month_cap_cents"),
            ({"threshold": Decimal(-1)}, "threshold"),
        ):
            with pytest.raises(ValidationError) as refused, transaction.atomic():
                configure(team, **wrong)
            assert field in refused.value.details, wrong
        assert configure(team, package_code=None, credits=Decimal(1000)).credits == 1000

    def test_without_a_stored_card_it_is_saved_but_not_turned_on(self, team):
        PaymentMethod.objects.all().delete()
        with pytest.raises(Conflict, match="stored card"), transaction.atomic():
            configure(team)
        assert not configure(team, is_on=False).is_on


def test_a_lost_dispute_stops_it_before_the_disputed_card_is_charged_again(shop):
    card(shop.organization)
    configure(shop.organization)
    with transaction.atomic():
        purchase = auto_orders.place(organization=shop.organization, now=timezone.now())
    purchase = shop.advance(shop.advance(purchase))
    shop.pay(purchase.invoice_id)
    assert shop.advance(purchase).status == "completed"
    shop.lago.api("POST", f"invoices/{purchase.invoice_id}/lose_dispute")
    shop.lago.drain()
    assert disputes.look(purchase_id=purchase.pk, now=timezone.now())
    row = AutoTopUp.objects.get()
    assert (row.is_on, row.stopped_because) == (False, "A payment was disputed and lost.")
    assert list(auto_orders.place_due(now=timezone.now())) == []
