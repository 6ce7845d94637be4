"""Where the outbox stands, at a cost that does not grow with it; and dead letters sent again, on record."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from kit.errors import Conflict
from lago_sync.models import OutboxEvent
from lago_sync.outbox import delivery
from orgs.audit.events import SYSTEM
from orgs.audit.models import AuditEvent
from tests.factories import orgs
from tests.lago_sync.outbox.story import arrived, deliver, team, wrote

pytestmark = pytest.mark.django_db


def dead(organization=None):
    [row] = wrote(organization or team())
    OutboxEvent.objects.filter(pk=row.pk).update(
        state="dead", attempts=5, failures=5, last_error="Lago refused"
    )
    row.refresh_from_db()
    return row


class TestStanding:
    def test_it_counts_by_state_and_says_since_when_the_oldest_waits(self):
        assert delivery.standing() == delivery.OutboxStanding(
            waiting=0,
            oldest_waiting_at=None,
            dead=0,
            not_applicable=0,
            delivered=0,
            bundled=0,
            estimated=False,
        )
        org = team()
        rows = wrote(org, 6)
        oldest = timezone.now() - timedelta(hours=7)
        OutboxEvent.objects.filter(pk=rows[5].pk).update(
            created_at=oldest, due_at=timezone.now() + timedelta(days=1)
        )
        OutboxEvent.objects.filter(pk=rows[0].pk).update(state="not_applicable")
        OutboxEvent.objects.filter(pk=rows[1].pk).update(state="delivered", delivered_at=timezone.now())
        dead(org)
        standing = delivery.standing()
        assert (standing.waiting, standing.dead, standing.not_applicable, standing.delivered) == (4, 1, 1, 1)
        assert standing.oldest_waiting_at == oldest

    def test_a_large_table_is_not_counted_but_estimated(self, monkeypatch):
        org = team()
        wrote(org, 300)
        OutboxEvent.objects.update(state="delivered", delivered_at=timezone.now())
        wrote(org, 3)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE lago_sync_outboxevent")
        monkeypatch.setattr(delivery, "_SMALL_BYTES", 1)
        monkeypatch.setattr(delivery, "COUNTED", 2)
        with CaptureQueriesContext(connection) as queries:
            standing = delivery.standing()
        assert (standing.estimated, standing.waiting) == (True, 2)
        assert 290 <= standing.delivered <= 310
        for query in queries.captured_queries:
            assert "GROUP BY" not in query["sql"]

    @pytest.mark.parametrize("state", ["waiting", "dead"])
    def test_each_count_is_answered_by_an_index_of_its_own(self, state):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(
                f"EXPLAIN SELECT count(*) FROM (SELECT 1 FROM lago_sync_outboxevent WHERE state = '{state}' LIMIT 10000) s"
            )
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert f"outbox_{state}" in plan, plan


class TestReplay:
    def test_a_dead_letter_goes_again_under_its_own_id_and_that_is_on_record(self, lago):
        row = dead()
        with transaction.atomic():
            delivery.replay(event=row, by=SYSTEM, now=timezone.now())
        assert deliver().sent == 1
        assert arrived(lago) == {row.transaction_id: 1}
        audit = AuditEvent.objects.get(action="outbox.replayed")
        assert (audit.organization, audit.target) == (row.organization, row.transaction_id)
        assert audit.before == {"state": "dead", "last_error": "Lago refused"}

    def test_one_that_lago_has_after_all_is_no_second_event(self, lago):
        org = team()
        [row] = wrote(org)
        deliver()
        OutboxEvent.objects.update(state="dead", delivered_at=None, failures=5)
        with transaction.atomic():
            delivery.replay(event=row, by=SYSTEM, now=timezone.now())
        assert deliver(after=1).duplicates == 1
        assert arrived(lago) == {row.transaction_id: 1}

    @pytest.mark.parametrize("state", ["waiting", "delivered", "not_applicable"])
    def test_only_a_dead_letter_is_sent_again(self, state):
        [row] = wrote(team())
        OutboxEvent.objects.update(state=state, delivered_at=timezone.now() if state == "delivered" else None)
        with pytest.raises(Conflict), transaction.atomic():
            delivery.replay(event=row, by=SYSTEM, now=timezone.now())

    def test_staff_do_so_in_the_admin(self):
        staff = orgs.system_admin()
        client = Client()
        client.force_login(staff)
        letter = dead()
        [other] = wrote(team())
        page = reverse("admin:lago_sync_outboxevent_changelist")
        answer = client.post(
            page, {"action": "replay", "_selected_action": [letter.pk, other.pk]}, follow=True
        )
        text = answer.content.decode()
        assert "Done for 1." in text
        assert "Only a dead letter is sent again." in text
        letter.refresh_from_db()
        assert (letter.state, letter.failures) == ("waiting", 0)
        assert AuditEvent.objects.get(action="outbox.replayed").actor == staff.public_id

    def test_nobody_writes_an_event_by_hand(self):
        client = Client()
        client.force_login(orgs.system_admin())
        letter = dead()
        change = reverse("admin:lago_sync_outboxevent_change", args=[letter.pk])
        assert client.get(change).status_code == 200
        assert client.post(change, {"state": "delivered"}).status_code == 403
        assert client.get(reverse("admin:lago_sync_outboxevent_add")).status_code == 403
        assert client.post(reverse("admin:lago_sync_outboxevent_delete", args=[letter.pk])).status_code == 403

    def test_others_see_nothing_of_it(self):
        client = Client()
        client.force_login(orgs.user())
        assert client.get(reverse("admin:lago_sync_outboxevent_changelist")).status_code in {302, 403, 404}
