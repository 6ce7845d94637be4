"""Periods are half-open and part time without a gap: each instant is in one day and one month, in every zone (I23)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credits.ledger.standing import Asked, Standing
from credits.limits import quotas
from credits.models import DailyUsage, UsageRecord
from orgs.models import Organization
from tests.factories import credits as make

ZONES = [
    "UTC", "Europe/Budapest", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
    "Africa/Casablanca", "America/St_Johns", "Pacific/Kiritimati",
]  # fmt: skip
"""Whole, half and quarter hours, half-hour summer time, a zone that changes at midnight, one that skipped a day."""

instants = st.integers(0, 4 * 366 * 86_400_000_000).map(
    lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)


def standing(zone, at):
    empty = dict.fromkeys(Standing.__dataclass_fields__)
    given = {"asked": Asked(1, None, None), "clock": at, "organization_id": 1, "time_zone": zone}
    return Standing(**(empty | given | {"daily_calls": 5, "monthly_calls": 50}))


@given(zone=st.sampled_from(ZONES), at=instants)
@settings(max_examples=300, deadline=None)
def test_a_period_holds_every_instant_before_its_reset_and_the_reset_is_the_first_of_the_next(zone, at):
    stands = standing(zone, at)
    periods = {}
    for row, _ in quotas.rows_of(stands, stands.day(at)):
        ends = quotas._resets_at(stands, row)
        periods[row[1]] = (row[2], ends)
    for name, (starts_on, ends) in periods.items():
        assert at < ends
        assert {row[1]: row[2] for row, _ in quotas.rows_of(stands, stands.day(ends))}[name] > starts_on
        last = ends - timedelta(microseconds=1)
        assert {row[1]: row[2] for row, _ in quotas.rows_of(stands, stands.day(last))}[name] == starts_on


@given(zone=st.sampled_from(ZONES), on=st.dates(date(2024, 1, 1), date(2027, 12, 31)))
@settings(max_examples=200, deadline=None)
def test_a_days_reset_is_the_same_seen_from_any_of_its_instants(zone, on):
    noon = datetime.combine(on, datetime.min.time(), ZoneInfo(zone)).replace(hour=12).astimezone(UTC)
    [day, _] = quotas.rows_of(standing(zone, noon), standing(zone, noon).day(noon))
    resets = {quotas._resets_at(standing(zone, noon + timedelta(hours=n)), day[0]) for n in (-6, 0, 6)}
    assert len(resets) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "America/New_York"])
def test_the_sum_over_the_days_is_the_sum_of_all_each_record_in_one(zone):
    team = make.team(1000)
    Organization.objects.filter(pk=team.pk).update(time_zone=zone)
    edges = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in range(24)]
    outcomes = make.settle(
        *(make.charge(team, None, number + 1, occurred_at=at) for number, at in enumerate(edges))
    )
    assert not [one for one in outcomes if isinstance(one, Exception)]
    rows = {row.day: row.credits for row in DailyUsage.objects.filter(organization=team)}
    assert sum(rows.values()) == Decimal(sum(range(1, 25)))
    for record in UsageRecord.objects.filter(organization=team):
        assert record.day == record.occurred_at.astimezone(ZoneInfo(zone)).date()
        assert record.day in rows
