"""Unusual spending: what the measure calls unusual, that quiet ones do not alarm, and that it is told once a day."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from credits.models import DailyUsage
from credits.reports import unusual
from credits.reports.unusual import judge
from orgs.models import Organization, User
from orgs.notices.kinds import Kind
from orgs.notices.models import Notice
from tests.factories import credits as make
from tests.factories import orgs

FLOOR = Decimal(10)
NOW = datetime(2026, 10, 20, 15, 0, tzinfo=UTC)  # a Tuesday


def days(*credits: object) -> list[Decimal]:
    return [Decimal(str(one)) for one in credits]


@pytest.mark.parametrize(
    ("history", "spent", "is_unusual"),
    [
        (days(*[38, 35, 41, 40] * 7), 412, True),
        (days(*[38, 35, 41, 40] * 7), 60, False),
        (
            days(*[38, 35, 41, 40] * 6, 4000, 9000, 4000, 4000),
            412,
            True,
        ),  # wild days do not hide the next one
        (days(*[0] * 28), 9, False),  # quiet ones do not alarm on little
        (days(*[0] * 28), 11, True),
        (days(*[0, 0, 0, 0, 0, 200, 180] * 4), 700, True),
        (days(*[0, 0, 0, 0, 0, 200, 180] * 4), 230, False),  # who works on some days is compared with those
        (days(*[10, 400, 30, 250, 900, 60, 120] * 4), 900, False),  # who always varies does not alarm
        (days(*[5] * 6), 1000, False),  # less than a week is no history
    ],
)
def test_what_is_unusual(history, spent, is_unusual):
    found = judge(history=history, spent=Decimal(spent), floor=FLOOR)
    assert (found is not None) == is_unusual


def test_steady_and_bursty_members_give_few_false_alarms_and_a_tenfold_day_is_found():
    """1,000 simulated members, log-normal days: how many alarm without a cause, how many where a day is tenfold."""
    choice = random.Random(7)
    false = found = 0
    for _ in range(1000):
        level, spread = choice.uniform(2, 6), choice.uniform(0.1, 0.6)
        history = [Decimal(f"{choice.lognormvariate(level, spread):.6f}") for _ in range(29)]
        spent = history.pop()
        false += judge(history=history, spent=spent, floor=FLOOR) is not None
        found += judge(history=history, spent=spent * 10, floor=FLOOR) is not None
    assert false <= 10
    assert found >= 900


@pytest.fixture
def team(db: None) -> Organization:
    """Mia spends about 40 a day and 412 today, on a model of 30 others' use; Quiet spends little."""
    team = make.team(0)
    part = orgs.department(team, "Engineering", manager=orgs.member(team))
    mia, quiet = make.member(team, department=part), make.member(team)
    User.objects.filter(pk=mia.pk).update(name="Mia")
    for back in range(1, 40):
        used(team, mia, 38 + back % 4, back)
    used(team, mia, 412, 0)
    used(team, quiet, 9, 0)
    return team


def used(team: Organization, user: User, credits: object, back: int, model: str = "gpt-5") -> None:
    DailyUsage.objects.create(
        organization=team, day=NOW.date() - timedelta(days=back), user_id=user.pk, service="llm", model=model,
        requests=1, credits=Decimal(str(credits)),
    )  # fmt: skip


def test_it_says_how_much_on_which_day_and_what_is_usual(team):
    member, model = sorted(unusual.find(organization=team, now=NOW), key=lambda one: one.kind)
    assert member.sentence == (
        "Mia spent 412 credits on Tuesday, 20 October, usual is 39.5 (median of 28 days): 10.4 times as much."
    )
    assert (model.kind, model.judgement.spent) == ("model", 421)


def test_who_may_share_out_is_told_once_a_day(team):
    assert unusual.tell_due(now=NOW) == 3  # the owner of both, Engineering's manager of Mia
    assert unusual.tell_due(now=NOW + timedelta(hours=5)) == 0
    told = Notice.objects.filter(kind=Kind.UNUSUAL_SPENDING)
    assert {one.crossing for one in told} == {"2026-10-20"}
    assert {one.title for one in told} == {"Unusual spending: Mia", "Unusual spending: gpt-5"}


def test_a_tick_costs_as_many_queries_however_many_members_there_are(team, django_assert_max_num_queries):
    for _ in range(5):
        used(team, make.member(team), 3, 0)
    with django_assert_max_num_queries(9):
        unusual.find(organization=team, now=NOW)
