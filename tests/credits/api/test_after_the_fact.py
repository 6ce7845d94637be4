"""Charges for calls that have happened: taken like an overage, never for want of credits refused (product.md §6)."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.models import QuotaUsage, UsageRecord
from orgs.models import Membership, Organization
from tests.factories import credits as make
from tests.factories.api import books, done, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway(scene):
    return scene.key("platform")


@pytest.fixture
def charge(scene, gateway):
    """Return a function that charges the member of the scene 1 credit after the fact."""

    def send(**fields):
        body = {
            "transaction_id": "t", "credits": "1", "org_id": scene.org.public_id, "user_id": scene.id_of("member"), "after_the_fact": True,
        }  # fmt: skip
        return gateway.post("/usage/charges", body | fields)

    return send


def ago(**terms):
    return (datetime.now(UTC) - timedelta(**terms)).isoformat()


def test_may_lie_seven_days_back_and_no_longer(charge):
    done(charge(occurred_at=ago(days=6, hours=23, minutes=59)), 201)
    details = refused(charge(transaction_id="u", occurred_at=ago(days=7, minutes=1)), 422, "validation_error")
    assert set(details) == {"occurred_at"}


def test_may_come_from_a_clock_a_little_ahead_but_not_from_the_future(charge):
    done(charge(occurred_at=ago(seconds=-30)), 201)
    refused(charge(transaction_id="u", occurred_at=ago(minutes=-2)), 422)


def test_is_judged_by_the_ledgers_clock(charge):
    at = ago(days=5)
    with make.later("3 days"):
        refused(charge(occurred_at=at), 422)
    done(charge(occurred_at=at), 201)


def test_a_repeat_is_answered_with_the_first_however_late_it_comes(charge):
    """The gateway retries until it knows: the seven days are over for a new charge, not for this one."""
    body = {"occurred_at": ago(days=6, hours=23)}
    first = done(charge(**body), 201)
    with make.later("2 hours"):
        again = charge(**body)
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")
    assert again.json()["charge"] == first["charge"]
    assert UsageRecord.objects.filter(kind="charge").count() == 1


def test_a_refused_time_leaves_no_row(scene, charge):
    make.limit_calls(scene.org, day=5, month=5)
    before = books()
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", ago(days=30)):
        refused(charge(occurred_at=at), 422)
    assert books() == before


def test_a_time_without_after_the_fact_is_422(charge):
    refused(charge(after_the_fact=False, occurred_at=ago(days=1)), 422)


def test_counts_in_the_periods_it_happened_in_also_beyond_the_quota(scene, charge):
    make.limit_calls(scene.org, day=1, month=100)
    for number in range(3):
        answer = done(charge(transaction_id=f"t{number}"), 201)
    assert (answer["quota"]["day"]["used"], answer["quota"]["month"]["used"]) == (3, 3)
    refused(charge(after_the_fact=False, transaction_id="new"), 429, "quota_exceeded")
    happened = datetime.now(UTC) - timedelta(days=2)
    done(charge(transaction_id="then", occurred_at=happened.isoformat()), 201)
    assert QuotaUsage.objects.get(period="day", starts_on=happened.date()).used == 1


def test_of_a_member_who_left_is_theirs_and_of_nobody_is_refused(scene, charge):
    Membership.objects.filter(user=scene.people["member"]).update(ended_at=datetime.now(UTC))
    done(charge(), 201)
    assert UsageRecord.objects.get(kind="charge").user_id == scene.people["member"].pk
    refused(charge(transaction_id="u", user_id=scene.id_of("outsider")), 403)


def test_is_never_402(scene, charge, settings):
    settings.SHORTFALL_LIMIT = 0
    charges = [
        done(charge(transaction_id=f"t{number}", credits="5000"), 201)["charge"] for number in range(2)
    ]
    assert [(one["cost"], one["after_the_fact"]) for one in charges] == [("5000", True)] * 2
    assert charges[1]["shortfall"] == "5000"
    refused(charge(after_the_fact=False, transaction_id="new"), 402, "shortfall_open")


def test_of_an_archived_organization_is_404(scene, charge):
    Organization.objects.filter(pk=scene.org.pk).update(status="archived")
    refused(charge(), 404, "not_found")
