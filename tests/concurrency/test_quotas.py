"""Quotas at the edge: a limit of N lets N of 200 parallel calls through, whatever pays for them, and N more after midnight."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.ledger import charging, combining
from credits.limits import quotas
from credits.models import QuotaUsage
from orgs.models import Organization
from tests.concurrency.racing import race, tally, until_known
from tests.factories import credits as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrency]

CALLS = 200
LIMIT = 120


def limited(**limits):
    team = make.team(10_000, unlimited=False)
    make.limit_calls(team, **limits)
    return team, [make.member(team, 500) for _ in range(8)]


def spend(settle, command):
    return lambda: until_known(lambda: settle(command))


@pytest.mark.parametrize("settle", [charging.settle_one, combining.submit], ids=["alone", "together"])
def test_a_limit_of_n_lets_n_of_two_hundred_parallel_calls_through(settle, deadlocks):
    team, users = limited(day=LIMIT)
    asked = [
        (make.hold, make.charge)[n % 2](team, users[n % 8], 0 if n % 5 == 0 else 1, byok=n % 5 == 0)
        for n in range(CALLS)
    ]
    outcomes = race([spend(settle, command) for command in asked])
    assert tally(outcomes) == {"done": LIMIT, "quota_exceeded": CALLS - LIMIT}
    assert QuotaUsage.objects.get(organization=team, period="day").used == LIMIT
    assert deadlocks() == 0


def test_without_the_lock_more_come_through(monkeypatch):
    """Negative control: the same race with counters that are read and written, but not locked."""
    team, users = limited(day=20)

    def unlocked(wanted):
        rows = sorted(set(wanted))
        used = quotas.read(rows)
        return quotas.Counters({row: used.get(row, 0) for row in rows})

    make.settle(make.charge(team))  # the counter is there
    monkeypatch.setattr(quotas, "lock", unlocked)
    outcomes = race([spend(charging.settle_one, make.charge(team, users[n % 8])) for n in range(60)])
    assert tally(outcomes)["done"] > 19


def test_both_days_let_their_calls_through_when_calls_meet_midnight():
    team, users = limited(day=20)
    Organization.objects.filter(pk=team.pk).update(time_zone="America/New_York")
    midnight = datetime(2027, 3, 15, 4, tzinfo=UTC)  # the day before it has 23 hours
    moments = [midnight - timedelta(minutes=5), midnight]

    def at(moment, command):
        def act():
            make.move_clock(f"{(moment - datetime.now(UTC)).total_seconds()} seconds")
            return until_known(lambda: charging.settle_one(command))

        return act

    outcomes = race([at(moments[n % 2], make.charge(team, users[n % 8])) for n in range(80)])
    for day in (outcomes[::2], outcomes[1::2]):
        assert tally(day) == {"done": 20, "quota_exceeded": 20}
    assert list(QuotaUsage.objects.filter(period="day").values_list("used", flat=True)) == [20, 20]
