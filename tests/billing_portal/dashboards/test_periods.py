"""What a query string asks for."""

from datetime import UTC, date, datetime

import pytest

from billing_portal.dashboards import periods


def test_thirty_days_end_today_and_include_both_ends():
    period = periods.last_days(30, today=date(2026, 11, 20))
    assert (period.since, period.until, period.days) == (date(2026, 10, 22), date(2026, 11, 20), 30)
    assert period.dates[0] == period.since
    assert period.dates[-1] == period.until


def test_today_is_the_organizations_today():
    late_evening_in_utc = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert periods.today_in("Asia/Tokyo", now=late_evening_in_utc) == date(2026, 11, 21)
    assert periods.today_in("America/New_York", now=late_evening_in_utc) == date(2026, 11, 20)


@pytest.mark.parametrize("asked", ["", "0", "-7", "31", "seven", "7.0", "\N{ARABIC-INDIC DIGIT SEVEN}"])
def test_days_that_no_link_offers_are_the_default(asked: str):
    assert periods.asked_days({"days": asked}) == 30


def test_days_and_grouping_are_taken_from_the_query():
    assert periods.asked_days({"days": "90"}) == 90
    assert periods.asked_grouping({"by": "department"}) == "department"


@pytest.mark.parametrize("asked", ["", "key", "model; drop table"])
def test_a_grouping_that_no_link_offers_is_by_model(asked: str):
    assert periods.asked_grouping({"by": asked}) == "model"
