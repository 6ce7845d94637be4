"""Reports are a recount of the usage records: by any grouping, in any zone, over any cut of the period."""

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from credits.models import UsageRecord
from credits.pricing.costs import CreditsCost
from credits.reports import buckets, forecast, movements, series, system, usage
from credits.reports.usage import GROUPINGS, Filters
from orgs.models import Department, Organization
from tests.factories import credits as make

pytestmark = pytest.mark.django_db

SINCE, UNTIL = date(2026, 3, 20), date(2026, 4, 5)
"""Europe turns its clocks on 29 March 2026; the days lie in three weeks and two months."""
EDGES = (
    "2026-03-19T22:59:59", "2026-03-19T23:00:00", "2026-03-22T22:59:59", "2026-03-22T23:00:00", "2026-03-28T22:59:59",
    "2026-03-28T23:00:00", "2026-03-29T00:59:59", "2026-03-29T01:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00",
    "2026-03-31T21:59:59", "2026-03-31T22:00:00", "2026-04-05T21:59:59", "2026-04-05T22:00:00", "2026-03-12T12:00:00",
)  # fmt: skip
"""The last and the first second of days, weeks and months in Vienna, in UTC."""


def at(moment: str) -> None:
    """Set this connection's clock of the ledger to a moment."""
    offset = datetime.fromisoformat(moment).replace(tzinfo=UTC) - datetime.now(UTC)
    make.move_clock(f"{int(offset.total_seconds())} seconds")


@pytest.fixture
def team():
    """Charges at every edge, some reversed, some owed and settled later, of two departments, models and services."""
    at("2026-03-01T00:00:00")
    team = make.team(5000)
    Organization.objects.filter(pk=team.pk).update(time_zone="Europe/Vienna")
    team.refresh_from_db()
    engineer = make.member(team, 500, department=make.department(team))
    seller = make.member(team, department=make.department(team))
    owing = make.member(team, 5)
    for number, moment in enumerate(EDGES):
        at(moment)
        charge = make.charged(
            team,
            (engineer, seller)[number % 2],
            CreditsCost(
                Decimal(number + 1) + Decimal("0.000001"), f"model-{number % 3}", 10 * number, number
            ),
            service=f"service-{number % 2}",
            provider="acme" if number % 4 else "",
        )
        if number % 5 == 0:
            make.reversal(charge, Decimal(number) / 2 or None)
    at("2026-03-30T12:00:00")
    make.captured(make.held(team, owing, 5), 40)
    make.move_clock("0")
    yield team
    make.move_clock("0")


def recount(
    team: Organization, since: date, until: date, group_by: str
) -> dict[Any, tuple[Decimal, int, int]]:
    """Add up the usage records themselves, each by the day that the wall in Vienna showed."""
    sums: dict[Any, list[Any]] = defaultdict(lambda: [Decimal(0), 0, 0])
    names = {one.pk: one.public_id for one in Department.objects.all()}
    for one in UsageRecord.objects.filter(organization=team).select_related("user"):
        if not since <= one.day <= until:
            continue
        sign = -1 if one.kind == "reversal" else 1
        key = {
            "day": one.day,
            "week": one.day - timedelta(days=one.day.weekday()),
            "month": one.day.replace(day=1),
            "user": one.user.public_id if one.user else "",
            "department": names.get(one.department_id or 0, ""),
            "service": one.service,
            "provider": one.provider,
            "model": one.model,
        }[group_by]
        sums[str(key)][0] += sign * one.credits
        if one.kind == "charge":
            sums[str(key)][1] += 1
            sums[str(key)][2] += one.input_tokens + one.output_tokens
    return {key: (row[0], row[1], row[2]) for key, row in sums.items()}


def reported(team: Organization, since: date, until: date, group_by: str, **options: Any):
    report = usage.breakdown(organization=team, since=since, until=until, group_by=group_by, **options)
    return {row.key: (row.credits, row.requests, row.tokens) for row in report.rows}, report


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_every_grouping_equals_a_recount_of_the_records(team, group_by):
    rows, report = reported(team, SINCE, UNTIL, group_by)
    wanted = {key: row for key, row in recount(team, SINCE, UNTIL, group_by).items() if row[0] or row[1]}
    assert rows == wanted
    assert report.total_credits == sum(row[0] for row in wanted.values()) > 0
    assert report.total_requests == sum(row[1] for row in wanted.values())
    assert report.total_tokens == sum(row[2] for row in wanted.values())


def test_a_record_lies_on_the_day_that_the_wall_of_its_organization_shows(team):
    """The day before the clocks turn has 24 hours, the day they turn 23."""
    rows, _ = reported(team, date(2026, 3, 28), date(2026, 3, 30), "day")
    # 22:59:59 UTC is still the 28th; 23:00 until 21:59:59 the 29th (the clocks turned at 01:00); 22:00 the 30th
    assert {key: row[1] for key, row in rows.items()} == {"2026-03-28": 1, "2026-03-29": 4, "2026-03-30": 2}


