"""The mirror of invoices: what Lago has stands here, whoever looks in whatever order, and it answers while Lago is away."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from lago_sync.errors import LagoUnavailable
from lago_sync.invoices import contents, listing, mirror
from lago_sync.invoices.listing import Asked, State
from lago_sync.models import LagoCustomer, LagoInvoice
from tests.factories import orgs
from tests.lago_sync.inbox import story as inbox
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.invoices.story import mirrored, uuid_of
from tests.lago_sync.purchases.story import Shop

pytestmark = pytest.mark.django_db
DAY = 86_400
SHOW = "/api/v1/invoices/<id>"


def asked(billed):
    return billed.lago.requested("GET", SHOW)


class TestRefresh:
    def test_brings_invoices_with_their_fees_and_then_only_what_changed(self, billed):
        assert len(billed.refresh().changed) == 1
        row = billed.first
        assert (row.invoice_type, row.status, row.payment_status) == ("subscription", "finalized", "pending")
        assert (row.total_amount_cents, row.total_due_amount_cents, row.currency) == (4900, 4900, "USD")
        [line] = contents.plan_lines(row)
        assert (line.name, line.amount_cents) == ("Professional", 4900)
        assert (line.last_day - line.first_day).days in {27, 28, 29, 30}
        assert asked(billed) == 1
        assert billed.refresh().changed == ()
        assert asked(billed) == 1, "an invoice that did not change was fetched again"
        billed.pay(row.pk)
        assert billed.refresh().changed == (row.pk,)
        row = billed.first
        assert (row.payment_status, row.total_due_amount_cents) == ("succeeded", 0)
        assert (
            billed.now()
            >= listing.as_of(organization=billed.organization)
            > billed.now() - timedelta(minutes=1)
        )

    def test_brings_the_credit_note_of_an_upgrade(self, billed):
        billed.pay(billed.at_lago()[0]["lago_id"])
        billed.lago.advance(10 * DAY)
        billed.change_plan("enterprise")
        billed.refresh()
        [note] = billed.notes()
        old, new = billed.rows()
        assert (note.invoice_id, note.reason) == (old.pk, "order_change")
        assert listing.credit_notes_of(old) == [note]
        assert sum(one.amount_cents for one in contents.credits(new)) == note.total_amount_cents > 0
        assert [one.name for one in contents.sums(new)] == ["Fees", f"Credit note {note.number}"]
        assert sum(one.amount_cents for one in contents.sums(new)) == new.total_amount_cents

    def test_asks_nobody_about_an_organization_that_is_not_at_lago(self, db, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        assert mirror.refresh(organization=orgs.team(), now=timezone.now()) == mirror.Mirrored()

    def test_lets_an_odd_invoice_stop_no_other(self, billed, caplog):
        billed.pay(billed.at_lago()[0]["lago_id"])
        billed.lago.advance(5 * DAY)
        billed.change_plan("enterprise")
        billed.lago.faults(
            {
                "method": "GET",
                "path": "/invoices/[0-9a-f-]{36}$",
                "status": 200,
                "body": '{"invoice": {"number": 7}}',
            }
        )
        assert len(billed.refresh().changed) == 1
        assert "is not mirrored" in caplog.text
        assert len(billed.refresh().changed) == 1
        assert len(billed.rows()) == 2

    def test_forgets_a_draft_that_lago_deleted_and_nothing_else(self, billed):
        draft = mirrored(
            billed.organization, "DRAFT", status="draft", synced_at=billed.now() - timedelta(hours=1)
        )
        final = mirrored(billed.organization, "GONE", synced_at=billed.now() - timedelta(hours=1))
        billed.refresh()
        assert not LagoInvoice.objects.filter(pk=draft.pk).exists()
        assert LagoInvoice.objects.filter(pk=final.pk).exists()


class TestOneInvoice:
    def test_of_nobody_here_is_left_out(self, billed):
        [one] = billed.at_lago()
        stranger = {"external_id": "org_elsewhere", "name": "Elsewhere", "currency": "USD"}
        billed.lago.api("POST", "customers", json={"customer": stranger})
        fields = {"external_customer_id": "org_elsewhere", "external_id": "sub_x", "plan_code": "starter"}
        billed.lago.api("POST", "subscriptions", json={"subscription": fields})
        billed.lago.drain()
        theirs = billed.lago.api("GET", "customers/org_elsewhere/invoices").json()["invoices"][0]
        assert mirror.refresh_one(invoice_id=uuid_of(theirs), now=billed.now()) is None
        assert mirror.refresh_one(invoice_id=uuid4(), now=billed.now()) is None
        assert mirror.refresh_one(invoice_id=uuid_of(one), now=billed.now()).number == one["number"]
        assert [row.number for row in LagoInvoice.objects.all()] == [one["number"]]

    def test_an_older_look_never_overwrites_a_newer_one(self, billed):
        [one] = billed.at_lago()
        now = billed.now()
        mirror.refresh_one(invoice_id=uuid_of(one), now=now + timedelta(minutes=1))
        billed.pay(one["lago_id"])
        mirror.refresh_one(invoice_id=uuid_of(one), now=now)
        billed.refresh(at=now)
        assert billed.first.payment_status == "pending"
        mirror.refresh_one(invoice_id=uuid_of(one), now=now + timedelta(minutes=2))
        assert billed.first.payment_status == "succeeded"


class TestWebhooks:
    def test_in_any_order_and_any_number_end_in_what_lago_has(self, billed):
        """A plan's invoice, its payment, an upgrade with its credit note, a decline: each message says only "look"."""
        billed.lago.settings(webhook_wait_scale=0.0)
        [first] = billed.at_lago()
        billed.pay(first["lago_id"])
        billed.lago.advance(10 * DAY)
        billed.change_plan("enterprise")
        billed.lago.decline(billed.at_lago()[-1]["lago_id"])
        billed.lago.flush()
        sent = [one for one in billed.lago.dump()["delivery"] if one["body"]]
        kinds = {one["webhook_type"] for one in sent}
        bodies = [
            one["body"].encode()
            for one in sent
            if one["webhook_type"].startswith(("invoice.", "credit_note."))
        ]
        assert {"invoice.created", "credit_note.created", "invoice.payment_failure"} <= kinds
        ends = set()
        for seed in range(2):
            LagoInvoice.objects.all().delete()
            billed.organization.lago_credit_notes.all().delete()
            order = [*bodies, *bodies[:4]]
            random.Random(seed).shuffle(order)
            for body in order:
                inbox.heard(body)
            seen = [
                (row.number, row.status, row.payment_status, row.total_due_amount_cents)
                for row in billed.rows()
            ]
            ends.add((*seen, *(note.number for note in billed.notes())))
        assert len(ends) == 1, ends
        [end] = ends
        assert len(end) == 3, end

    def test_about_strangers_are_ignored_without_asking_lago(self, db, settings):
        settings.LAGO_API_URL = "http://127.0.0.1:9"
        strange = {"lago_id": str(uuid4()), "customer": {"external_id": "org_elsewhere"}}
        assert inbox.heard(message("invoice.created", invoice=strange)).state == "ignored"
        assert (
            inbox.heard(message("credit_note.created", credit_note={"lago_invoice_id": str(uuid4())})).state
            == "ignored"
        )

    def test_of_an_invoice_that_used_a_credit_note_brings_the_note_too(self, billed):
        billed.refresh()
        billed.pay(billed.first.pk)
        billed.change_plan("enterprise")
        assert billed.notes() == []
        mirror.hear(invoice_ids=[uuid_of(billed.at_lago()[-1])], has_note=False, now=billed.now())
        assert [note.balance_amount_cents for note in billed.notes()] == [0]


