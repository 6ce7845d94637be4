"""Staff forgive what an organization owes for a charge: the debt ends, nothing moves, Lago hears nothing."""

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import transaction

from credits.ledger import forgiveness, reconcile, shortfalls
from credits.models import DailyUsage, Shortfall, UsageRecord
from kit.errors import NotFound, ValidationError
from lago_sync.models import OutboxEvent
from orgs.audit.events import Actor
from orgs.audit.models import AuditEvent
from tests.factories import credits as make
from tests.factories.api import done, scene

pytestmark = pytest.mark.django_db
STAFF = Actor(kind="system_admin", public_id="usr_staff")


def indebted(owes=30, has=100):
    """Return a team and its one charge, for which it owes credits."""
    team = make.team(has)
    charge = make.captured(make.held(team, None, has), has + owes).charge
    return team, charge.id


def forgive(charge_id, reason="Our outage"):
    with transaction.atomic():
        return forgiveness.forgive(charge_id=charge_id, reason=reason, by=STAFF)


class TestForgiving:
    def test_ends_the_debt_and_moves_nothing(self):
        team, charge = indebted()
        before = make.pool(team)
        record = forgive(charge)
        assert shortfalls.open_amount(organization_id=team.pk) == 0
        assert (Shortfall.objects.get().settled, Shortfall.objects.get().forgiven) == (0, 30)
        after = make.pool(team)
        assert (after.available, after.held, after.spent) == (before.available, before.held, before.spent)
        kept = UsageRecord.objects.get(pk=record.id)
        assert (kept.kind, kept.credits, kept.cost, kept.shortfall) == ("forgiveness", 0, 30, 30)
        assert (kept.corrects, kept.pool_id, kept.allocation_id) == (charge, None, None)
        assert (kept.reason, kept.made_by) == ("Our outage", "usr_staff")

    def test_is_audited_with_what_was_owed_and_why(self):
        team, charge = indebted()
        forgive(charge)
        event = AuditEvent.objects.get(organization=team.public_id, action="shortfall.forgiven")
        assert (event.actor_kind, event.target) == ("system_admin", str(charge))
        assert event.before == {"owed": "30"}
        assert event.after == {"owed": "0", "forgiven": "30", "reason": "Our outage"}

    def test_tells_lago_nothing_and_counts_as_no_use(self):
        team, charge = indebted()
        told, used = OutboxEvent.objects.count(), _used(team)
        forgive(charge)
        assert OutboxEvent.objects.count() == told
        assert _used(team) == used

    def test_covers_what_was_not_settled_yet(self):
        team, charge = indebted()
        make.grant(team, 12)
        record = forgive(charge)
        assert record.shortfall == 18
        make.grant(team, 50)
        assert make.pool(team).available == 50

    def test_again_finds_nothing_owed(self):
        team, charge = indebted()
        forgive(charge)
        with pytest.raises(forgiveness.NothingOwed) as refusal:
            forgive(charge)
        assert refusal.value.status == 409
        assert UsageRecord.objects.filter(organization=team, kind="forgiveness").count() == 1

    def test_of_what_owes_nothing_is_refused(self):
        charge = make.charged(make.team(100), None, 5)
        with pytest.raises(forgiveness.NothingOwed):
            forgive(charge)

    def test_of_no_charge_is_not_found(self):
        _, charge = indebted()
        record = forgive(charge)
        for unknown in (record.id, uuid4()):
            with pytest.raises(NotFound):
                forgive(unknown)

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
    def test_needs_a_reason(self, reason):
        _, charge = indebted()
        with pytest.raises(ValidationError):
            forgive(charge, reason)
        assert Shortfall.objects.get().forgiven == 0

    def test_lets_spend_again_who_owed_too_much(self, settings):
        settings.SHORTFALL_LIMIT = 10
        team, charge = indebted()
        make.grant(team, 10)
        assert make.settle(make.hold(team, None, 1))[0].code == "shortfall_open"
        forgive(charge)
        make.grant(team, 5)
        make.held(team, None, 1)

    def test_is_shown_among_the_records(self, db):
        place = scene()
        charge = make.captured(make.held(place.org, None, 100), 10_000).charge
        forgive(charge.id)
        [record] = [
            one
            for one in done(place.http("owner").ask(f"{place.credits}/records"))["data"]
            if one["kind"] == "forgiveness"
        ]
        assert (record["credits"], record["corrects"]) == ("0", str(charge.id))
        assert (record["reason"], record["payer"]) == ("Our outage", None)


class TestAReversalAfterIt:
    def test_gives_back_what_was_paid_and_no_more(self):
        team, charge = indebted()
        forgive(charge)
        make.reversal(charge)
        assert (make.pool(team).available, make.pool(team).spent) == (100, 0)

    def test_again_answers_the_first(self):
        team, charge = indebted()
        forgive(charge)
        first = make.reversal(charge)
        again = make.reversal(charge)
        assert (again.replayed, again.reversal.pk) == (True, first.reversal.id)
        assert make.pool(team).available == 100

    def test_gives_settlements_back_too(self):
        team, charge = indebted()
        make.grant(team, 12)
        forgive(charge)
        make.reversal(charge)
        assert make.pool(team).available == 112

    def test_of_what_was_forgiven_is_refused(self):
        team, charge = indebted()
        forgive(charge)
        with pytest.raises(ValidationError):
            make.reversal(charge, "100.000001")
        assert make.pool(team).available == 0

    def test_of_a_part_before_it_counts_too(self):
        team, charge = indebted()
        make.reversal(charge, 10)
        assert forgive(charge).shortfall == 20
        assert Shortfall.objects.get().forgiven == 30
        assert make.pool(team).available == 0


class TestTheLaw:
    @pytest.mark.breaks_the_ledger("a debt is forgiven without a record of it")
    def test_finds_a_debt_that_ended_without_a_record(self):
        team, _ = indebted()
        Shortfall.objects.update(forgiven=Decimal(30))
        broken = {one.law for one in reconcile.prove(organization=team)}
        assert broken == {"shortfalls are owed or paid"}


def _used(team):
    return [
        (one.credits, one.requests, one.tokens)
        for one in DailyUsage.objects.filter(organization=team)
        if one.credits or one.requests
    ]