@pytest.mark.parametrize("group_by", GROUPINGS)
def test_two_half_runs_are_one_run_wherever_the_cut_lies(team, group_by):
    whole, report = reported(team, SINCE, UNTIL, group_by)
    for offset in range((UNTIL - SINCE).days):
        cut = SINCE + timedelta(days=offset)
        first, one = reported(team, SINCE, cut, group_by)
        second, two = reported(team, cut + timedelta(days=1), UNTIL, group_by)
        assert one.total_credits + two.total_credits == report.total_credits
        for key, row in whole.items():
            parts = [half.get(key, (Decimal(0), 0, 0)) for half in (first, second)]
            assert tuple(map(sum, zip(*parts, strict=True))) == row, (cut, key)


@pytest.mark.parametrize("group_by", ["model", "user", "department", "service", "provider"])
def test_each_group_stands_beside_a_recount_of_the_days_before(team, group_by):
    days = (UNTIL - SINCE).days + 1
    before = recount(team, SINCE - timedelta(days=days), SINCE - timedelta(days=1), group_by)
    _, report = reported(team, SINCE, UNTIL, group_by)
    found = {row.key: row.previous_credits for row in (*report.rows, *report.gone) if row.previous_credits}
    assert found == {key: row[0] for key, row in before.items() if row[0]}
    assert report.previous_credits == sum(row[0] for row in before.values()) > 0
    assert report.previous_requests == sum(row[1] for row in before.values())


@pytest.mark.parametrize("group_by", buckets.UNITS)
def test_a_group_of_time_stands_beside_as_many_days_just_before_it(team, group_by):
    _, report = reported(team, SINCE, UNTIL, group_by)
    by_day = recount(team, date(2026, 1, 1), date(2026, 12, 31), "day")
    columns = {str(one.start): one for one in buckets.columns(SINCE, UNTIL, group_by)}
    assert report.rows
    for row in report.rows:
        one = columns[row.key]
        days = (one.last - one.first).days + 1
        earlier = (str(one.first - timedelta(days=day)) for day in range(1, days + 1))
        assert row.previous_credits == sum(by_day.get(day, (Decimal(0),))[0] for day in earlier)


@pytest.mark.parametrize("unit", buckets.UNITS)
@pytest.mark.parametrize("split_by", ["model", "user", "department", "service", "provider"])
def test_a_chart_is_the_same_recount_whatever_it_leaves_to_other(team, unit, split_by):
    wanted = recount(team, SINCE, UNTIL, unit)
    for top in (0, 1, 4):
        drawn = series.daily(
            organization=team, since=SINCE, until=UNTIL, split_by=split_by, unit=unit, top=top
        )
        assert len(drawn.series) <= top + 1
        assert drawn.total == sum(row[0] for row in wanted.values())
        starts = [one.start for one in buckets.columns(SINCE, UNTIL, unit)]
        for index, start in enumerate(starts):
            drawn_here = sum((one.values[index] for one in drawn.series), Decimal(0))
            assert drawn_here == wanted.get(str(start), (Decimal(0),))[0]


def test_filters_cut_the_report_as_they_cut_the_records(team):
    user = UsageRecord.objects.filter(organization=team, kind="charge").first().user
    filters = Filters(users=(user.pk,), model="model-1", service="service-0")
    _, report = reported(team, SINCE, UNTIL, "day", filters=filters)
    records = UsageRecord.objects.filter(
        organization=team, day__range=(SINCE, UNTIL), user=user, model="model-1", service="service-0"
    )
    assert report.total_credits == sum(
        -one.credits if one.kind == "reversal" else one.credits for one in records
    )
    assert report.total_credits > 0


def test_a_cut_report_says_what_the_rest_comes_to(team):
    _, whole = reported(team, SINCE, UNTIL, "model")
    rows, cut = reported(team, SINCE, UNTIL, "model", limit=1)
    assert list(rows) == [whole.rows[0].key]
    assert cut.groups == len(whole.rows) == 4
    assert cut.total_credits == whole.total_credits == cut.rows[0].credits + cut.rest.credits
    assert cut.previous_credits == whole.previous_credits
    assert [row.key for row in usage.top_spenders(organization=team, since=SINCE, until=UNTIL)] == [
        row.key for row in reported(team, SINCE, UNTIL, "user")[1].rows
    ]


@given(
    since=st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    days=st.integers(0, 800),
    unit=st.sampled_from(buckets.UNITS),
)
def test_columns_cover_a_period_once(since, days, unit):
    until = since + timedelta(days=days)
    columns = buckets.columns(since, until, unit)
    covered = [
        one.first + timedelta(days=day) for one in columns for day in range((one.last - one.first).days + 1)
    ]
    assert covered == [since + timedelta(days=day) for day in range(days + 1)]
    for one in columns:
        assert one.first - one.before == one.last - one.first + timedelta(days=1)
        assert {buckets.start(day, unit, since) for day in (one.first, one.last)} == {one.first}


def plans_of(act: Callable[[], Any], table: str) -> list[str]:
    """Return how PostgreSQL would run each question that `act` asks of a table."""
    with CaptureQueriesContext(connection) as captured:
        act()
    asked = [one["sql"] for one in captured if f'FROM "{table}"' in one["sql"]]
    assert asked
    plans = []
    with connection.cursor() as cursor:
        # The tables here are small enough to read whole; what is proved is that an index carries the question.
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
    return plans


