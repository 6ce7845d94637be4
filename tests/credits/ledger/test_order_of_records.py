"""The ledger's order and time: every record has the database's clock and a place of its own (I20)."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from credits.models import Hold, LedgerEntry, UsageRecord
from tests.factories import credits as make
from tests.factories.api import Http, done
from tests.factories.orgs import platform_key

pytestmark = pytest.mark.django_db


def portal_clock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT portal_clock()")
        return cursor.fetchone()[0]


def test_records_and_entries_of_an_organization_strictly_increase_and_lie_between_the_databases_instants():
    before = portal_clock()
    team = make.team(1000)
    user = make.member(team, 100)
    for _ in range(4):
        charge = make.charged(team, user, 2)
        make.captured(make.held(team, None, 5), 3)
        make.reversal(charge)
    after = portal_clock()
    for rows in (
        UsageRecord.objects.filter(organization=team).order_by("created_at", "pk"),
        LedgerEntry.objects.filter(organization=team).order_by("created_at", "pk"),
        Hold.objects.filter(organization=team).order_by("created_at", "pk"),
    ):
        places = [(one.created_at, one.pk) for one in rows]
        assert len(places) > 1
        assert all(one < other for one, other in pairwise(places))
        assert before < places[0][0]
        assert places[-1][0] < after


def test_time_is_the_databases_even_where_it_is_another_day():
    team = make.team(100)
    with make.later("40 days"):
        make.grant(team, 5)
        charge = make.settled(make.charge(team, None, 1)).charge
        hold = Hold.objects.get(pk=make.held(team, None, 1, ttl=60))
        entry = LedgerEntry.objects.filter(organization=team).latest("created_at")
    ahead = timezone.now() + timedelta(days=40)
    assert hold.expires_at - hold.created_at == timedelta(seconds=60)
    for at in (charge.created_at, charge.occurred_at, hold.created_at, entry.created_at):
        assert abs(at - ahead) < timedelta(minutes=1)


def test_no_request_may_say_when_it_was_recorded():
    """Only `occurred_at` of a call charged after the fact is the client's; when it was recorded is not."""
    team = make.team(100)
    happened = timezone.now() - timedelta(days=2)
    client = Http(key=platform_key().text)
    body = {
        "transaction_id": "t", "credits": "1", "org_id": team.public_id, "after_the_fact": True, "occurred_at": happened.isoformat(),
    }  # fmt: skip
    for name in ("created_at", "day", "id", "expires_at"):
        assert client.post("/usage/charges", body | {name: "2020-01-01T00:00:00Z"}).status_code == 422
    before = portal_clock()
    done(client.post("/usage/charges", body), 201)
    record = UsageRecord.objects.get(kind="charge")
    assert (record.occurred_at, record.day) == (happened, happened.date())
    assert before < record.created_at < portal_clock()
