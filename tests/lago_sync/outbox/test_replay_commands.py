"""`replay_outbox` and `replay_webhooks`: which letters, what is printed, how they exit, what is on record."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from kit.errors import Conflict
from lago_sync.models import OutboxEvent, WebhookMessage
from lago_sync.outbox import delivery
from orgs.audit.models import PLATFORM, AuditEvent
from tests.factories import orgs
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.inbox.story import received
from tests.lago_sync.outbox.story import arrived, deliver, ids, team, wrote

pytestmark = pytest.mark.django_db


def dead_events(org, count=1, age=timedelta(0)):
    rows = wrote(org, count)
    made = timezone.now() - age
    OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).update(
        state="dead", failures=5, attempts=5, last_error="Lago refused", created_at=made
    )
    return rows


def dead_webhook(org):
    told = received(message("subscription.updated", subscription={"external_customer_id": org.public_id}))
    WebhookMessage.objects.filter(pk=told.pk).update(state="dead", failures=5, last_error="it broke")
    return told


def test_all_dead_events_go_again_under_their_ids_and_each_is_on_record(lago, capsys):
    org, other = team(), team()
    rows = [*dead_events(org, 2), *dead_events(other)]
    wrote(org)
    call_command("replay_outbox")
    printed = capsys.readouterr().out
    assert all(
        f"{row.organization} credits_used {row.transaction_id}: Lago refused" in printed for row in rows
    )
    assert printed.endswith("3 dead letters, 3 put back\n")
    assert deliver(after=1).sent == 4
    assert ids(rows) <= set(arrived(lago))
    audits = AuditEvent.objects.filter(action="outbox.replayed")
    assert {one.target for one in audits} == ids(rows)
    assert {one.actor for one in audits} == {"manage.py"}


def test_an_organization_and_a_moment_choose(capsys):
    org = team()
    old, new = dead_events(org, age=timedelta(days=3)), dead_events(org)
    dead_events(team())
    since = (timezone.now() - timedelta(days=1)).isoformat()
    call_command("replay_outbox", "--organization", org.slug, "--since", since)
    assert capsys.readouterr().out.endswith("1 dead letters, 1 put back\n")
    assert OutboxEvent.objects.get(pk=new[0].pk).state == "waiting"
    assert OutboxEvent.objects.get(pk=old[0].pk).state == "dead"
    assert OutboxEvent.objects.filter(state="dead").count() == 2
    for wrong in (["--organization", "nobody"], ["--since", "yesterday"]):
        with pytest.raises(CommandError):
            call_command("replay_outbox", *wrong)


def test_a_dry_run_only_prints(capsys):
    dead_events(team(), 2)
    dead_webhook(orgs.team())
    for command, count in (("replay_outbox", 2), ("replay_webhooks", 1)):
        call_command(command, "--dry-run")
        assert capsys.readouterr().out.endswith(f"{count} dead letters; nothing was done\n")
    assert OutboxEvent.objects.filter(state="dead").count() == 2
    assert WebhookMessage.objects.get().state == "dead"
    assert not AuditEvent.objects.filter(action__endswith=".replayed").exists()


def test_one_that_cannot_be_put_back_fails_the_command_and_stops_no_other(monkeypatch, capsys):
    rows = dead_events(team(), 3)
    replay = delivery.replay

    def refuses_one(*, event, by, now):
        if event.pk == rows[1].pk:
            raise Conflict("Only a dead letter is sent again.")
        return replay(event=event, by=by, now=now)

    monkeypatch.setattr(delivery, "replay", refuses_one)
    with pytest.raises(SystemExit) as ended:
        call_command("replay_outbox")
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out.endswith("3 dead letters, 2 put back\n")
    assert said.err == f"{rows[1].pk}: Only a dead letter is sent again.\n"


def test_webhooks_are_chosen_by_the_organization_that_they_name(capsys):
    org = orgs.team()
    mine, other = dead_webhook(org), dead_webhook(orgs.team())
    call_command("replay_webhooks", "--organization", org.public_id)
    printed = capsys.readouterr().out
    assert f"subscription.updated {mine.unique_key}: it broke" in printed
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, mine.failures, other.state) == ("waiting", 0, "dead")
    audit = AuditEvent.objects.get(action="webhook.replayed")
    assert (audit.organization, audit.actor, audit.target) == (PLATFORM, "manage.py", mine.unique_key)