@pytest.mark.breaks_the_ledger("rows of organizations that nobody granted anything")
class TestIndexes:
    """On generated rows the named indexes carry every question: cost grows with what is shown, not with all there is."""

    @pytest.fixture
    def large(self, team):
        with connection.cursor() as cursor:
            cursor.execute(_MANY_ROLLUPS, [team.pk])
            cursor.execute(_MANY_RECORDS, [team.pk])
            # Other tests' rolled back rows make some indexes larger than others; what is chosen must not hang on that.
            cursor.execute("REINDEX TABLE credits_dailyusage")
            cursor.execute("REINDEX TABLE credits_usagerecord")
            cursor.execute("ANALYZE credits_dailyusage, credits_usagerecord")
        return team

    @pytest.mark.parametrize("group_by", GROUPINGS)
    def test_reports_read_one_organization_by_day(self, large, group_by):
        week = (date(2026, 2, 8), date(2026, 2, 14))
        for plan in plans_of(lambda: reported(large, *week, group_by, limit=5), "credits_dailyusage"):
            assert _BY_DAY.search(plan), plan

    @pytest.mark.parametrize("split_by", ["model", "user"])
    def test_charts_and_choices_do_too(self, large, split_by):
        def draw() -> None:
            series.daily(
                organization=large, since=date(2026, 2, 1), until=date(2026, 2, 7), split_by=split_by, top=2
            )
            usage.names(organization=large, since=date(2026, 2, 1), until=date(2026, 2, 7))

        for plan in plans_of(draw, "credits_dailyusage"):
            assert _BY_DAY.search(plan), plan

    def test_one_members_use_is_found_without_everybodys(self, large):
        own = Filters(users=(UUID("00000000-0000-4000-8000-000000000003"),))
        for group_by in ("model", "day"):
            act = lambda by=group_by: reported(large, date(2026, 2, 1), date(2026, 2, 28), by, filters=own)  # noqa: E731
            for plan in plans_of(act, "credits_dailyusage"):
                assert "daily_usage_of_member" in plan, plan

    def test_the_system_reads_a_few_days_of_all(self, large):
        def read() -> None:
            since, until = date(2026, 2, 1), date(2026, 2, 2)
            system.trend(since=since, until=until)

        for plan in plans_of(read, "credits_dailyusage"):
            assert "daily_usage_of_day" in plan, plan

    def test_a_runway_reads_four_weeks(self, large):
        now = datetime(2026, 2, 28, tzinfo=UTC)
        for plan in plans_of(
            lambda: forecast.of_organization(organization=large, now=now), "credits_dailyusage"
        ):
            assert _BY_DAY.search(plan), plan

    def test_records_come_newest_first_from_their_index(self, large):
        whole = movements.record_rows(organization=large, since=date(2026, 1, 1), until=date(2026, 12, 1))
        [plan] = plans_of(lambda: list(whole[:26]), "credits_usagerecord")
        assert "usage_record_newest_first" in plan, plan
        own = Filters(users=(UUID("00000000-0000-4000-8000-000000000003"),))
        mine = movements.record_rows(organization=large, filters=own)
        [plan] = plans_of(lambda: list(mine[:26]), "credits_usagerecord")
        assert "usage_record_newest_of_member" in plan, plan


_BY_DAY = re.compile("daily_usage_(one_row_per_grain|of_day)")
"""Which of the two the planner takes depends on how many organizations there are; both begin with what is asked."""
_MANY_ROLLUPS = """
INSERT INTO credits_dailyusage (organization_id, day, department_id, user_id, service, provider, model, requests, tokens, credits)
SELECT CASE o WHEN 0 THEN %s ELSE 900000 + o END, date '2026-02-28' - d, m %% 5,
       ('00000000-0000-4000-8000-' || lpad(m::text, 12, '0'))::uuid, 'llm', '', 'm' || m %% 7, 1, 10, 1
FROM generate_series(0, 149) o, generate_series(0, CASE o WHEN 0 THEN 300 ELSE 58 END) d, generate_series(1, CASE o WHEN 0 THEN 20 ELSE 3 END) m
ORDER BY d DESC
"""
"""Written day after day, as use happens; the team has ten months of it, the others two."""
_MANY_RECORDS = """
INSERT INTO credits_usagerecord (id, organization_id, kind, user_id, transaction_id, credits, cost, shortfall, late, unpriced, byok,
  after_the_fact, service, provider, model, input_tokens, output_tokens, cached_input_tokens, price, metadata, reason, made_by, day,
  occurred_at, created_at)
SELECT gen_random_uuid(), CASE n %% 40 WHEN 0 THEN %s ELSE 900000 + n %% 40 END, 'charge',
  ('00000000-0000-4000-8000-' || lpad((n / 40 %% 12)::text, 12, '0'))::uuid, '', 0, 0, 0, false, false, false, false, 'llm', '', 'm',
  1, 1, 0, '{}', '{}', '', 'x', date '2026-01-01' + n %% 90, now(), now()
FROM generate_series(1, 16000) n
"""