class TestOverdue:
    def test_are_final_unpaid_invoices_of_plans_past_their_day(self, db):
        team, now = orgs.team(), timezone.now()
        today = now.date()
        late = {"payment_due_date": today - timedelta(days=2)}
        worst = mirrored(team, "A", payment_due_date=today - timedelta(days=9))
        plain = mirrored(team, "B", **late)
        told = mirrored(team, "C", is_overdue=True)
        declined = mirrored(team, "D", payment_status="failed", **late)
        mirrored(team, "E", payment_status="succeeded", **late)
        mirrored(team, "F", status="voided", **late)
        mirrored(team, "G", invoice_type="credit", **late)
        mirrored(team, "H", payment_due_date=today)
        mirrored(orgs.team("Other"), "I", **late)
        found = mirror.overdue(organization=team, now=now)
        assert found[0] == worst
        assert set(found) == {worst, plain, told, declined}

    def test_states_in_words_and_as_questions_are_the_same(self, db):
        team, now = orgs.team(), timezone.now()
        past = now.date() - timedelta(days=3)
        for number, (kind, status, payment, due, overdue, disputed) in enumerate(
            (kind, status, payment, due, overdue, disputed)
            for kind in ("subscription", "credit")
            for status in ("draft", "finalized", "voided", "pending")
            for payment in ("pending", "succeeded", "failed")
            for due in (past, None)
            for overdue in (True, False)
            for disputed in (True, False)
        ):
            mirrored(team, f"N-{number:03d}", invoice_type=kind, status=status, payment_status=payment, payment_due_date=due, is_overdue=overdue, is_disputed=disputed)  # fmt: skip
        for state in State:
            found = listing.of_organization(organization=team, asked=Asked(state=state), now=now)
            assert found.count(), state
            assert {listing.state_of(row, now=now) for row in found} == {state}

    def test_is_no_order_of_credits_that_waits_for_its_payment(self, db):
        now = timezone.now()
        row = mirrored(orgs.team(), invoice_type="credit", payment_due_date=now.date() - timedelta(days=9))
        assert listing.state_of(row, now=now) == State.TO_PAY
        assert not listing.is_late(row, now=now)


class TestCatchingUp:
    def test_looks_at_what_nobody_told_of_and_stops_while_lago_is_away(self, billed):
        billed.refresh()
        row = billed.first
        billed.pay(row.pk)
        later = billed.now() + timedelta(minutes=6)
        assert mirror.catch_up(now=later) == 1
        assert billed.first.payment_status == "succeeded"
        assert list(mirror.stale(now=later)) == []
        much_later = later + mirror.STALE_AFTER
        assert [one.organization for one in mirror.stale(now=much_later)] == [billed.organization]
        billed.lago.faults({"status": 502, "times": 9})
        before = billed.first.synced_at
        assert mirror.catch_up(now=much_later) == 0
        with pytest.raises(LagoUnavailable):
            billed.refresh(at=much_later)
        billed.lago.faults()
        assert billed.first.synced_at == before, "what was not seen is not said to be seen"

    def test_one_that_lago_does_not_know_stops_no_other(self, billed):
        lost = orgs.team("Lost")
        LagoCustomer.objects.create(organization=lost, lago_id=uuid4(), currency="USD")
        assert mirror.catch_up(now=billed.now()) == 1
        assert len(billed.rows()) == 1


def test_a_purchase_shows_with_what_was_bought(installed):
    shop = Shop(installed)
    purchase = shop.waiting()
    mirror.refresh(organization=shop.organization, now=timezone.now())
    row = LagoInvoice.objects.get(organization=shop.organization)
    assert (row.pk, row.invoice_type) == (purchase.invoice_id, "credit")
    assert listing.purchase_of(row) == purchase
