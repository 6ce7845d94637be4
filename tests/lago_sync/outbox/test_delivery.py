"""Delivery: each event is at Lago once, whatever Lago answers; what cannot go blocks nothing else."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from lago_sync.client import events as lago_events
from lago_sync.models import OutboxEvent
from lago_sync.outbox import claims, delivery
from lago_sync.outbox.sending import Delivered
from tests.factories import credits as make
from tests.lago_sync.outbox.story import (
    BATCH,
    arrived,
    deliver,
    each_once,
    ids,
    states,
    subscribed,
    team,
    wrote,
)

pytestmark = pytest.mark.django_db

LONG = 24 * 3600.0  # seconds after which everything that waits is due


def refusal(details):
    """Return a fault: Lago refuses the batch with these `error_details`."""
    body = {
        "status": 422,
        "error": "Unprocessable Entity",
        "code": "validation_errors",
        "error_details": details,
    }
    return {"method": "POST", "path": "events/batch", "status": 422, "body": json.dumps(body)}


def fault(**what):
    return {"method": "POST", "path": "events/batch", **what}


class TestWhatLagoTakes:
    def test_a_charge_arrives_once_however_often_the_deliverer_runs(self, lago):
        org = team()
        charge = make.charged(org, make.member(org), "2.5")
        assert [deliver(), deliver(), deliver(after=LONG)] == [Delivered(sent=1), Delivered(), Delivered()]
        assert arrived(lago) == {str(charge): 1}
        row = OutboxEvent.objects.get()
        assert (row.state, row.attempts, row.last_error) == ("delivered", 1, "")
        assert row.delivered_at is not None

    def test_events_go_a_hundred_at_a_time_whosever_they_are(self, lago):
        orgs = [team() for _ in range(3)]
        rows = [row for org in orgs for row in wrote(org, 80)]
        assert deliver() == Delivered(sent=240)
        assert arrived(lago) == each_once(rows)
        assert lago.requested(*BATCH) == 3

    def test_a_batch_takes_a_fixed_number_of_statements_however_many_organizations_are_in_it(self, lago):
        def statements(organizations):
            for org in [team() for _ in range(organizations)]:
                user = make.member(org)
                for _ in range(2):
                    make.charged(org, user)
            with CaptureQueriesContext(connection) as queries:
                assert deliver().sent == 2 * organizations
            return len(queries)

        assert statements(2) == statements(12)

    def test_no_transaction_is_open_while_lago_is_asked(self, lago, monkeypatch):
        wrote(team())
        depth, send = [], lago_events.send

        def watched(events):
            depth.append(len(connection.savepoint_ids) + len(connection.atomic_blocks))
            return send(events)

        before = len(connection.savepoint_ids) + len(connection.atomic_blocks)
        monkeypatch.setattr(lago_events, "send", watched)
        assert deliver().sent == 1
        assert depth == [before]

    def test_the_attempt_is_counted_and_the_row_leased_before_lago_is_asked(self, lago, monkeypatch):
        [row] = wrote(team())
        seen, send = [], lago_events.send
        now = timezone.now()

        def watched(events):
            seen.append(OutboxEvent.objects.get())
            return send(events)

        monkeypatch.setattr(lago_events, "send", watched)
        delivery.deliver_due(now=now)
        [leased] = seen
        assert (leased.pk, leased.state, leased.attempts, leased.failures) == (row.pk, "waiting", 1, 1)
        assert leased.due_at > now + claims.longest_request()


class TestWhatIsNoBusinessOfLagos:
    def test_usage_outside_any_subscription_is_counted_and_never_sent(self, lago):
        org = make.team(100)
        make.charged(org, make.member(org))
        assert deliver() == Delivered(not_applicable=1)
        assert deliver(after=LONG) == Delivered()
        assert (states(), lago.requested(*BATCH)) == ({"not_applicable": 1}, 0)

    def test_when_it_happened_decides_and_not_when_it_is_delivered(self, lago):
        org = make.team(100)
        now = timezone.now()
        name = subscribed(org, start=now - timedelta(days=20), end=now - timedelta(days=10))
        at = [now - timedelta(days=days) for days in (25, 15, 5)]
        rows = [wrote(org, payload={"timestamp": f"{one.timestamp():.3f}"})[0] for one in at]
        assert deliver() == Delivered(sent=1, not_applicable=2)
        assert arrived(lago) == {rows[1].transaction_id: 1}
        [event] = lago.dump()["event"]
        assert event["external_subscription_id"] == name

    def test_a_subscription_begins_with_its_first_millisecond_and_ends_before_its_last(self, lago):
        org = make.team(100)
        start = timezone.now().replace(microsecond=500_000) - timedelta(hours=2)
        end = start + timedelta(hours=1)
        subscribed(org, start=start, end=end)
        at = {"before": start - timedelta(milliseconds=1), "first": start, "end": end}
        rows = {
            name: wrote(org, payload={"timestamp": f"{one.timestamp():.3f}"})[0] for name, one in at.items()
        }
        deliver()
        assert arrived(lago) == {rows["first"].transaction_id: 1}

    def test_it_holds_up_nobody_elses_usage(self, lago):
        rows = wrote(team(), 10)
        wrote(make.team(), 200)
        more = wrote(team(), 10)
        assert deliver() == Delivered(sent=20, not_applicable=200)
        assert arrived(lago) == each_once([*rows, *more])

    def test_a_reversal_is_sent_where_its_charge_was(self, lago):
        inside, outside = team(), make.team(100)
        for org in (inside, outside):
            make.reversal(make.charged(org, make.member(org), 4), 1)
        subscribed(outside, start=timezone.now() - timedelta(seconds=1))
        OutboxEvent.objects.filter(organization=outside.public_id, payload__reverses=None).update(
            payload={"timestamp": "1700000000.000", "credits": "4"}
        )
        assert deliver() == Delivered(sent=2, not_applicable=2)
        assert sorted(event["properties"]["credits"] for event in lago.dump()["event"]) == ["-1", "4"]


class TestWhatLagoHadBefore:
    def test_an_answer_lost_after_the_commit_is_no_second_event(self, lago):
        rows = wrote(team(), 30)
        lago.faults(fault(drop=True, times=3))
        deliver()
        assert arrived(lago) == each_once(rows)
        total = deliver(after=LONG)
        assert (total.sent + total.duplicates, total.failed, total.dead) in {(30, 0, 0), (0, 0, 0)}
        assert (arrived(lago), states()) == (each_once(rows), {"delivered": 30})

    def test_duplicates_in_a_batch_are_taken_out_and_the_rest_is_sent_at_once(self, lago):
        rows = wrote(team(), 100)
        OutboxEvent.objects.exclude(pk__in=[row.pk for row in rows[10:25]]).update(
            due_at=timezone.now() + timedelta(hours=1)
        )
        deliver()
        assert set(arrived(lago)) == ids(rows[10:25])
        OutboxEvent.objects.update(state="waiting", due_at=timezone.now(), delivered_at=None, failures=0)
        assert deliver(after=1) == Delivered(sent=85, duplicates=15)
        assert (arrived(lago), states()) == (each_once(rows), {"delivered": 100})
        assert lago.requested(*BATCH) == 3


class TestLagoIsAway:
    @pytest.mark.parametrize(
        "answer",
        [
            {"status": 502},
            {"status": 500, "body": "<h1>We're sorry</h1>"},
            {"status": 503, "body": ""},
            {"status": 429, "body": '{"status": 429, "error": "Too Many Requests"}'},
            {"status": 200, "body": "<html>Please sign in to the Wi-Fi</html>"},
            {"status": 200, "body": ""},
            {"status": 200, "body": '{"events": ['},
            {"status": 200, "body": '{"events": []}'},
            {"status": 200, "body": "{}"},
            {"status": 302, "body": ""},
            {"status": 401, "body": '{"status": 401, "error": "Unauthorized"}'},
            {"status": 404, "body": '{"status": 404, "error": "Not Found", "code": "resource_not_found"}'},
            {"drop": True, "after_commit": False},
        ],
        ids=str,
    )
    def test_nothing_is_counted_against_the_events_and_all_arrive_once_it_is_back(self, lago, answer):
        rows = wrote(team(), 5)
        lago.faults(fault(times=50, **answer))
        assert deliver() == Delivered(unanswered=5)
        assert {(row.state, row.attempts, row.failures) for row in OutboxEvent.objects.all()} == {
            ("waiting", 1, 0)
        }
        assert all(OutboxEvent.objects.values_list("last_error", flat=True))
        assert deliver() == Delivered()  # not due yet
        lago.faults()
        assert deliver(after=LONG).sent == 5
        assert arrived(lago) == each_once(rows)

    def test_a_long_time_without_lago_kills_no_event(self, lago):
        rows = wrote(team(), 150)
        lago.stop()
        try:
            for hours in range(8):
                assert deliver(after=3600.0 * hours).unanswered
        finally:
            lago.start_again()
        assert states() == {"waiting": 150}
        for _ in range(3):
            deliver(after=LONG)
        assert (arrived(lago), states()) == (each_once(rows), {"delivered": 150})

    def test_a_run_asks_a_lago_that_is_away_once_and_leaves_the_rest_of_the_queue_alone(self, lago):
        wrote(team(), 300)
        lago.faults(fault(times=50, status=500))
        assert deliver() == Delivered(unanswered=100)
        assert OutboxEvent.objects.filter(attempts=0).count() == 200

    def test_it_waits_longer_each_time_but_never_more_than_a_minute_or_so(self):
        waits = [claims.backoff(attempts).total_seconds() for attempts in range(1, 20)]
        assert all(3 <= wait <= 75 for wait in waits)
        assert waits[0] < 10 < 40 < min(waits[5:])
        assert claims.backoff(30_000).total_seconds() <= 75

    def test_without_an_address_or_key_nothing_is_lost(self, settings, lago):
        wrote(team(), 2)
        settings.LAGO_API_KEY = ""
        assert deliver() == Delivered(unanswered=2)
        settings.LAGO_API_KEY = lago.api_key
        assert deliver(after=LONG).sent == 2


class TestPoison:
    def test_one_event_in_the_middle_that_lago_calls_invalid_is_dead_at_once_and_blocks_none(self, lago):
        rows = wrote(team(), 99)
        OutboxEvent.objects.filter(pk=rows[49].pk).update(code="")
        assert deliver() == Delivered(sent=98, dead=1)
        assert arrived(lago) == each_once([*rows[:49], *rows[50:]])
        dead = OutboxEvent.objects.get(state="dead")
        assert (dead.pk, "value_is_mandatory" in dead.last_error) == (rows[49].pk, True)
        assert lago.requested(*BATCH) == 2

    def test_one_organization_that_is_refused_blocks_no_other(self, lago):
        good, bad = team(), team()
        rows = [row for _ in range(50) for row in (wrote(bad, code="")[0], wrote(good)[0])]
        assert deliver() == Delivered(sent=50, dead=50)
        assert set(arrived(lago)) == {
            row.transaction_id for row in rows if row.organization == good.public_id
        }

    def test_a_refusal_that_may_pass_is_tried_five_times_alone_while_others_go_on(self, lago):
        [bad] = wrote(team())
        for attempt in range(1, 6):
            lago.faults({**refusal({"0": "expression_evaluation_failed: Variable: b not found"}), "times": 1})
            total = deliver(after=LONG * attempt)
            assert (total.failed, total.dead) == ((1, 0) if attempt < 5 else (0, 1))
            other = wrote(team())
            assert deliver(after=LONG * attempt).sent == 1
            assert arrived(lago)[other[0].transaction_id] == 1
        bad.refresh_from_db()
        assert (bad.state, bad.attempts) == ("dead", 5)
        assert "expression_evaluation_failed" in bad.last_error

    @pytest.mark.parametrize(
        "details", ["expression_evaluation_failed: Variable: b", {"base": ["something"]}, None, ["odd"]]
    )
    def test_a_refusal_that_names_no_event_is_narrowed_down_to_the_one(self, lago, monkeypatch, details):
        """The sandbox refuses by fault whatever is in the batch; which batches hold the poison is known here."""
        rows = wrote(team(), 64)
        poison, send = rows[37].transaction_id, lago_events.send

        def planned(events):
            if poison in {one["transaction_id"] for one in events}:
                lago.faults(refusal(details))
            return send(events)

        monkeypatch.setattr(lago_events, "send", planned)
        assert deliver() == Delivered(sent=63, failed=1)
        assert arrived(lago) == each_once([*rows[:37], *rows[38:]])

    def test_an_event_that_lago_has_no_answer_to_is_found_after_a_while_and_blocks_none(
        self, lago, monkeypatch
    ):
        rows = wrote(team(), 100)
        poison, send = rows[0].transaction_id, lago_events.send

        def planned(events):
            hit = poison in {one["transaction_id"] for one in events}
            lago.faults(*([fault(status=500, times=9)] if hit else []))
            return send(events)

        monkeypatch.setattr(lago_events, "send", planned)
        assert [deliver(after=LONG * day).unanswered for day in (1, 2)] == [100, 100]
        assert deliver(after=LONG * 3) == Delivered(sent=99, failed=1)
        for day in range(4, 8):
            wrote(team())
            total = deliver(after=LONG * day)
            assert (total.sent, total.failed + total.dead) == (1, 1)
        assert states() == {"delivered": 103, "dead": 1}
        assert OutboxEvent.objects.get(state="dead").transaction_id == poison

    @pytest.mark.parametrize(
        "payload",
        [
            {"timestamp": None},
            {"timestamp": "yesterday"},
            {"timestamp": "NaN"},
            {"timestamp": "1e400"},
            {"user": "nobody"},
            {"user": ["odd"]},
            {"user": "0" * 32},
            {"department": 987654321},
            {"department": {"id": 1}},
            {"tokens": "many"},
        ],
        ids=str,
    )
    def test_a_row_of_which_no_event_can_be_made_fails_alone(self, lago, payload):
        org = team()
        rows = [*wrote(org, 3), *wrote(org, payload=payload), *wrote(org, 3)]
        assert deliver() == Delivered(sent=6, failed=1)
        assert set(arrived(lago)) == ids([*rows[:3], *rows[4:]])
        for day in range(1, 5):
            deliver(after=LONG * day)
        assert states() == {"delivered": 6, "dead": 1}

    def test_a_payload_that_is_no_object_fails_alone(self, lago):
        org = team()
        rows = wrote(org, 3)
        OutboxEvent.objects.filter(pk=rows[1].pk).update(payload=["odd"])
        assert deliver() == Delivered(sent=2, failed=1)

    def test_an_event_whose_deliverer_always_dies_takes_no_other_with_it_and_ends_as_a_dead_letter(
        self, lago, monkeypatch
    ):
        class Died(BaseException):
            """As kill -9: nothing after it runs."""

        rows = wrote(team(), 20)
        poison, send = rows[7].transaction_id, lago_events.send

        def dying(events):
            if poison in {one["transaction_id"] for one in events}:
                raise Died
            return send(events)

        monkeypatch.setattr(lago_events, "send", dying)
        for day in range(1, 30):
            try:
                deliver(after=LONG * day)
            except Died:
                continue
        assert states() == {"delivered": 19, "dead": 1}
        dead = OutboxEvent.objects.get(state="dead")
        assert (dead.transaction_id, dead.attempts) == (poison, 5)
        assert arrived(lago) == each_once([*rows[:7], *rows[8:]])


class TestBounds:
    def test_a_run_ends_after_its_time_and_the_next_one_goes_on(self, lago, monkeypatch):
        wrote(team(), 250)
        monkeypatch.setattr(delivery, "SECONDS", 0.5)
        lago.faults(fault(latency=0.6))
        assert deliver().sent == 100
        monkeypatch.undo()
        assert deliver().sent == 150

    @pytest.mark.parametrize(
        ("claim", "index"), [("_FRESH", "outbox_waiting_by_due"), ("_FAILED", "outbox_failed_by_due")]
    )
    def test_a_claim_reads_the_index_of_what_is_due_and_not_the_history(self, claim, index):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO lago_sync_outboxevent
                (organization, transaction_id, code, payload, created_at, state, delivered_at, failures)
                SELECT 'org_x', 'tx' || n, 'credits_used', '{}', now(), s, CASE s WHEN 'delivered' THEN now() END, n % 2
                FROM generate_series(1, 20000) n, LATERAL (SELECT CASE WHEN n % 40 < 2 THEN 'waiting' ELSE 'delivered' END s) t
                """
            )
            cursor.execute("ANALYZE lago_sync_outboxevent")
            now = timezone.now()
            cursor.execute("EXPLAIN " + getattr(claims, claim), [now, now, 100])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert index in plan, plan
        assert "Seq Scan on lago_sync_outboxevent" not in plan, plan

    def test_what_is_not_due_is_left_alone(self, lago):
        wrote(team(), 2)
        OutboxEvent.objects.update(due_at=timezone.now() + timedelta(minutes=1))
        assert deliver() == Delivered()
        assert deliver(after=61).sent == 2

    def test_an_event_that_was_tried_for_ever_does_not_overflow_its_counter(self, lago):
        wrote(team())
        OutboxEvent.objects.update(attempts=32_000)
        assert deliver().sent == 1
