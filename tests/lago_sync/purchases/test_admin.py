"""Staff in the admin: packages are edited and each edit is in the audit log; purchases are seen, looked at, unflagged."""

from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lago_sync import tasks
from lago_sync.models import Package, Purchase, Refund
from orgs.audit.models import AuditEvent
from tests.factories import credits as books
from tests.factories import orgs
from tests.lago_sync.purchases.story import custom, ordered

pytestmark = pytest.mark.django_db
PURCHASES = "/admin/lago_sync/purchase/"


@pytest.fixture
def staff():
    client = Client()
    client.force_login(orgs.system_admin())
    return client


@pytest.fixture
def purchase():
    return ordered(orgs.team())


def act(client, action, *rows):
    answer = client.post(PURCHASES, {"action": action, "_selected_action": [str(one.pk) for one in rows]})
    return [str(one) for one in get_messages(answer.wsgi_request)]


class TestPackages:
    def test_a_price_is_changed_and_audited_and_code_and_currency_stay(self, staff):
        package = Package.objects.get(code="credits-5000")
        form = {"name": "5,000 credits", "credits": "5000", "amount_cents": "4000", "is_active": "on"}
        changed = staff.post(
            reverse("admin:lago_sync_package_change", args=[package.pk]),
            form | {"code": "other", "currency": "EUR"},
        )
        assert changed.status_code == 302
        package.refresh_from_db()
        assert (package.amount_cents, package.code, package.currency) == (4000, "credits-5000", "USD")
        event = AuditEvent.objects.get(action="package.changed")
        assert (event.target, event.before, event.after) == (
            "credits-5000",
            {"amount_cents": 4500},
            {"amount_cents": 4000},
        )

    def test_one_is_added_in_another_currency_and_none_is_deleted(self, staff):
        form = {
            "code": "eur",
            "name": "E",
            "credits": "500",
            "amount_cents": "450",
            "currency": "EUR",
            "is_active": "on",
        }
        assert staff.post(reverse("admin:lago_sync_package_add"), form).status_code == 302
        made = Package.objects.get(code="eur")
        assert AuditEvent.objects.get(action="package.added").target == "eur"
        assert staff.post(reverse("admin:lago_sync_package_delete", args=[made.pk])).status_code == 403

    def test_two_of_one_size_in_a_currency_are_refused_in_the_form(self, staff):
        form = {
            "code": "twin",
            "name": "T",
            "credits": "5000",
            "amount_cents": "1",
            "currency": "USD",
            "is_active": "on",
        }
        assert staff.post(reverse("admin:lago_sync_package_add"), form).status_code == 200
        assert not Package.objects.filter(code="twin").exists()


class TestPurchases:
    def test_are_listed_searched_and_shown_but_not_changed(self, staff, purchase):
        other = ordered(orgs.team(), custom("1000"))
        listed = staff.get(PURCHASES, {"q": purchase.organization.public_id}).content.decode()
        assert str(purchase.pk) in listed
        assert str(other.pk) not in listed
        assert [f">{shown}<" in listed for shown in ("5,000", "$45.00", purchase.organization)] == [True] * 3
        page = reverse("admin:lago_sync_purchase_change", args=[purchase.pk])
        assert staff.get(page).status_code == 200
        assert staff.post(page, {"status": "completed"}).status_code == 403
        assert Purchase.objects.get(pk=purchase.pk).status == "pending"

    @pytest.mark.parametrize("term", ["", "\x00", "'", "%", "x" * 300])
    def test_are_searched_by_anything(self, staff, purchase, term):
        assert staff.get(PURCHASES, {"q": term}).status_code == 200

    def test_lago_is_asked_about_the_chosen_ones(self, staff, purchase, monkeypatch):
        asked = []
        monkeypatch.setattr(tasks, "enqueue_advance", asked.append)
        assert act(staff, "look_at_lago", purchase) == ["Lago is being asked about 1."]
        assert asked == [purchase.pk]

    def test_a_flag_is_taken_away_by_somebody(self, staff, purchase):
        Purchase.objects.update(drift="it was paid twice")
        assert act(staff, "take_flag_away", purchase) == ["Done for 1."]
        assert Purchase.objects.get().drift == ""
        event = AuditEvent.objects.get(action="credits.purchase_unflagged")
        assert (event.actor_kind, event.target) == ("system_admin", purchase.key)
        assert "not flagged" in act(staff, "take_flag_away", purchase)[-1]

    def test_are_for_staff_only(self, purchase):
        client = Client()
        client.force_login(orgs.user())
        assert client.get(PURCHASES).status_code == 302


class TestActs:
    """Marking as paid and refunding: asked for on a page of their own, with reference and reason."""

    @pytest.fixture
    def told(self, monkeypatch):
        found = []
        monkeypatch.setattr(tasks, "enqueue_advance", found.append)
        monkeypatch.setattr(tasks, "enqueue_refunds", lambda: found.append("refunds"))
        return found

    def test_one_is_marked_as_paid_and_lago_is_told(
        self, staff, purchase, told, settings, django_capture_on_commit_callbacks
    ):
        settings.LAGO_PAYMENT_PROVIDER = "stripe"
        Purchase.objects.update(status="awaiting_payment", wallet_transaction_id=uuid4(), wallet_id=uuid4())
        rows = {"action": "mark_paid", "_selected_action": [str(purchase.pk)]}
        asked = staff.post(PURCHASES, rows)
        assert "Mark purchases as paid" in asked.content.decode()
        assert "$45.00" in asked.content.decode()
        given = rows | {"apply": "1", "reference": "SEPA 1", "reason": "transfer"}
        assert staff.post(PURCHASES, given | {"reference": ""}).status_code == 422
        beside = staff.post(PURCHASES, given)
        assert "payment provider" in str(list(get_messages(beside.wsgi_request))[-1])
        assert Purchase.objects.get().marked_paid_by == ""
        with django_capture_on_commit_callbacks(execute=True):
            staff.post(PURCHASES, given | {"beside_provider": "on"})
        kept = Purchase.objects.get()
        assert (kept.payment_reference, kept.marked_paid_because) == ("SEPA 1", "transfer")
        assert told == [purchase.pk]

    def test_one_is_refunded_once_and_listed(self, staff, purchase, told, django_capture_on_commit_callbacks):
        granted = books.grant(
            purchase.organization, purchase.credits, source="purchase", reference=purchase.key
        )
        at_lago = {name: uuid4() for name in ("wallet_transaction_id", "wallet_id", "invoice_id")}
        Purchase.objects.update(
            status="completed", grant_id=granted.pk, completed_at=timezone.now(), **at_lago
        )
        given = {
            "action": "refund", "_selected_action": [str(purchase.pk)], "apply": "1", "credits": "1,000",
            "reference": "re_1", "reason": "mistake",
        }  # fmt: skip
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(2):
                staff.post(PURCHASES, given)
        made = Refund.objects.get()
        assert (made.credits, made.amount_cents, made.withdrawn) == (1000, 900, 1000)
        assert told == ["refunds", "refunds"]
        assert "re_1" in staff.get("/admin/lago_sync/refund/").content.decode()
