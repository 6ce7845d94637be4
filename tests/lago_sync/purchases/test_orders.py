"""An order is one row: priced by us, once per key, refused before it is made."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from credits.ledger.standing import OrganizationSuspended
from kit.errors import Conflict, InvalidRequest, NotFound, ValidationError
from lago_sync.errors import PurchasesStopped
from lago_sync.models import HealthCheck, Package, Purchase
from lago_sync.purchases import orders
from lago_sync.purchases.orders import Order
from orgs import organizations
from orgs.access.idempotency import IdempotencyConflict
from orgs.audit.events import SYSTEM, Actor
from orgs.audit.models import AuditEvent
from orgs.models import Organization
from tests.concurrency.racing import race
from tests.factories import orgs as make
from tests.lago_sync.purchases.story import BUYER, PACKAGE, custom, ordered


@pytest.fixture
def team(db):
    return make.team()


def stopped(what="A plan charges credits_used.", organization=""):
    problem = {"what": what, "do": "Look.", "stops_purchases": True, "organization": organization}
    HealthCheck.objects.update_or_create(
        pk=1, defaults={"checked_at": timezone.now(), "status": "unhealthy", "problems": [problem]}
    )


class TestOne:
    def test_is_recorded_with_our_price_before_anything_is_asked(self, team):
        purchase = ordered(team)
        found = Purchase.objects.get()
        assert found == purchase
        assert (found.credits, found.amount_cents, found.currency) == (5000, 4500, "USD")
        assert (found.status, found.made_by, found.package.code) == ("pending", "usr_buyer", "credits-5000")
        assert (found.attempts, found.leased_until, found.wallet_transaction_id) == (0, None, None)
        [event] = AuditEvent.objects.filter(action="credits.purchase_ordered")
        assert (event.target, event.actor, event.organization) == (found.key, "usr_buyer", team.public_id)
        assert event.after == {"credits": "5000", "amount_cents": 4500, "currency": "USD"}

    def test_of_a_custom_amount_has_no_package(self, team):
        purchase = ordered(team, custom("12345"))
        assert (purchase.package, purchase.credits, purchase.amount_cents) == (None, 12345, 9876)

    def test_keeps_its_price_when_the_package_changes(self, team):
        purchase = ordered(team)
        Package.objects.filter(code="credits-5000").update(amount_cents=9900)
        assert ordered(team).amount_cents == 4500
        assert ordered(team, key="another click").amount_cents == 9900
        assert Purchase.objects.get(pk=purchase.pk).amount_cents == 4500

    def test_is_found_in_its_organization_only(self, team):
        purchase, other = ordered(team), ordered(make.team())
        assert orders.find(organization=team, purchase_id=purchase.pk) == purchase
        assert orders.find(organization=team, purchase_id=other.pk) is None
        assert list(orders.of_organization(organization=team)) == [purchase]

    def test_the_newest_of_a_buyer_since_a_time_is_found(self, team):
        ordered(team)
        newest, now = ordered(team, key="later"), timezone.now()
        assert orders.newest_of(made_by="usr_buyer", since=now - timedelta(hours=1)) == newest
        assert orders.newest_of(made_by="usr_buyer", since=now + timedelta(hours=1)) is None
        assert orders.newest_of(made_by="usr_other", since=now - timedelta(hours=1)) is None


class TestKeys:
    def test_the_same_order_under_the_same_key_is_the_first_one(self, team):
        with transaction.atomic():
            given = {"organization": team, "order": PACKAGE, "idempotency_key": "k", "by": BUYER}
            first, is_new = orders.place(**given, now=timezone.now())
            again, is_new_again = orders.place(**given, now=timezone.now() + timedelta(days=400))
        assert (first, is_new, is_new_again) == (again, True, False)
        assert AuditEvent.objects.filter(action="credits.purchase_ordered").count() == 1

    def test_an_amount_is_the_same_however_it_is_written(self, team):
        assert ordered(team, custom("1000")) == ordered(team, custom("1000.000000"))

    @pytest.mark.parametrize(
        "other",
        [
            custom("5000"),
            Order("credits-1000", None),
            replace(PACKAGE, return_url="/orgs/acme/"),
        ],
    )
    def test_another_order_under_the_key_is_a_conflict(self, team, other):
        ordered(team)
        with pytest.raises(IdempotencyConflict):
            ordered(team, other)
        assert Purchase.objects.count() == 1

    def test_a_key_is_one_buyers_in_one_organization(self, team):
        ordered(team)
        ordered(make.team())
        with transaction.atomic():
            orders.place(
                organization=team,
                order=PACKAGE,
                idempotency_key="a click",
                by=Actor(kind="user", public_id="usr_other"),
                now=timezone.now(),
            )
        assert Purchase.objects.count() == 3

    @pytest.mark.parametrize("key", ["", " ", "k" * 129, "a\nb", "é"])
    def test_what_is_no_key_is_refused(self, team, key):
        with pytest.raises(InvalidRequest):
            ordered(team, key=key)

    def test_a_repeat_is_answered_though_buying_was_stopped_and_the_package_is_gone(self, team):
        purchase = ordered(team)
        stopped()
        Package.objects.update(is_active=False)
        Organization.objects.filter(pk=team.pk).update(status="suspended")
        assert ordered(team) == purchase


class TestRefusals:
    @pytest.mark.parametrize(
        ("order", "field"),
        [
            (Order(None, None), "package_code"),
            (Order("credits-1000", Decimal(1000)), "package_code"),
            (Order("unknown", None), "package_code"),
            (custom("99"), "credits"),
            (custom("5001"), "credits"),
            (replace(PACKAGE, return_url="https://evil.example/"), "return_url"),
            (replace(PACKAGE, return_url="//evil.example/"), "return_url"),
            (replace(PACKAGE, return_url="javascript:alert(1)"), "return_url"),
            (replace(PACKAGE, return_url="http://testserver.evil.example/"), "return_url"),
            (replace(PACKAGE, return_url="/" + "x" * 500), "return_url"),
        ],
    )
    def test_what_cannot_be_bought_makes_no_row(self, team, order, field):
        with pytest.raises(ValidationError) as refused:
            ordered(team, order)
        assert set(refused.value.details) == {field}
        assert not Purchase.objects.exists()

    @pytest.mark.parametrize("url", ["http://testserver/orgs/acme/", "/orgs/acme/"])
    def test_an_address_of_ours_to_come_back_to_is_kept(self, team, url):
        assert ordered(team, replace(PACKAGE, return_url=url)).return_url == url

    def test_a_package_of_another_currency_or_not_active_is_not_offered(self, team):
        Package.objects.create(code="eur", name="E", credits=500, amount_cents=450, currency="EUR")
        Package.objects.filter(code="credits-1000").update(is_active=False)
        for code in ("eur", "credits-1000"):
            with pytest.raises(ValidationError):
                ordered(team, Order(code, None))

    def test_while_credits_would_be_billed_twice_nothing_is_bought(self, team):
        stopped()
        with pytest.raises(PurchasesStopped):
            ordered(team)
        assert not Purchase.objects.exists()

    def test_what_stops_one_organization_stops_no_other(self, team):
        stopped(organization=team.public_id)
        with pytest.raises(PurchasesStopped):
            ordered(team)
        assert ordered(make.team())

    def test_a_suspended_organization_does_not_buy_nor_one_that_is_archived(self, team):
        for verb, error in (
            (organizations.suspend, OrganizationSuspended),
            (organizations.archive, NotFound),
        ):
            other = make.team()
            with transaction.atomic():
                verb(
                    organization=other,
                    by=SYSTEM,
                    **({"reason": "x"} if verb is organizations.suspend else {}),
                )
            with pytest.raises(error):
                ordered(other)
        assert not Purchase.objects.exists()


class TestFlags:
    def test_are_listed_and_taken_away_by_somebody(self, team):
        purchase, other = ordered(team), ordered(team, key="other")
        Purchase.objects.filter(pk=purchase.pk).update(drift="it was paid twice")
        assert list(orders.flagged()) == [purchase]
        with transaction.atomic():
            orders.unflag(purchase=purchase, by=BUYER)
        assert not orders.flagged().exists()
        assert AuditEvent.objects.get(action="credits.purchase_unflagged").before == {
            "why": "it was paid twice"
        }
        with pytest.raises(Conflict), transaction.atomic():
            orders.unflag(purchase=other, by=BUYER)


@pytest.mark.django_db(transaction=True)
@pytest.mark.concurrency
class TestAtOnce:
    def test_a_double_click_is_one_purchase_and_two_keys_are_two(self):
        team = make.team()
        outcomes = race([lambda: ordered(team)] * 8)
        assert {one.pk for one in outcomes} == {Purchase.objects.get().pk}
        assert AuditEvent.objects.filter(action="credits.purchase_ordered").count() == 1
        race([lambda key=key: ordered(team, key=key) for key in ("one", "two")])
        assert Purchase.objects.count() == 3

    def test_of_two_orders_under_one_key_at_once_one_is_refused(self):
        team = make.team()
        outcomes = race([lambda order=order: ordered(team, order) for order in (PACKAGE, custom("1000")) * 4])
        kinds = {type(one) for one in outcomes}
        assert kinds == {Purchase, IdempotencyConflict}
        assert Purchase.objects.count() == 1

    def test_outside_a_transaction_nothing_is_placed(self):
        with pytest.raises(transaction.TransactionManagementError):
            orders.place(
                organization=make.team(),
                order=PACKAGE,
                idempotency_key="k",
                by=BUYER,
                now=timezone.now(),
            )
