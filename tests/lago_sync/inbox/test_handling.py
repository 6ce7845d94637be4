"""Handling: counted before it begins, dead after five failures, never in another message's way."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from kit.errors import Conflict
from lago_sync.errors import LagoRefused, LagoUnavailable, PurchasesStopped
from lago_sync.inbox import handling
from lago_sync.models import WebhookMessage
from lago_sync.subscriptions import plans
from orgs.audit.events import SYSTEM
from orgs.audit.models import PLATFORM, AuditEvent
from tests.factories import orgs
from tests.lago_sync.inbox.messages import message
from tests.lago_sync.inbox.story import heard, received, states

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def looked_at(monkeypatch):
    """Note whose subscription is looked at, instead of asking Lago."""
    seen = []
    monkeypatch.setattr(plans, "refresh", lambda *, organization, now: seen.append(organization))
    return seen


@pytest.fixture
def broken(monkeypatch):
    """Let handling a subscription go wrong: `broken(error)`."""

    def breaks(error):
        def refresh(**_):
            raise error

        monkeypatch.setattr(plans, "refresh", refresh)

    return breaks


def about(organization, kind="subscription.updated"):
    return message(kind, subscription={"external_customer_id": organization.public_id})


@pytest.mark.parametrize(
    "kind",
    [
        "customer.created",
        "wallet.updated",
        "events.errors",
        "plan.updated",
        "payment_request.created",
        "something.new",
        "",
    ],
)
def test_what_changes_nothing_here_is_ignored(kind):
    found = heard(message(kind, customer={"lago_id": str(uuid4())}))
    assert (found.state, found.attempts, found.last_error) == ("ignored", 1, "")
    assert found.handled_at is not None


@pytest.mark.parametrize("kind", ["wallet_transaction.updated", "invoice.created", "payment.succeeded"])
def test_what_names_no_purchase_of_ours_is_ignored(kind):
    assert heard(message(kind, invoice={"lago_id": str(uuid4()), "number": "x"})).state == "ignored"


@pytest.mark.parametrize(
    "kind",
    ["subscription.started", "subscription.updated", "subscription.terminated", "subscription.trial_ended"],
)
def test_a_word_of_a_subscription_looks_at_its_organization(looked_at, kind):
    organization = orgs.team()
    assert heard(about(organization, kind)).state == "handled"
    assert looked_at == [organization]


@pytest.mark.parametrize(
    "thing",
    [
        None,
        "text",
        [],
        {},
        {"external_customer_id": "org_nobody"},
        {"external_customer_id": 7},
        {"external_customer_id": "a\x00b"},
        {"external_id": "sub_nobody"},
    ],
    ids=str,
)
def test_a_subscription_of_nobody_is_ignored(looked_at, thing):
    assert heard(message("subscription.updated", subscription=thing)).state == "ignored"
    assert looked_at == []


def test_the_attempt_is_counted_before_it_begins(monkeypatch):
    seen = []
    monkeypatch.setattr(plans, "refresh", lambda **_: seen.append(WebhookMessage.objects.get()))
    now = timezone.now()
    heard(about(orgs.team()))
    assert (seen[0].state, seen[0].attempts, seen[0].failures) == ("waiting", 1, 1)
    assert seen[0].due_at > now + timedelta(minutes=4)


def test_five_failures_make_a_dead_letter_that_says_why(broken):
    broken(RuntimeError("it is always so"))
    told = received(about(orgs.team()))
    for day in range(1, 8):
        handling.handle_due(now=timezone.now() + day * DAY)
    told.refresh_from_db()
    assert (told.state, told.attempts, told.last_error) == ("dead", 5, "RuntimeError: it is always so")


def test_a_failure_waits_before_it_is_tried_again(broken, looked_at):
    broken(RuntimeError("not today"))
    told = received(about(orgs.team()))
    now = timezone.now()
    assert handling.handle(message_id=told.pk, now=now) is False
    told.refresh_from_db()
    assert timedelta(seconds=3) < told.due_at - now < timedelta(seconds=10)
    assert handling.handle(message_id=told.pk, now=now) is False
    assert WebhookMessage.objects.get().attempts == 1


@pytest.mark.parametrize("error", [LagoUnavailable("Lago is away."), PurchasesStopped("Stopped.")], ids=str)
def test_lago_away_is_no_fault_of_the_message(broken, monkeypatch, error):
    broken(error)
    told = received(about(orgs.team()))
    for day in range(1, 10):
        assert handling.handle_due(now=timezone.now() + day * DAY) == 0
    told.refresh_from_db()
    assert (told.state, told.attempts, told.failures) == ("waiting", 9, 0)
    assert told.last_error == error.message
    monkeypatch.setattr(plans, "refresh", lambda **_: None)
    assert handling.handle_due(now=timezone.now() + 20 * DAY) == 1
    assert states() == {"handled": 1}


def test_a_refusal_of_lago_counts(broken):
    broken(LagoRefused("Lago refused: 422", http_status=422, lago_code="validation_errors", codes={}))
    received(about(orgs.team()))
    for day in range(1, 7):
        handling.handle_due(now=timezone.now() + day * DAY)
    assert states() == {"dead": 1}


def test_a_message_that_takes_its_worker_down_ends_as_a_dead_letter_and_others_do_not_wait_for_it(
    monkeypatch,
):
    class Died(BaseException):
        """As kill -9: nothing after it runs."""

    poison, others = orgs.team(), [orgs.team() for _ in range(3)]
    for one in [poison, *others]:
        received(about(one))

    def refresh(*, organization, now):
        if organization == poison:
            raise Died

    monkeypatch.setattr(plans, "refresh", refresh)
    for day in range(1, 12):
        try:
            handling.handle_due(now=timezone.now() + day * DAY)
        except Died:
            continue
    assert states() == {"handled": 3, "dead": 1}
    assert WebhookMessage.objects.get(state="dead").attempts == 5


def test_the_lease_of_a_worker_that_died_runs_out(monkeypatch, looked_at):
    told = received(about(orgs.team()))
    WebhookMessage.objects.update(due_at=timezone.now() + timedelta(minutes=5), attempts=1, failures=1)
    assert handling.handle(message_id=told.pk, now=timezone.now()) is False
    assert handling.handle_due(now=timezone.now() + timedelta(minutes=6)) == 1
    assert len(looked_at) == 1


def test_what_is_done_is_not_done_again(looked_at):
    told = heard(about(orgs.team()))
    assert handling.handle(message_id=told.pk, now=timezone.now() + DAY) is False
    assert handling.handle(message_id=987654321, now=timezone.now()) is False
    assert len(looked_at) == 1


def test_it_stands_in_counts_that_cost_little():
    assert handling.standing() == handling.InboxStanding(
        waiting=0, oldest_waiting_at=None, dead=0, last_received_at=None
    )
    told = [received(message("x.y", number=number)) for number in range(3)]
    WebhookMessage.objects.filter(pk=told[0].pk).update(state="dead")
    standing = handling.standing()
    assert (standing.waiting, standing.dead, standing.last_received_at) == (2, 1, told[2].received_at)
    assert standing.oldest_waiting_at == told[1].received_at


class TestReplay:
    @pytest.fixture
    def dead(self):
        told = received(about(orgs.team()))
        WebhookMessage.objects.update(state="dead", attempts=5, failures=5, last_error="it broke")
        told.refresh_from_db()
        return told

    def test_a_dead_letter_is_handled_again_and_that_is_on_record(self, dead, looked_at):
        with transaction.atomic():
            handling.replay(message=dead, by=SYSTEM, now=timezone.now())
        assert handling.handle_due(now=timezone.now()) == 1
        audit = AuditEvent.objects.get(action="webhook.replayed")
        assert (audit.organization, audit.target) == (PLATFORM, dead.unique_key)
        assert audit.before == {"state": "dead", "last_error": "it broke"}

    @pytest.mark.parametrize("state", ["waiting", "handled", "ignored"])
    def test_only_a_dead_letter_is_handled_again(self, dead, state):
        WebhookMessage.objects.update(state=state)
        with pytest.raises(Conflict), transaction.atomic():
            handling.replay(message=dead, by=SYSTEM, now=timezone.now())

    def test_staff_do_so_in_the_admin(self, dead):
        client = Client()
        client.force_login(orgs.system_admin())
        page = reverse("admin:lago_sync_webhookmessage_changelist")
        answer = client.post(page, {"action": "replay", "_selected_action": [dead.pk]}, follow=True)
        assert "Done for 1." in answer.content.decode()
        assert states() == {"waiting": 1}

    def test_nobody_writes_a_message_by_hand(self, dead):
        client = Client()
        client.force_login(orgs.system_admin())
        change = reverse("admin:lago_sync_webhookmessage_change", args=[dead.pk])
        assert client.get(change).status_code == 200
        assert client.post(change, {"state": "handled"}).status_code == 403
        assert client.get(reverse("admin:lago_sync_webhookmessage_add")).status_code == 403
