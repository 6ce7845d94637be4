"""The four views of the portal's predecessor: right where rows of several tables meet, and read-only."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from credits.reports import figures
from lago_sync.models import LagoSubscription, Purchase
from orgs.models import Organization, PlanFee
from tests.factories import credits as make

pytestmark = pytest.mark.django_db
VIEWS = ("org_billing_summary", "user_multi_org_credits", "top_credit_users_by_org", "org_billing_metrics")


def rows_of(view: str, organization: Organization) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view} WHERE org_id = %s", [organization.public_id])
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def bought(organization: Organization, cents: int, status: str = "completed") -> None:
    ended = {"grant_id": uuid4(), "completed_at": timezone.now()} if status == "completed" else {}
    Purchase.objects.create(
        organization=organization, credits=Decimal(1000), amount_cents=cents, currency="USD", status=status, made_by="usr_x",
        idempotency_key=uuid4().hex, wallet_id=uuid4(), wallet_transaction_id=uuid4(), invoice_id=uuid4(), **ended,
    )  # fmt: skip


@pytest.fixture
def team():
    """Two purchases, a paid fee, three members with six charges: whatever joins them all counts some of them twice."""
    team = make.team(5000)
    make.grant(team, 700)
    members = [make.member(team, 100), make.member(team, 50), make.member(team)]
    for member in members:
        make.charged(team, member, 10, service="llm")
        make.charged(team, member, 5, service="search")
    make.revoke(team, members[1])
    for cents in (1000, 4500):
        bought(team, cents)
    bought(team, 9900, "declined")
    subscription = make.subscribe(team, "starter")
    now = timezone.now()
    PlanFee.objects.create(
        subscription=subscription, plan=subscription.plan, period_start=now, period_end=now + timedelta(days=30),
        amount_cents=1900, full_amount_cents=1900, currency="USD", reference="in_1", paid_at=now,
    )  # fmt: skip
    LagoSubscription.objects.create(
        lago_id=uuid4(), organization=team, external_id="sub_x", plan_code="starter_yearly", plan_name="Starter", amount_cents=19000,
        currency="USD", interval="yearly", billing_time="anniversary", status="active", started_at=now, period_start=now,
        period_end=now + timedelta(days=365), synced_at=now,
    )  # fmt: skip
    team.members = members
    return team


def test_the_summary_has_the_figures_of_the_pool_and_counts_people_once(team):
    [row] = rows_of("org_billing_summary", team)
    pool = figures.organization_figures(organization=team)
    assert row["total_credits"] == pool.granted == 5700
    assert row["available_credits"] == pool.available
    assert row["used_credits"] == pool.used == 45
    assert row["allocated_credits"] == pool.allocated == 100
    assert (row["member_count"], row["allocated_users_count"]) == (4, 1)
    assert (row["subscription_plan"], row["subscription_status"]) == ("starter", "active")
    assert row["monthly_price_cents"] == 1583  # 190.00 a year, by twelve


def test_the_metrics_count_each_payment_and_each_credit_once(team):
    [row] = rows_of("org_billing_metrics", team)
    assert row["total_credits_used"] == 45
    assert row["active_users"] == 3
    assert row["total_revenue_cents"] == 1000 + 4500 + 1900
    assert row["invoice_count"] == 3
    assert row["failed_payments_cents"] == 9900


def test_top_users_come_with_their_services_and_place(team):
    rows = rows_of("top_credit_users_by_org", team)
    assert {row["user_id"] for row in rows} == {one.public_id for one in team.members}
    for row in rows:
        assert (row["total_credits_used"], row["request_count"]) == (15, 2)
        assert row["services_used"] == ["llm", "search"]
        assert row["place"] == 1


def test_allocations_stand_by_user_with_the_figures_of_the_lists(team):
    rows = {row["user_id"]: row for row in rows_of("user_multi_org_credits", team)}
    for one in team.members[:2]:
        allocation = make.allocation(team, one)
        row = rows[one.public_id]
        assert row["allocated_credits"] == allocation.allocated
        assert row["used_credits"] == allocation.used
        assert row["remaining_credits"] == allocation.remaining
        assert row["is_active"] == (allocation.closed_at is None)
    assert team.members[2].public_id not in rows


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_can_be_written_through(view):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {view} SET org_id = 'x'")


@pytest.mark.parametrize("view", VIEWS)
def test_an_organization_of_nothing_stands_in_none_or_with_zeros(view):
    team = make.team()
    for row in rows_of(view, team):
        assert not [value for value in row.values() if isinstance(value, Decimal) and value]
